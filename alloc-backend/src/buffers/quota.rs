//! Who holds how much, and how much they may. Pure: it counts what it is told.
//!
//! Nothing is ever counted twice or forgotten: what [`Quotas::take`] took, [`Quotas::give_back`] gives back. A refusal
//! changes nothing.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;

use serde::{Deserialize, Serialize};

/// A number of things and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amount {
    /// How many.
    pub count: u64,
    /// Bytes together.
    pub bytes: u64,
}

impl Amount {
    /// One thing of so many bytes.
    pub fn one(bytes: u64) -> Self {
        Amount { count: 1, bytes }
    }

    /// Things without bytes: descriptors, for example.
    pub fn count(count: u64) -> Self {
        Amount { count, bytes: 0 }
    }

    /// Nothing.
    pub fn is_none(&self) -> bool {
        *self == Amount::default()
    }

    /// The sum; `None` when it does not fit 64 bits.
    pub fn checked_add(self, other: Amount) -> Option<Amount> {
        let count = self.count.checked_add(other.count)?;
        Some(Amount { count, bytes: self.bytes.checked_add(other.bytes)? })
    }

    /// The difference, never below nothing.
    #[must_use]
    pub fn saturating_sub(self, other: Amount) -> Amount {
        let count = self.count.saturating_sub(other.count);
        Amount { count, bytes: self.bytes.saturating_sub(other.bytes) }
    }
}

/// What may be held at most; `None` is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// Things.
    pub count: Option<u64>,
    /// Bytes together.
    pub bytes: Option<u64>,
}

impl Limit {
    /// No limit at all.
    pub const NONE: Limit = Limit { count: None, bytes: None };

    /// A limit on both.
    pub const fn of(count: u64, bytes: u64) -> Self {
        Limit { count: Some(count), bytes: Some(bytes) }
    }

    /// A limit on the number alone.
    pub const fn of_count(count: u64) -> Self {
        Limit { count: Some(count), bytes: None }
    }

    /// What of `wanted` is too much beside `used`.
    pub(super) fn refuses(&self, used: Amount, wanted: Amount) -> Option<Overdrawn> {
        let over = |unit, used: u64, wanted: u64, limit: Option<u64>| {
            let limit = limit?;
            // Asking for nothing of a kind is fine, also where the limit was lowered below what is held.
            let fits = wanted == 0 || used.checked_add(wanted).is_some_and(|sum| sum <= limit);
            (!fits).then_some(Overdrawn { unit, used, wanted, limit })
        };
        over(Unit::Count, used.count, wanted.count, self.count)
            .or_else(|| over(Unit::Bytes, used.bytes, wanted.bytes, self.bytes))
    }
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Things.
    Count,
    /// Bytes.
    Bytes,
}

/// A quota that does not allow what was asked: which unit, how much of it is used, asked for and allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overdrawn {
    /// What there would be too much of.
    pub unit: Unit,
    /// Held already.
    pub used: u64,
    /// Asked for on top.
    pub wanted: u64,
    /// Allowed in all.
    pub limit: u64,
}

impl fmt::Display for Overdrawn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.unit {
            Unit::Count => "buffers",
            Unit::Bytes => "bytes",
        };
        write!(f, "{} of {} {unit} used, {} more asked", self.used, self.limit, self.wanted)
    }
}

impl std::error::Error for Overdrawn {}

/// Accounts of many holders: what each holds, against a limit for all of them or one of its own.
///
/// ```
/// use heapwright_alloc::buffers::{Amount, Limit, Quotas};
///
/// let mut quotas = Quotas::new(Limit::of(2, 1 << 20));
/// quotas.take(&"client 7", Amount::one(4096)).unwrap();
/// quotas.take(&"client 7", Amount::one(4096)).unwrap();
/// let refused = quotas.take(&"client 7", Amount::one(4096)).unwrap_err();
/// assert_eq!(refused.to_string(), "2 of 2 buffers used, 1 more asked");
/// assert!(quotas.take(&"client 8", Amount::one(4096)).is_ok());
/// quotas.give_back(&"client 7", Amount::one(4096));
/// assert_eq!(quotas.used(&"client 7"), Amount::one(4096));
/// ```
#[derive(Debug, Clone)]
pub struct Quotas<K> {
    used: HashMap<K, Amount>,
    limit: Limit,
    own_limits: HashMap<K, Limit>,
}

impl<K: Eq + Hash + Clone> Quotas<K> {
    /// The same limit for everybody.
    pub fn new(limit: Limit) -> Self {
        Quotas { used: HashMap::new(), limit, own_limits: HashMap::new() }
    }

    /// A limit of its own for one holder, in place of everybody's. What is held already stays.
    pub fn set_limit(&mut self, holder: K, limit: Limit) {
        self.own_limits.insert(holder, limit);
    }

    /// What this holder may hold.
    pub fn limit(&self, holder: &K) -> Limit {
        self.own_limits.get(holder).copied().unwrap_or(self.limit)
    }

    /// What this holder holds.
    pub fn used(&self, holder: &K) -> Amount {
        self.used.get(holder).copied().unwrap_or_default()
    }

    /// Everybody who holds something.
    pub fn holders(&self) -> impl Iterator<Item = (&K, Amount)> {
        self.used.iter().map(|(holder, amount)| (holder, *amount))
    }

    /// Whether so much more would be allowed.
    ///
    /// # Errors
    /// [`Overdrawn`] as [`Quotas::take`].
    pub fn allows(&self, holder: &K, wanted: Amount) -> Result<(), Overdrawn> {
        match self.limit(holder).refuses(self.used(holder), wanted) {
            Some(overdrawn) => Err(overdrawn),
            None => Ok(()),
        }
    }

    /// Counts so much more.
    ///
    /// # Errors
    /// [`Overdrawn`]; nothing was counted then.
    pub fn take(&mut self, holder: &K, wanted: Amount) -> Result<(), Overdrawn> {
        self.allows(holder, wanted)?;
        self.charge(holder, wanted);
        Ok(())
    }

    /// Counts what is there already, limit or no limit.
    pub fn charge(&mut self, holder: &K, amount: Amount) {
        if amount.is_none() {
            return;
        }
        let sum = self.used(holder).checked_add(amount);
        self.used.insert(holder.clone(), sum.unwrap_or(Amount { count: u64::MAX, bytes: u64::MAX }));
    }

    /// Counts so much less.
    pub fn give_back(&mut self, holder: &K, amount: Amount) {
        if let Some(used) = self.used.get_mut(holder) {
            *used = used.saturating_sub(amount);
            if used.is_none() {
                self.used.remove(holder);
            }
        }
    }

    /// Forgets a holder who is gone, with its own limit; what it held.
    pub fn forget(&mut self, holder: &K) -> Amount {
        self.own_limits.remove(holder);
        self.used.remove(holder).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn count_and_bytes_are_limited_each_and_the_refusal_says_which() {
        let mut quotas = Quotas::new(Limit::of(3, 100));
        quotas.take(&1, Amount::one(60)).unwrap();
        let refused = quotas.take(&1, Amount::one(41)).unwrap_err();
        assert_eq!(refused, Overdrawn { unit: Unit::Bytes, used: 60, wanted: 41, limit: 100 });
        quotas.take(&1, Amount::one(40)).unwrap();
        quotas.take(&1, Amount::one(0)).unwrap();
        assert_eq!(quotas.take(&1, Amount::one(0)).unwrap_err().unit, Unit::Count);
        assert_eq!(quotas.used(&1), Amount { count: 3, bytes: 100 });
        assert!(quotas.take(&2, Amount::one(100)).is_ok());
    }

    #[test]
    fn a_refusal_counts_nothing_and_an_overflow_is_a_refusal() {
        let mut quotas = Quotas::new(Limit { count: None, bytes: Some(u64::MAX) });
        quotas.take(&(), Amount::one(u64::MAX)).unwrap();
        assert!(quotas.take(&(), Amount::one(1)).is_err());
        assert_eq!(quotas.used(&()), Amount::one(u64::MAX));
    }

    #[test]
    fn what_is_given_back_can_be_taken_again_and_an_empty_account_is_gone() {
        let mut quotas = Quotas::new(Limit::of_count(1));
        quotas.take(&"a", Amount::one(9)).unwrap();
        quotas.give_back(&"a", Amount::one(9));
        assert_eq!(quotas.holders().count(), 0);
        quotas.take(&"a", Amount::one(9)).unwrap();
        assert_eq!(quotas.forget(&"a"), Amount::one(9));
        assert_eq!(quotas.forget(&"a"), Amount::default());
    }

    #[test]
    fn a_limit_of_its_own_goes_before_everybodys_and_may_lie_below_what_is_held() {
        let mut quotas = Quotas::new(Limit::of_count(1));
        quotas.set_limit("kiosk", Limit::NONE);
        for _ in 0..9 {
            quotas.take(&"kiosk", Amount::one(1 << 40)).unwrap();
        }
        quotas.set_limit("kiosk", Limit::of_count(2));
        assert_eq!(quotas.take(&"kiosk", Amount::one(1)).unwrap_err().used, 9);
        assert!(quotas.allows(&"kiosk", Amount::default()).is_ok());
    }
}
