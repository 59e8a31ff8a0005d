//! Who is next, so that nobody who asks much makes others wait for all of it. Pure.

use std::collections::VecDeque;

/// Items of several owners: each owner's in their order, the owners in turns.
#[derive(Debug)]
pub struct Turns<K, T> {
    /// Owners that have any, in the order of their turns.
    queues: VecDeque<(K, VecDeque<T>)>,
}

impl<K, T> Default for Turns<K, T> {
    fn default() -> Self {
        Turns { queues: VecDeque::new() }
    }
}

impl<K: PartialEq, T: PartialEq> Turns<K, T> {
    /// One more item of an owner.
    pub fn push(&mut self, owner: K, item: T) {
        match self.queues.iter_mut().find(|(known, _)| *known == owner) {
            Some((_, items)) => items.push_back(item),
            None => self.queues.push_back((owner, VecDeque::from([item]))),
        }
    }

    /// The next item; its owner has to wait for everybody else then.
    pub fn pop(&mut self) -> Option<T> {
        let (owner, mut items) = self.queues.pop_front()?;
        let item = items.pop_front();
        if !items.is_empty() {
            self.queues.push_back((owner, items));
        }
        item
    }

    /// Takes every such item of an owner away.
    pub fn remove(&mut self, owner: &K, item: &T) {
        if let Some((_, items)) = self.queues.iter_mut().find(|(known, _)| known == owner) {
            items.retain(|known| known != item);
        }
        self.queues.retain(|(_, items)| !items.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_item_waits_for_one_of_each_other_owner_only() {
        let mut turns = Turns::default();
        for item in 0..100 {
            turns.push("greedy", item);
        }
        turns.push("modest", 1000);
        turns.push("other", 2000);
        let first: Vec<_> = std::iter::from_fn(|| turns.pop()).take(5).collect();
        assert_eq!(first, [0, 1000, 2000, 1, 2]);
    }

    #[test]
    fn what_is_taken_away_is_not_served() {
        let mut turns = Turns::default();
        for item in [1, 2, 1] {
            turns.push("a", item);
        }
        turns.push("b", 1);
        turns.remove(&"a", &1);
        turns.remove(&"c", &1);
        assert_eq!((turns.pop(), turns.pop(), turns.pop()), (Some(2), Some(1), None));
    }
}
