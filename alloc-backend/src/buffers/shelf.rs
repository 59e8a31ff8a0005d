//! Idle buffers, waiting for who asks next. Pure: it keeps and finds, and calls what it is given for the rest.
//!
//! Entries lie in the order in which they came back: the first has waited longest.

use std::sync::Arc;
use std::time::Duration;

use super::quota::Amount;
use super::{Layout, Owner};
use crate::heaps::HeapId;

/// Buffers of one key can stand in for each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    /// Where the memory is from.
    pub heap: HeapId,
    /// As it was asked for: format, modifier, planes, bytes.
    pub layout: Layout,
}

/// An idle buffer.
#[derive(Debug)]
pub(super) struct Idle<T> {
    pub item: T,
    pub key: Key,
    /// Whose pixels are in it.
    pub owner: Owner,
    /// The pool of memory behind the heap.
    pub pool: Arc<str>,
    /// Bytes of the allocation.
    pub bytes: u64,
    /// A descriptor of it has left the process, and may still be out there.
    pub exported: bool,
    /// When it was first seen idle.
    since: Option<Duration>,
}

impl<T> Idle<T> {
    pub(super) fn new(item: T, key: Key, owner: Owner, pool: Arc<str>, bytes: u64, exported: bool) -> Self {
        Idle { item, key, owner, pool, bytes, exported, since: None }
    }
}

/// What may lie idle at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdleLimits {
    /// Buffers.
    pub count: u64,
    /// Bytes together.
    pub bytes: u64,
    /// Time since a buffer was first seen idle.
    pub age: Duration,
}

impl Default for IdleLimits {
    /// 32 buffers, 128 MiB (three frames of 3840x2160 and some small ones), 10 s.
    fn default() -> Self {
        IdleLimits { count: 32, bytes: 128 << 20, age: Duration::from_secs(10) }
    }
}

#[derive(Debug)]
pub(super) struct Shelf<T> {
    idle: Vec<Idle<T>>,
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Shelf { idle: Vec::new() }
    }
}

impl<T> Shelf<T> {
    pub(super) fn put(&mut self, idle: Idle<T>) {
        self.idle.push(idle);
    }

    pub(super) fn amount(&self, of: impl Fn(&Idle<T>) -> bool) -> Amount {
        let held = self.idle.iter().filter(|idle| of(idle));
        held.fold(Amount::default(), |sum, idle| Amount {
            count: sum.count.saturating_add(1),
            bytes: sum.bytes.saturating_add(idle.bytes),
        })
    }

    /// The owner's own buffer that came back last and is `ready`: its memory is the likeliest to be in a cache.
    pub(super) fn take_own(
        &mut self,
        key: &Key,
        owner: Owner,
        ready: impl Fn(&Idle<T>) -> bool,
    ) -> Option<Idle<T>> {
        let fits = |idle: &Idle<T>| idle.owner == owner && idle.key == *key && ready(idle);
        self.idle.iter().rposition(fits).map(|at| self.idle.remove(at))
    }

    /// The buffer of another owner that has waited longest and may `cross`.
    pub(super) fn take_others(
        &mut self,
        key: &Key,
        owner: Owner,
        cross: impl Fn(&Idle<T>) -> bool,
    ) -> Option<Idle<T>> {
        let fits = |idle: &Idle<T>| idle.owner != owner && idle.key == *key && cross(idle);
        self.idle.iter().position(fits).map(|at| self.idle.remove(at))
    }

    /// Sees who has come home: entries whose descriptor left the process and of which `home` now says that nobody
    /// else holds them. They count as never exported from here on.
    pub(super) fn come_home(&mut self, home: impl Fn(&Idle<T>) -> bool, mut each: impl FnMut(&Idle<T>)) {
        for idle in self.idle.iter_mut().filter(|idle| idle.exported) {
            if home(idle) {
                idle.exported = false;
                idle.since = None;
                each(idle);
            }
        }
    }

    /// Takes out what is over the limits of count and bytes, the oldest first. `keeps` stay: freeing them would free
    /// nothing.
    pub(super) fn over(&mut self, limits: &IdleLimits, keeps: impl Fn(&Idle<T>) -> bool) -> Vec<Idle<T>> {
        let mut amount = self.amount(|idle| !keeps(idle));
        let mut out = Vec::new();
        let mut at = 0;
        while (amount.count > limits.count || amount.bytes > limits.bytes) && at < self.idle.len() {
            if keeps(&self.idle[at]) {
                at += 1;
                continue;
            }
            let idle = self.idle.remove(at);
            amount = amount.saturating_sub(Amount::one(idle.bytes));
            out.push(idle);
        }
        out
    }

    /// Takes out what has been idle for `age` at the time `now`; what is seen for the first time starts to age.
    pub(super) fn aged(
        &mut self,
        now: Duration,
        age: Duration,
        keeps: impl Fn(&Idle<T>) -> bool,
    ) -> Vec<Idle<T>> {
        self.take_out(|idle| {
            let since = *idle.since.get_or_insert(now);
            !keeps(idle) && now.saturating_sub(since) >= age
        })
    }

    /// Takes out as many of one pool's, the oldest first, as make up `wanted`, count or bytes.
    pub(super) fn relieve(
        &mut self,
        pool: &str,
        wanted: Amount,
        keeps: impl Fn(&Idle<T>) -> bool,
    ) -> Vec<Idle<T>> {
        let mut left = wanted;
        self.take_out(|idle| {
            let out = !left.is_none() && &*idle.pool == pool && !keeps(idle);
            if out {
                left = left.saturating_sub(Amount::one(idle.bytes));
            }
            out
        })
    }

    /// Takes out all for which `which` says so.
    pub(super) fn take_out(&mut self, mut which: impl FnMut(&mut Idle<T>) -> bool) -> Vec<Idle<T>> {
        let mut out = Vec::new();
        for mut idle in std::mem::take(&mut self.idle) {
            if which(&mut idle) { out.push(idle) } else { self.idle.push(idle) }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::constraints::{Fourcc, Modifier, Size};
    use crate::solver::PlaneLayout;

    fn key(width: u32) -> Key {
        let planes = vec![PlaneLayout { offset: 0, pitch: 4096, size: 4096 }];
        let size = Size::new(width, 1);
        let layout = Layout::new(size, Fourcc::XRGB8888, Modifier::LINEAR, planes, 4096).unwrap();
        Key { heap: HeapId::new("h0"), layout }
    }

    fn shelf(items: &[(u32, u32, u64)]) -> Shelf<u32> {
        let mut shelf = Shelf::default();
        for (name, owner, bytes) in items {
            let owner = Owner::new(u64::from(*owner));
            shelf.put(Idle::new(*name, key(1), owner, "ram".into(), *bytes, false));
        }
        shelf
    }

    fn names(idle: Vec<Idle<u32>>) -> Vec<u32> {
        idle.into_iter().map(|idle| idle.item).collect()
    }

    #[test]
    fn the_owner_gets_its_newest_and_another_the_oldest() {
        let mut shelf = shelf(&[(1, 7, 10), (2, 8, 10), (3, 7, 10), (4, 7, 10)]);
        let ready = |idle: &Idle<u32>| idle.item != 4;
        let (seven, nine) = (Owner::new(7), Owner::new(9));
        assert_eq!(shelf.take_own(&key(1), seven, ready).unwrap().item, 3);
        assert!(shelf.take_own(&key(2), seven, |_| true).is_none());
        assert!(shelf.take_own(&key(1), nine, |_| true).is_none());
        assert_eq!(shelf.take_others(&key(1), nine, |_| true).unwrap().item, 1);
        assert_eq!(shelf.take_others(&key(1), seven, |_| true).unwrap().item, 2);
        assert!(shelf.take_others(&key(1), nine, |idle| !idle.exported && idle.item != 4).is_none());
    }

    #[test]
    fn the_oldest_go_first_when_there_are_too_many_or_too_large_ones() {
        let limits = IdleLimits { count: 2, bytes: 25, age: Duration::MAX };
        let none = |_: &Idle<u32>| false;
        assert_eq!(names(shelf(&[(1, 1, 1), (2, 1, 1), (3, 1, 1)]).over(&limits, none)), [1]);
        assert_eq!(names(shelf(&[(1, 1, 20), (2, 1, 10)]).over(&limits, none)), [1]);
        assert_eq!(names(shelf(&[(1, 1, 99)]).over(&limits, none)), [1]);
        let first = |idle: &Idle<u32>| idle.item == 1;
        assert_eq!(names(shelf(&[(1, 1, 20), (2, 1, 10), (3, 1, 20)]).over(&limits, first)), [2]);
    }

    #[test]
    fn age_is_counted_from_the_first_look_and_kept_entries_do_not_go() {
        let mut shelf = shelf(&[(1, 1, 1), (2, 1, 1)]);
        let seconds = Duration::from_secs;
        let two = |idle: &Idle<u32>| idle.item == 2;
        assert!(shelf.aged(seconds(100), seconds(10), two).is_empty());
        shelf.put(Idle::new(3, key(1), Owner::new(1), "ram".into(), 1, false));
        assert!(shelf.aged(seconds(109), seconds(10), two).is_empty());
        assert_eq!(names(shelf.aged(seconds(110), seconds(10), two)), [1]);
        assert_eq!(names(shelf.aged(seconds(119), seconds(10), two)), [3]);
        // A clock that goes back ages nothing.
        assert!(shelf.aged(seconds(1), seconds(10), |_| false).is_empty());
    }

    #[test]
    fn relief_takes_no_more_than_is_wanted_and_only_from_that_pool() {
        let mut shelf = shelf(&[(1, 1, 10), (2, 1, 10), (3, 1, 10)]);
        shelf.put(Idle::new(4, key(1), Owner::new(1), "cma".into(), 10, false));
        let none = |_: &Idle<u32>| false;
        assert_eq!(names(shelf.relieve("ram", Amount { count: 0, bytes: 11 }, none)), [1, 2]);
        assert_eq!(names(shelf.relieve("cma", Amount::count(5), none)), [4]);
        assert!(shelf.relieve("ram", Amount::default(), none).is_empty());
        assert_eq!(shelf.amount(|_| true), Amount::one(10));
    }

    #[test]
    fn who_came_home_counts_as_never_exported() {
        let mut shelf = Shelf::default();
        for item in [1, 2] {
            shelf.put(Idle::new(item, key(1), Owner::new(1), "ram".into(), 10, true));
        }
        let mut home = Vec::new();
        shelf.come_home(|idle| idle.item == 2, |idle| home.push(idle.item));
        shelf.come_home(|idle| idle.item == 2, |idle| home.push(idle.item));
        assert_eq!(home, [2]);
        assert_eq!(shelf.amount(|idle| idle.exported).count, 1);
    }
}
