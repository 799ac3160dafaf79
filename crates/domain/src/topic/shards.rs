//! Shards: the partitions of the tables over which a topic's events, and the attempts of their deliveries, are spread.
//!
//! A partition takes 1,000 write units a second, whatever the table takes
//! (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html>). A topic has one
//! shard until that is not enough; their number is stored with the topic, and only grows. An event is in one shard,
//! which follows from its id and the number of shards when it was accepted; messages carry it.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::ids::EventId;

/// The most shards of a topic.
const MOST_SHARDS: u16 = 64;

/// How many shards a topic has: 1, 2, 4, … 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct Shards(u16);

/// A number of shards that no topic has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 1, 2, 4, 8, 16, 32 or {MOST_SHARDS}")]
pub struct BadShards;

/// One of a topic's shards, by its number from 0. The first one has the partitions that there would be without shards.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Shard(u16);

impl Shards {
    /// A single one.
    pub const ONE: Self = Self(1);

    /// The shard of an event that is accepted now.
    pub fn of(self, event_id: &EventId) -> Shard {
        if self.is_one() {
            return Shard::default();
        }
        let hash = Sha256::digest(event_id.as_str().as_bytes());
        // More shards than a byte can tell apart are never allowed.
        Shard(hash.first().map_or(0, |byte| u16::from(*byte) % self.0))
    }

    /// Another shard for an event than those that there were before the number has doubled.
    pub fn new_half_of(self, event_id: &EventId) -> Shard {
        let half = Self(self.0 / 2);
        if half.0 == 0 {
            return Shard::default();
        }
        // Of one that there was before, as many behind.
        Shard(half.of(event_id).0 + half.0)
    }

    /// All of them, by their numbers.
    pub fn all(self) -> impl Iterator<Item = Shard> + Clone {
        (0..self.0).map(Shard)
    }

    /// Whether there is a single one.
    pub fn is_one(&self) -> bool {
        *self == Self::ONE
    }

    /// How many there are.
    pub fn count(self) -> u16 {
        self.0
    }

    /// Twice as many; `None` when there are as many as there can be.
    pub fn doubled(self) -> Option<Self> {
        Self::try_from(self.0.saturating_mul(2)).ok()
    }
}

impl Default for Shards {
    fn default() -> Self {
        Self::ONE
    }
}

impl TryFrom<u16> for Shards {
    type Error = BadShards;

    fn try_from(count: u16) -> Result<Self, BadShards> {
        if count.is_power_of_two() && count <= MOST_SHARDS {
            Ok(Self(count))
        } else {
            Err(BadShards)
        }
    }
}

impl From<Shards> for u16 {
    fn from(shards: Shards) -> Self {
        shards.0
    }
}

impl Shard {
    /// Whether it is the first one.
    pub fn is_first(&self) -> bool {
        self.0 == 0
    }

    /// The partition key of this shard, of what has the partition key `base` in the first one: `base`, `#` and the
    /// number.
    pub fn partition(self, base: &str) -> String {
        if self.is_first() {
            base.to_owned()
        } else {
            format!("{base}#{}", self.0)
        }
    }

    /// The `base` and the shard of a partition key; `None` if it is none that [`Self::partition`] makes.
    pub fn of_partition(key: &str) -> Option<(&str, Self)> {
        let Some((base, number)) = key.split_once('#') else {
            return Some((key, Self::default()));
        };
        let shard = Self(number.parse().ok()?);
        (shard.partition(base) == key && shard.0 < MOST_SHARDS).then_some((base, shard))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ids::new_event_id;

    #[test]
    fn a_partition_says_its_shard() {
        for shard in Shards(MOST_SHARDS).all() {
            let key = shard.partition("base");
            assert_eq!(Shard::of_partition(&key), Some(("base", shard)));
        }
        for no_key in [
            "base#0", "base#01", "base#64", "base#x", "base#1#1", "base#",
        ] {
            assert_eq!(Shard::of_partition(no_key), None, "{no_key}");
        }
    }

    #[test]
    fn only_powers_of_two_up_to_64() {
        let good: Vec<u16> = (0..=u16::MAX)
            .filter(|count| Shards::try_from(*count).is_ok())
            .collect();
        assert_eq!(good, [1, 2, 4, 8, 16, 32, 64]);
        assert_eq!(Shards::ONE.doubled(), Shards::try_from(2).ok());
        assert_eq!(Shards::try_from(64).unwrap().doubled(), None);
    }

    #[test]
    fn the_first_has_the_partition_without_shards() {
        let four = Shards::try_from(4).unwrap();
        let partitions: Vec<String> = four.all().map(|shard| shard.partition("t")).collect();
        assert_eq!(partitions, ["t", "t#1", "t#2", "t#3"]);
    }

    /// Ten thousand events of 1 KB a second, of two write units each, stay below the 1,000 units of a partition.
    #[test]
    fn ids_are_spread_evenly() {
        let shards = Shards::try_from(32).unwrap();
        let mut events = [0u32; 32];
        for _ in 0..10_000 {
            events[usize::from(shards.of(&new_event_id()).0)] += 1;
        }
        assert!(
            events.iter().all(|count| (200..450).contains(count)),
            "{events:?}"
        );
    }

    proptest! {
        #[test]
        fn an_event_has_the_same_shard_each_time(id in "[a-z0-9-]{0,40}", power in 0u32..7) {
            let shards = Shards::try_from(1 << power).unwrap();
            let shard = shards.of(&EventId::new(id.clone()));
            prop_assert_eq!(shard, shards.of(&EventId::new(id.clone())));
            prop_assert!(shards.all().any(|it| it == shard));
            if let Some(more) = shards.doubled() {
                let new = more.new_half_of(&EventId::new(id));
                prop_assert!(more.all().any(|it| it == new) && shards.all().all(|it| it != new));
            }
        }
    }
}
