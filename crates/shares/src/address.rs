//! Who asks: an address, also where a proxy stands in between.

use http::HeaderMap;
use ipnet::IpNet;
use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::Once,
};

/// The header in which a proxy says who has connected to it. Each proxy on the way adds
/// the address that it sees at the end. No standard, and what all of them write.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// A client as the limits know it: an IPv4 address, or the first 64 bits of an IPv6
/// address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Address(IpAddr);

impl Address {
    pub(crate) fn of(address: IpAddr) -> Self {
        // An IPv4 address, as a socket for both shows it.
        match address.to_canonical() {
            IpAddr::V6(address) => {
                let network = address.to_bits() & (u128::MAX << 64);
                Self(Ipv6Addr::from_bits(network).into())
            }
            address => Self(address),
        }
    }
}

// ANCHOR: sender
/// Who has sent a request that came from `peer`; `None` where a proxy does not say.
///
/// The header is believed as far as those have written it who are trusted: from its
/// end, past the trusted proxies, to the first address that is none. What stands before
/// that, its sender may have made up.
pub(crate) fn sender(
    peer: IpAddr,
    headers: &HeaderMap,
    proxies: &[IpNet],
) -> Option<IpAddr> {
    let is_proxy = |address: IpAddr| {
        let address = address.to_canonical();
        proxies.iter().any(|proxies| proxies.contains(&address))
    };
    if !is_proxy(peer) {
        return Some(peer);
    }
    let lines = headers.get_all(FORWARDED_FOR).iter().rev();
    let named = lines.flat_map(|line| line.to_str().unwrap_or("?").rsplit(','));
    let mut sender = None;
    for name in named {
        match parse(name.trim()) {
            Some(address) => sender = Some(address),
            // No address: it is known up to here.
            None => return sender.or(Some(peer)),
        }
        if !sender.is_some_and(is_proxy) {
            break;
        }
    }
    if sender.is_none() {
        static TOLD: Once = Once::new();
        TOLD.call_once(|| {
            tracing::warn!(
                "a trusted proxy sends no {FORWARDED_FOR}: nobody behind it is limited"
            );
        });
    }
    sender
}
// ANCHOR_END: sender

/// An address, also with a port, as some proxies write it, and in brackets.
fn parse(name: &str) -> Option<IpAddr> {
    let bare = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'));
    let address = bare.unwrap_or(name).parse().ok();
    address.or_else(|| name.parse::<SocketAddr>().ok().map(|socket| socket.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn sent(peer: &str, lines: &[&'static str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, HeaderValue::from_static(line));
        }
        let proxies = ["10.0.0.0/8", "::1/128"].map(|proxies| proxies.parse().unwrap());
        sender(address(peer), &headers, &proxies).map(|address| address.to_string())
    }

    #[test]
    fn a_header_is_believed_as_far_as_trusted_proxies_have_written_it() {
        for (peer, lines, expected) in [
            // Nobody is trusted: what the client says of itself counts for nothing.
            ("192.0.2.1", &["198.51.100.7"][..], "192.0.2.1"),
            ("10.0.0.1", &["198.51.100.7"], "198.51.100.7"),
            ("::1", &["198.51.100.7"], "198.51.100.7"),
            ("::ffff:10.0.0.1", &["198.51.100.7"], "198.51.100.7"),
            // The client has sent a header of its own, and the proxy has added to it.
            ("10.0.0.1", &["203.0.113.9, 198.51.100.7"], "198.51.100.7"),
            ("10.0.0.1", &["203.0.113.9", "198.51.100.7"], "198.51.100.7"),
            // Two proxies, and the client has named one of them.
            (
                "10.0.0.1",
                &["10.9.9.9, 198.51.100.7, 10.0.0.2"],
                "198.51.100.7",
            ),
            ("10.0.0.1", &["198.51.100.7:4711"], "198.51.100.7"),
            ("10.0.0.1", &["[2001:db8::7]:4711"], "2001:db8::7"),
            ("10.0.0.1", &["[2001:db8::7]"], "2001:db8::7"),
            // From inside: a proxy itself.
            ("10.0.0.1", &["10.0.0.2"], "10.0.0.2"),
            // What is no address hides nobody.
            ("10.0.0.1", &["198.51.100.7, unknown"], "10.0.0.1"),
            ("10.0.0.1", &["unknown, 10.0.0.2"], "10.0.0.2"),
        ] {
            let sender = sent(peer, lines);
            assert_eq!(sender.as_deref(), Some(expected), "{peer} {lines:?}");
        }
        assert_eq!(sent("10.0.0.1", &[]), None);
    }

    #[test]
    fn an_address_of_ipv6_stands_for_its_network() {
        let of = |text| Address::of(address(text));
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
