//! Payload types of topics, and the modes in which their publications are delivered.

use serde::{Deserialize, Serialize};

/// What each publication to a topic is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PayloadType {
    /// Each publication is the topic's whole document.
    Snapshot,
    /// Each publication is an event of its own.
    Event,
}

/// The form in which a topic's publications are delivered to a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SubscriptionMode {
    /// The whole document at each change.
    SnapshotOnly,
    /// The whole document once, then its changes as patches.
    SnapshotPatch,
    /// Each event as it was published.
    Event,
}

impl SubscriptionMode {
    /// Whether a topic of this payload type can be delivered in this mode.
    pub fn fits(self, payload: PayloadType) -> bool {
        (self == Self::Event) == (payload == PayloadType::Event)
    }
}

/// Why modes were refused; the text is for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadModes {
    /// The list of allowed modes is empty.
    #[error("must not be empty")]
    Empty,
    /// A mode doesn't fit the topic's payload type.
    #[error("does not fit the topic's payload type")]
    Unfit,
    /// A mode is not among the allowed ones.
    #[error("is not one of the modes that the topic allows")]
    NotAllowed,
}

/// The modes that a topic allows, and the one of subscriptions that ask for none. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Modes {
    allowed: Vec<SubscriptionMode>,
    default: SubscriptionMode,
}

impl Modes {
    /// Checks the modes of a topic's definition. Without `allowed`, all modes that fit are allowed;
    /// without `default`, the first allowed one is the default.
    pub fn new(
        payload: PayloadType,
        allowed: Option<&[SubscriptionMode]>,
        default: Option<SubscriptionMode>,
    ) -> Result<Self, BadModes> {
        let fitting = [
            SubscriptionMode::SnapshotPatch,
            SubscriptionMode::SnapshotOnly,
            SubscriptionMode::Event,
        ]
        .into_iter()
        .filter(|mode| mode.fits(payload));
        let allowed = match allowed {
            Some(modes) => modes.to_vec(),
            None => fitting.collect(),
        };
        if allowed.iter().any(|mode| !mode.fits(payload)) {
            return Err(BadModes::Unfit);
        }
        let first = *allowed.first().ok_or(BadModes::Empty)?;
        let default = default.unwrap_or(first);
        if !allowed.contains(&default) {
            return Err(BadModes::NotAllowed);
        }
        Ok(Self { allowed, default })
    }

    /// The mode of a subscription that asks for `wanted`; the default when it asks for none.
    pub fn choose(&self, wanted: Option<SubscriptionMode>) -> Result<SubscriptionMode, BadModes> {
        let mode = wanted.unwrap_or(self.default);
        if self.allowed.contains(&mode) {
            Ok(mode)
        } else {
            Err(BadModes::NotAllowed)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use PayloadType::{Event as Events, Snapshot};
    use SubscriptionMode::{Event, SnapshotOnly, SnapshotPatch};

    fn default_of(
        payload: PayloadType,
        allowed: Option<&[SubscriptionMode]>,
        default: Option<SubscriptionMode>,
    ) -> Result<SubscriptionMode, BadModes> {
        Modes::new(payload, allowed, default)?.choose(None)
    }

    #[test]
    fn the_default_is_the_topics_else_its_first_else_the_usual() {
        assert_eq!(default_of(Snapshot, None, None), Ok(SnapshotPatch));
        assert_eq!(default_of(Events, None, None), Ok(Event));
        assert_eq!(
            default_of(Snapshot, None, Some(SnapshotOnly)),
            Ok(SnapshotOnly)
        );
        let both = [SnapshotOnly, SnapshotPatch];
        assert_eq!(default_of(Snapshot, Some(&both), None), Ok(SnapshotOnly));
        assert_eq!(
            default_of(Snapshot, Some(&both), Some(SnapshotPatch)),
            Ok(SnapshotPatch)
        );
    }

    #[test]
    fn modes_fit_the_payload_and_each_other() {
        assert_eq!(default_of(Snapshot, Some(&[]), None), Err(BadModes::Empty));
        assert_eq!(
            default_of(Snapshot, Some(&[Event]), None),
            Err(BadModes::Unfit)
        );
        assert_eq!(
            default_of(Events, Some(&[SnapshotOnly]), None),
            Err(BadModes::Unfit)
        );
        assert_eq!(
            default_of(Events, None, Some(SnapshotOnly)),
            Err(BadModes::NotAllowed)
        );
        let only = Modes::new(Snapshot, Some(&[SnapshotOnly]), None).unwrap();
        assert_eq!(only.choose(Some(SnapshotPatch)), Err(BadModes::NotAllowed));
        assert_eq!(only.choose(Some(Event)), Err(BadModes::NotAllowed));
        assert_eq!(only.choose(Some(SnapshotOnly)), Ok(SnapshotOnly));
    }
}
