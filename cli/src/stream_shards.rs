//! Which shards of a DynamoDB stream are read: those that were open at the beginning, and their descendants.
//!
//! A shard ends after some hours, or when its partition is split, and is continued by its children. `DescribeStream` may list
//! a shard as ended before it lists its children: until it does, it is asked again.
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html>

use std::collections::HashSet;

/// A shard, as `DescribeStream` lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedShard {
    pub id: String,
    pub parent: Option<String>,
    /// Whether nothing more comes into it.
    pub ended: bool,
}

/// The shards that are known, and those whose children are not.
#[derive(Debug, Default)]
pub struct StreamShards {
    known: HashSet<String>,
    childless: HashSet<String>,
}

impl StreamShards {
    /// Begins with a first list of shards: returns too those that are open.
    pub fn begin(listed: &[ListedShard]) -> (Self, Vec<String>) {
        let mut shards = Self::default();
        for shard in listed.iter().filter(|it| it.ended) {
            shards.childless.insert(shard.id.clone());
        }
        let new = shards.listed(listed);
        let open = listed.iter().filter(|it| !it.ended);
        let open: HashSet<&str> = open.map(|it| it.id.as_str()).collect();
        let open = new.into_iter().filter(|id| open.contains(id.as_str()));
        let open = open.collect();
        (shards, open)
    }

    /// A shard was read to its end.
    pub fn ended(&mut self, id: String) {
        self.childless.insert(id);
    }

    /// Whether a list of shards is needed, for the children of one that has ended.
    pub fn has_childless(&self) -> bool {
        !self.childless.is_empty()
    }

    /// Takes a later list of shards in: returns those that are new, to be read from their beginning.
    pub fn listed(&mut self, listed: &[ListedShard]) -> Vec<String> {
        let mut new = Vec::new();
        for shard in listed {
            if let Some(parent) = &shard.parent {
                self.childless.remove(parent);
            }
            if self.known.insert(shard.id.clone()) {
                new.push(shard.id.clone());
            }
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(id: &str, parent: Option<&str>, ended: bool) -> ListedShard {
        ListedShard {
            id: id.to_owned(),
            parent: parent.map(str::to_owned),
            ended,
        }
    }

    #[test]
    fn those_that_are_open_are_read_and_later_their_children() {
        let first = [shard("a", None, true), shard("b", Some("a"), false)];
        let (mut shards, open) = StreamShards::begin(&first);
        assert_eq!(open, ["b"]);
        assert!(!shards.has_childless());
        shards.ended("b".to_owned());
        assert!(shards.has_childless());
        // Its children are listed later than its end.
        assert!(shards.listed(&first).is_empty());
        assert!(shards.has_childless());
        let split = [
            shard("b", Some("a"), true),
            shard("c", Some("b"), false),
            shard("d", Some("b"), false),
        ];
        assert_eq!(shards.listed(&split), ["c", "d"]);
        assert!(!shards.has_childless());
        assert!(shards.listed(&split).is_empty());
    }

    #[test]
    fn a_child_that_is_not_listed_at_the_beginning_is_found_later() {
        let (mut shards, open) = StreamShards::begin(&[shard("a", None, true)]);
        assert!(open.is_empty() && shards.has_childless());
        let later = [shard("a", None, true), shard("b", Some("a"), false)];
        assert_eq!(shards.listed(&later), ["b"]);
        assert!(!shards.has_childless());
    }

    #[test]
    fn one_that_ends_and_has_ended_in_the_next_list_is_read_too() {
        let (mut shards, open) = StreamShards::begin(&[shard("a", None, false)]);
        assert_eq!(open, ["a"]);
        shards.ended("a".to_owned());
        let later = [shard("b", Some("a"), true), shard("c", Some("b"), false)];
        assert_eq!(shards.listed(&later), ["b", "c"]);
    }
}
