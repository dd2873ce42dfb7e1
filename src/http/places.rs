//! Who is connected, and who has to go when there is no room.
//!
//! A connection is idle until a request of it was let in and read whole. While all places are
//! taken, a new connection takes that of an idle one: from whoever holds most places, the one
//! that has been idle longest. So neither a thousand idle connections nor slow ones keep anybody
//! out, and work that was begun is never cut.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Who is at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// TCP.
    Inet(SocketAddr),
    /// A process on this machine.
    Unix {
        /// Its user.
        uid: u32,
        /// Its id, where that is known.
        pid: Option<i32>,
    },
}

/// One peer as far as fairness goes: all its connections together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Party {
    Address(IpAddr),
    User(u32),
}

impl Peer {
    fn party(self) -> Party {
        match self {
            Self::Inet(address) => Party::Address(address.ip()),
            Self::Unix { uid, .. } => Party::User(uid),
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet(address) => address.fmt(f),
            Self::Unix { uid, pid: Some(pid) } => write!(f, "user {uid} (pid {pid})"),
            Self::Unix { uid, pid: None } => write!(f, "user {uid}"),
        }
    }
}

/// The places of one listener.
#[derive(Debug)]
pub struct Places {
    most: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    /// Counts moments: the higher, the later.
    clock: u64,
    seats: HashMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    party: Party,
    /// Requests being worked on.
    busy: usize,
    /// When it was last busy, or began.
    idle_since: u64,
    evict: Arc<Notify>,
}

impl Taken {
    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    /// Makes an idle connection leave; false when there is none.
    fn make_room(&mut self) -> bool {
        let mut held: HashMap<Party, usize> = HashMap::new();
        for entry in self.seats.values() {
            *held.entry(entry.party).or_default() += 1;
        }
        let idle = self.seats.iter().filter(|(_, entry)| entry.busy == 0);
        let longest = idle.max_by_key(|(_, entry)| {
            (held.get(&entry.party).copied(), std::cmp::Reverse(entry.idle_since))
        });
        let Some(id) = longest.map(|(id, _)| *id) else { return false };
        if let Some(entry) = self.seats.remove(&id) {
            entry.evict.notify_one();
        }
        true
    }
}

impl Places {
    /// So many places.
    #[must_use]
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, taken: Mutex::default() })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        // Nothing that holds the lock can leave the table half changed.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a new connection; none when all are taken by connections at work.
    #[must_use]
    pub fn enter(self: &Arc<Self>, peer: Peer) -> Option<Seat> {
        let mut taken = self.taken();
        if taken.seats.len() >= self.most && !taken.make_room() {
            return None;
        }
        let id = taken.tick();
        let evict = Arc::new(Notify::new());
        let entry =
            Entry { party: peer.party(), busy: 0, idle_since: id, evict: Arc::clone(&evict) };
        taken.seats.insert(id, entry);
        Some(Seat { places: Arc::clone(self), id, peer, evict })
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.taken().seats.len()
    }
}

/// A place that is taken; dropped, it is free.
#[derive(Debug)]
pub struct Seat {
    places: Arc<Places>,
    id: u64,
    peer: Peer,
    evict: Arc<Notify>,
}

impl Seat {
    /// Who has it.
    #[must_use]
    pub fn peer(&self) -> Peer {
        self.peer
    }

    /// Comes when somebody else has the place now.
    pub async fn evicted(&self) {
        self.evict.notified().await;
    }

    /// Whether the connection works.
    #[must_use]
    pub fn is_at_work(&self) -> bool {
        self.places.taken().seats.get(&self.id).is_some_and(|entry| entry.busy > 0)
    }

    /// The connection works, until this is dropped: it keeps its place.
    #[must_use]
    pub fn work(self: &Arc<Self>) -> Work {
        if let Some(entry) = self.places.taken().seats.get_mut(&self.id) {
            entry.busy += 1;
        }
        Work { seat: Arc::clone(self) }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.places.taken().seats.remove(&self.id);
    }
}

/// A request that is worked on.
#[derive(Debug)]
pub struct Work {
    seat: Arc<Seat>,
}

impl Work {
    /// Whose request it is.
    #[must_use]
    pub fn peer(&self) -> Peer {
        self.seat.peer
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let mut taken = self.seat.places.taken();
        let now = taken.tick();
        if let Some(entry) = taken.seats.get_mut(&self.seat.id) {
            entry.busy -= 1;
            entry.idle_since = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn peer(last: u8) -> Peer {
        Peer::Inet(SocketAddr::from(([10, 0, 0, last], 1000)))
    }

    fn gone(seat: &Seat) -> bool {
        seat.evicted().now_or_never().is_some()
    }

    #[test]
    fn a_new_connection_takes_the_place_that_was_idle_longest() {
        let places = Places::new(2);
        let first = Arc::new(places.enter(peer(1)).unwrap());
        let second = Arc::new(places.enter(peer(2)).unwrap());
        // It was at work since, and is the younger one now.
        drop(first.work());
        let _third = places.enter(peer(3)).unwrap();
        assert!(gone(&second) && !gone(&first));
        assert_eq!(places.len(), 2);
        drop(second);
        assert_eq!(places.len(), 2, "its place is another's");
        drop(first);
        assert_eq!(places.len(), 1);
    }

    #[test]
    fn whoever_holds_most_gives_way_first() {
        let places = Places::new(4);
        let other = places.enter(peer(2)).unwrap();
        let flood: Vec<_> = (0..3).map(|_| places.enter(peer(1)).unwrap()).collect();
        let user = places.enter(Peer::Unix { uid: 7, pid: None }).unwrap();
        assert!(gone(&flood[0]) && !gone(&flood[1]) && !gone(&other) && !gone(&user));
    }

    #[test]
    fn work_is_never_cut() {
        let places = Places::new(1);
        let seat = Arc::new(places.enter(peer(1)).unwrap());
        let (one, two) = (seat.work(), seat.work());
        drop(one);
        assert!(places.enter(peer(2)).is_none() && !gone(&seat));
        drop(two);
        assert!(places.enter(peer(2)).is_some() && gone(&seat));
    }
}
