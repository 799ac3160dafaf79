//! The headers of a delivery that are Bellwire's own: they are sent, and made again when an attempt is shown, so that
//! its record need not hold what follows from elsewhere.

use time::OffsetDateTime;

use crate::ids::{DeliveryId, EventId, SubscriptionId, TopicId};

/// What the headers of an attempt say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnHeaders<'a> {
    /// The id of the delivery.
    pub delivery_id: &'a DeliveryId,
    /// When the request is sent.
    pub sent_at: OffsetDateTime,
    /// How many attempts have failed before.
    pub failures: usize,
    /// The signature, or several, separated by spaces.
    pub signature: &'a str,
    /// The name under which the endpoint allows deliveries, if it was asked.
    pub origin: Option<&'a str>,
    /// What protocol B adds; `None` for the others.
    pub streams: Option<StreamsHeaders<'a>>,
}

/// The headers of protocol B.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamsHeaders<'a> {
    /// The id of the subscription.
    pub subscription_id: &'a SubscriptionId,
    /// The id of the topic.
    pub topic_id: &'a TopicId,
    /// The id of the event, or of the version.
    pub event_id: &'a EventId,
    /// `snapshot`, `patch`, `event` or `error`.
    pub event_type: &'a str,
    /// The number of the version, of a document.
    pub version: Option<u64>,
    /// The version that a patch changes.
    pub base_version: Option<u64>,
}

impl OwnHeaders<'_> {
    /// The names, in lower case, and the values. Those of Standard Webhooks come first, then those of the protocol.
    /// <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>
    pub fn all(&self) -> Vec<(&'static str, String)> {
        let mut headers = vec![
            ("content-type", "application/json".to_owned()),
            ("user-agent", "Bellwire".to_owned()),
            ("webhook-id", self.delivery_id.to_string()),
            (
                "webhook-timestamp",
                self.sent_at.unix_timestamp().to_string(),
            ),
            ("webhook-signature", self.signature.to_owned()),
            ("x-bellwire-attempt", (self.failures + 1).to_string()),
        ];
        if let Some(origin) = self.origin {
            headers.push(("origin", origin.to_owned()));
        }
        if let Some(streams) = &self.streams {
            headers.extend([
                (
                    "x-axway-streams-subscription-id",
                    streams.subscription_id.to_string(),
                ),
                ("x-axway-streams-topic-id", streams.topic_id.to_string()),
                ("x-axway-streams-event-id", streams.event_id.to_string()),
                ("x-axway-streams-event-type", streams.event_type.to_owned()),
            ]);
            let versions = [
                ("x-bellwire-version", streams.version),
                ("x-bellwire-base-version", streams.base_version),
            ];
            let versions = versions.into_iter();
            headers
                .extend(versions.filter_map(|(name, version)| Some((name, version?.to_string()))));
        }
        headers
    }
}
