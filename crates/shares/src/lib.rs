//! What one client may have of what all share.
//!
//! Limits for all together protect a server. They do not protect one client from
//! another: whoever asks fastest has everything. Here each address has a share of its
//! own, of connections, of places, of requests and of publishes.
//!
//! ```
//! use shares::{Limits, Shares};
//!
//! let shares = Shares::new(Limits { waits: 1, ..Limits::default() }, Vec::new());
//! let one = shares.client("192.0.2.1".parse().unwrap());
//! let other = shares.client("192.0.2.2".parse().unwrap());
//!
//! let place = one.wait().unwrap();
//! assert_eq!(one.wait().unwrap_err().status, 429);
//! assert!(other.wait().is_ok());
//! drop(place);
//! assert!(one.wait().is_ok());
//! ```
//!
//! The edge (`serving`) knows who asks, and puts a [`Client`] into each request; the
//! room (`waiting`) asks it for a wait, and the edge for all else.

mod address;
mod limits;

pub use ipnet::IpNet;
pub use limits::{Limits, Rate};

use address::Address;
use contract::Problem;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use http::HeaderMap;
use std::{
    collections::HashMap,
    fmt,
    net::IpAddr,
    ops::RangeInclusive,
    sync::{
        atomic::{AtomicUsize, Ordering::Relaxed},
        Arc, Mutex, PoisonError,
    },
    time::{Duration, Instant},
};

/// Seconds until a refused client should ask again, drawn for each refusal: behind one
/// address there may be many, who were refused together.
const RETRY_AFTER: RangeInclusive<u16> = 1..=10;

/// How few addresses are not worth a search for those that may be forgotten.
const FEW: usize = 64;

/// The shares of a server's clients. Clones share them.
#[derive(Clone, Debug)]
pub struct Shares {
    table: Arc<Table>,
}

struct Table {
    limits: Limits,
    proxies: Vec<IpNet>,
    known: Mutex<Known>,
    /// Those for whom there was no room share this one.
    others: Arc<Taken>,
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limits = &self.limits;
        f.debug_struct("Table")
            .field("limits", limits)
            .finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Known {
    by_address: HashMap<Address, Arc<Taken>>,
    /// At how many of them it is looked for some that may be forgotten.
    full: usize,
    /// When that was last done.
    searched: Option<Instant>,
}

/// What one address has taken of its share.
struct Taken {
    limits: Limits,
    connections: AtomicUsize,
    waits: AtomicUsize,
    tasks: AtomicUsize,
    reads: DefaultDirectRateLimiter,
    publishes: DefaultDirectRateLimiter,
    /// When it was last looked up. After a while both rates are as new.
    seen: Mutex<Instant>,
}

impl Taken {
    fn new(limits: Limits) -> Self {
        let rate = |rate: Rate| {
            let quota = Quota::per_second(rate.per_second).allow_burst(rate.burst);
            RateLimiter::direct(quota)
        };
        Self {
            limits,
            connections: AtomicUsize::new(0),
            waits: AtomicUsize::new(0),
            tasks: AtomicUsize::new(0),
            reads: rate(limits.reads),
            publishes: rate(limits.publishes),
            seen: Mutex::new(Instant::now()),
        }
    }

    fn is_seen(&self) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn seen(&self) -> Instant {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Taken")
            .field("connections", &self.connections)
            .field("waits", &self.waits)
            .finish_non_exhaustive()
    }
}

impl Shares {
    /// Shares of this size. `proxies` are those whose `X-Forwarded-For` is believed.
    pub fn new(limits: Limits, proxies: Vec<IpNet>) -> Self {
        let known = Mutex::default();
        let others = Arc::new(Taken::new(limits));
        Self {
            table: Arc::new(Table {
                limits,
                proxies,
                known,
                others,
            }),
        }
    }

    /// Whoever has this address.
    pub fn client(&self, address: IpAddr) -> Client {
        let table = &self.table;
        if address.to_canonical().is_loopback() && !table.limits.loopback {
            return Client::default();
        }
        Client(Some(table.look_up(Address::of(address))))
    }

    /// Whoever sends over a connection of `peer`; where nobody knows whose it is, it is
    /// not limited.
    pub fn senders(&self, peer: Option<IpAddr>) -> Senders {
        let Some(peer) = peer else {
            return Senders(From::One(Client::default()));
        };
        let known = peer.to_canonical();
        match self.table.proxies.iter().any(|it| it.contains(&known)) {
            true => Senders(From::Behind(self.clone(), peer)),
            false => Senders(From::One(self.client(peer))),
        }
    }

    /// How many addresses are remembered.
    pub fn addresses(&self) -> usize {
        self.table.lock().by_address.len()
    }
}

impl Table {
    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // ANCHOR: look_up
    fn look_up(&self, address: Address) -> Arc<Taken> {
        let mut known = self.lock();
        if let Some(taken) = known.by_address.get(&address) {
            taken.is_seen();
            return taken.clone();
        }
        let full = known.full.max(FEW).min(self.limits.addresses);
        if known.by_address.len() >= full {
            self.forget(&mut known);
        }
        if known.by_address.len() >= self.limits.addresses {
            return self.others.clone();
        }
        let taken = Arc::new(Taken::new(self.limits));
        known.by_address.insert(address, taken.clone());
        taken
    }
    // ANCHOR_END: look_up

    /// Forgets those who have nothing, and whose rates are as new.
    fn forget(&self, known: &mut Known) {
        let full = |rate: Rate| {
            let seconds = rate.burst.get().div_ceil(rate.per_second.get());
            Duration::from_secs(seconds.into())
        };
        let rest = full(self.limits.reads).max(full(self.limits.publishes));
        let now = Instant::now();
        // Where all are in use, a search for each stranger would be a flood of its own.
        let soon = known
            .searched
            .is_some_and(|at| now.duration_since(at) < Duration::from_secs(1));
        if soon && known.by_address.len() >= self.limits.addresses {
            return;
        }
        known.searched = Some(now);
        known.by_address.retain(|_, taken| {
            Arc::strong_count(taken) > 1 || now.duration_since(taken.seen()) < rest
        });
        known.full = 2 * known.by_address.len();
    }
}

/// Who sends over one connection: its peer, or those for whom a trusted proxy sends.
#[derive(Clone, Debug)]
pub struct Senders(From);

#[derive(Clone, Debug)]
enum From {
    One(Client),
    Behind(Shares, IpAddr),
}

impl Senders {
    /// The connection itself; `None` where its peer has as many as it may. A trusted
    /// proxy is not limited: it connects for others.
    pub fn connect(&self) -> Option<Share> {
        match &self.0 {
            From::One(client) => client.connect(),
            From::Behind(..) => Client::default().connect(),
        }
    }

    /// Who has sent a request with these headers.
    pub fn of(&self, headers: &HeaderMap) -> Client {
        match &self.0 {
            From::One(client) => client.clone(),
            From::Behind(shares, peer) => {
                let proxies = &shares.table.proxies;
                let sender = address::sender(*peer, headers, proxies);
                sender.map_or_else(Client::default, |address| shares.client(address))
            }
        }
    }
}

/// One client, by its address; by default one that nothing is counted of.
#[derive(Clone, Debug, Default)]
pub struct Client(Option<Arc<Taken>>);

impl Client {
    /// One connection more; `None` where it has as many as it may.
    pub fn connect(&self) -> Option<Share> {
        self.take(|taken| (&taken.connections, taken.limits.connections))
    }

    /// A place for one that waits.
    ///
    /// # Errors
    /// 429 `too-many`.
    pub fn wait(&self) -> Result<Share, Problem> {
        self.take(|taken| (&taken.waits, taken.limits.waits))
            .ok_or_else(|| self.too_many_waits())
    }

    /// What [`wait`](Self::wait) would answer, without taking it.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    pub fn check_wait(&self) -> Result<(), Problem> {
        match &self.0 {
            Some(taken) if taken.waits.load(Relaxed) >= taken.limits.waits => {
                Err(self.too_many_waits())
            }
            _ => Ok(()),
        }
    }

    /// Work that outlives its request.
    ///
    /// # Errors
    /// 429 `too-many`.
    pub fn task(&self) -> Result<Share, Problem> {
        let tasks = self.0.as_ref().map_or(0, |taken| taken.limits.tasks);
        self.take(|taken| (&taken.tasks, taken.limits.tasks))
            .ok_or_else(|| later(format_args!("{tasks} tasks of this address go on")))
    }

    /// A request that publishes nothing.
    ///
    /// # Errors
    /// 429 `too-many`.
    pub fn read(&self) -> Result<(), Problem> {
        match &self.0 {
            Some(taken) if taken.reads.check().is_err() => {
                Err(too_many("requests", taken.limits.reads))
            }
            _ => Ok(()),
        }
    }

    /// A publish.
    ///
    /// # Errors
    /// 429 `too-many`.
    pub fn publish(&self) -> Result<(), Problem> {
        match &self.0 {
            Some(taken) if taken.publishes.check().is_err() => {
                Err(too_many("publishes", taken.limits.publishes))
            }
            _ => Ok(()),
        }
    }

    /// How many publishes of one socket may be refused in a row.
    pub fn refused_publishes(&self) -> u32 {
        self.0
            .as_ref()
            .map_or(u32::MAX, |taken| taken.limits.refused_publishes)
    }

    fn take(&self, what: fn(&Taken) -> (&AtomicUsize, usize)) -> Option<Share> {
        if let Some(taken) = &self.0 {
            let (count, limit) = what(taken);
            let one_more = |count| (count < limit).then_some(count + 1);
            count.fetch_update(Relaxed, Relaxed, one_more).ok()?;
        }
        Some(Share {
            client: self.clone(),
            what,
        })
    }

    fn too_many_waits(&self) -> Problem {
        let waits = self.0.as_ref().map_or(0, |taken| taken.limits.waits);
        later(format_args!(
            "{waits} streams, sockets and parked requests of this address are open"
        ))
    }
}

fn too_many(what: &str, rate: Rate) -> Problem {
    later(format_args!(
        "more than {} {what} a second from this address",
        rate.per_second
    ))
}

fn later(detail: fmt::Arguments<'_>) -> Problem {
    Problem {
        retry_after: Some(fastrand::u16(RETRY_AFTER)),
        ..Problem::too_many(detail)
    }
}

/// Something that a client has of its share; given back when dropped.
#[must_use = "it is given back as soon as this is dropped"]
pub struct Share {
    client: Client,
    what: fn(&Taken) -> (&AtomicUsize, usize),
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Share").field(&self.client).finish()
    }
}

impl Share {
    /// Whose it is.
    pub fn client(&self) -> &Client {
        &self.client
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if let Some(taken) = &self.client.0 {
            (self.what)(taken).0.fetch_sub(1, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::ProblemKind;
    use std::collections::BTreeSet;

    fn address(last: u16) -> IpAddr {
        let [high, low] = last.to_be_bytes();
        IpAddr::from([198, 18, high, low])
    }

    fn shares(limits: Limits) -> Shares {
        Shares::new(limits, Vec::new())
    }

    #[test]
    fn what_one_has_taken_the_others_still_have() {
        let shares = shares(Limits {
            connections: 2,
            waits: 1,
            tasks: 1,
            reads: Rate::new(1, 3),
            publishes: Rate::new(1, 2),
            ..Limits::default()
        });
        let (one, other) = (shares.client(address(1)), shares.client(address(2)));
        let connections = [one.connect().unwrap(), one.connect().unwrap()];
        assert!(one.connect().is_none());
        let wait = one.wait().unwrap();
        assert!(one.check_wait().is_err());
        let task = one.task().unwrap();
        assert_eq!(one.task().unwrap_err().status, 429);
        for (allowed, ask) in [
            (3, Client::read as fn(&Client) -> Result<(), Problem>),
            (2, Client::publish as fn(&Client) -> Result<(), Problem>),
        ] {
            for _ in 0..allowed {
                ask(&one).unwrap();
            }
            let refused: Problem = ask(&one).unwrap_err();
            let kind = Some(ProblemKind::TooMany);
            assert_eq!((refused.status, refused.kind()), (429, kind));
            assert!(refused.retry_after.is_some());
        }
        assert!(other.connect().is_some() && other.wait().is_ok());
        assert!(other.task().is_ok());
        assert!(other.read().is_ok() && other.publish().is_ok());
        drop((connections, wait, task));
        assert!(one.task().is_ok());
        assert!(one.connect().is_some() && one.wait().is_ok());
    }

    #[test]
    fn this_machine_is_not_limited_unless_asked_for() {
        let local: IpAddr = "127.0.0.1".parse().unwrap();
        let limits = Limits {
            waits: 0,
            ..Limits::default()
        };
        assert!(shares(limits).client(local).wait().is_ok());
        let loopback = true;
        let limits = Limits { loopback, ..limits };
        assert!(shares(limits).client(local).wait().is_err());
    }

    #[test]
    fn no_more_addresses_are_remembered_than_there_is_room_for() {
        let shares = shares(Limits {
            addresses: 100,
            publishes: Rate::new(1, 5),
            ..Limits::default()
        });
        for n in 0..10_000 {
            let client = shares.client(address(n));
            client.read().unwrap_or_default();
            assert!(shares.addresses() <= 100, "{n}");
        }
        // Strangers share one share.
        let (one, other) = (
            shares.client(address(20_000)),
            shares.client(address(20_001)),
        );
        for _ in 0..5 {
            one.publish().unwrap();
        }
        assert!(other.publish().is_err());
        assert!(
            shares.client(address(1)).publish().is_ok(),
            "who was there is not"
        );
    }

    #[test]
    fn who_has_something_is_not_forgotten() {
        let shares = shares(Limits {
            addresses: 2,
            reads: Rate::new(1_000, 1),
            publishes: Rate::new(1_000, 1),
            ..Limits::default()
        });
        let held = shares.client(address(1)).wait().unwrap();
        shares.client(address(2));
        {
            let mut known = shares.table.lock();
            let past = Instant::now() - Duration::from_secs(60);
            for taken in known.by_address.values() {
                *taken.seen.lock().unwrap() = past;
            }
            shares.table.forget(&mut known);
        }
        assert_eq!(shares.addresses(), 1);
        let Share { client, .. } = &held;
        let again = shares.client(address(1));
        assert!(Arc::ptr_eq(
            client.0.as_ref().unwrap(),
            again.0.as_ref().unwrap()
        ));
    }

    #[test]
    fn those_who_are_refused_together_get_different_times() {
        let limits = Limits {
            waits: 0,
            ..Limits::default()
        };
        let client = shares(limits).client(address(1));
        let times = (0..500).map(|_| client.wait().unwrap_err().retry_after.unwrap());
        assert_eq!(times.collect::<BTreeSet<_>>(), RETRY_AFTER.collect());
    }
}
