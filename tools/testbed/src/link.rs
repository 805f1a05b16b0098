//! A way between this system and a network namespace of its own, on which packets can be lost.

use crate::parts::{Forbidden, Missing, PROXIES};
use anyhow::Context as _;
use std::{
    net::Ipv4Addr,
    process::Command,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

/// What `ip` says where the system does not allow a namespace, or has no virtual interfaces.
const FORBIDDEN: [&str; 5] = [
    "not permitted",
    "Permission denied",
    "Read-only file system",
    "Unknown device type",
    "not supported",
];

/// A namespace, and a pair of virtual interfaces between it and this one. Both are gone when it is
/// dropped. Linux only, and for root.
#[derive(Debug)]
pub struct Link {
    name: String,
    ours: Ipv4Addr,
    theirs: Ipv4Addr,
}

impl Link {
    /// Another namespace.
    ///
    /// # Errors
    /// [`Missing`] without `ip`, and [`Forbidden`] where the system does not allow it.
    pub fn new() -> anyhow::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let (pid, count) = (std::process::id(), COUNT.fetch_add(1, Relaxed));
        // 198.18.0.0/15 is for tests of networks (RFC 2544), in networks of four addresses.
        let network = u32::from(Ipv4Addr::new(198, 18, 0, 0)) + (8 * pid + count) % 0x8000 * 4;
        let link = Self {
            name: format!("w{count}-{pid}"),
            ours: (network + 1).into(),
            theirs: (network + 2).into(),
        };
        let Self { name, ours, theirs } = &link;
        ip(&format!("netns add {name}"))?;
        ip(&format!(
            "link add {name} type veth peer name inside netns {name}"
        ))?;
        ip(&format!("address add {ours}/30 dev {name}"))?;
        ip(&format!("link set {name} up"))?;
        ip(&format!("-n {name} address add {theirs}/30 dev inside"))?;
        ip(&format!("-n {name} link set inside up"))?;
        Ok(link)
    }

    /// The address of this side.
    pub fn ours(&self) -> Ipv4Addr {
        self.ours
    }

    /// The command that runs this test program on the other side.
    ///
    /// # Errors
    /// Where it is not known which program this is.
    pub fn inside(&self) -> anyhow::Result<Command> {
        let mut command = Command::new("ip");
        for name in PROXIES {
            command.env_remove(name);
        }
        command
            .args(["netns", "exec", &self.name])
            .arg(std::env::current_exe()?);
        Ok(command)
    }

    /// From now on nothing arrives on either side, and neither is told: each sends to a hardware
    /// address that nobody has.
    ///
    /// # Errors
    /// Where `ip` has some.
    pub fn swallow(&self) -> anyhow::Result<()> {
        let Self { name, ours, theirs } = self;
        let nobody = "lladdr 02:00:00:00:00:01 nud permanent";
        ip(&format!("neigh replace {theirs} dev {name} {nobody}"))?;
        ip(&format!(
            "-n {name} neigh replace {ours} dev inside {nobody}"
        ))
    }

    /// Undoes [`swallow`](Self::swallow).
    ///
    /// # Errors
    /// Where `ip` has some.
    pub fn restore(&self) -> anyhow::Result<()> {
        let Self { name, ours, theirs } = self;
        ip(&format!("neigh delete {theirs} dev {name}"))?;
        ip(&format!("-n {name} neigh delete {ours} dev inside"))
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // With it go its interfaces. Where it was not made, there is none.
        let _ = ip(&format!("netns delete {}", self.name));
    }
}

fn ip(arguments: &str) -> anyhow::Result<()> {
    let ip = Command::new("ip")
        .args(arguments.split_whitespace())
        .output()
        .context("ip, of iproute2, cannot be run")
        .map_err(Missing)?;
    if ip.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&ip.stderr);
    let error = anyhow::anyhow!("`ip {arguments}`: {}", words.trim());
    Err(match FORBIDDEN.iter().any(|word| words.contains(word)) {
        true => Forbidden(error).into(),
        false => error,
    })
}
