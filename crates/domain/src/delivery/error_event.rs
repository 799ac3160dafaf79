//! Error events: deliveries that inform a subscriber of an error.

use crate::ids::SubscriptionId;
use serde::Serialize;
use time::OffsetDateTime;

use crate::timestamp::iso_serde;

/// An error event, as it is delivered.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ErrorEvent<'a> {
    /// When the error happened.
    #[serde(with = "iso_serde")]
    pub datetime: OffsetDateTime,
    /// The subscription that receives the event.
    pub subscription_id: &'a SubscriptionId,
    /// The kind of error, as a number.
    pub code: u32,
    /// What the error is about: `subscription`.
    pub category: &'static str,
    /// A description of the error, for people.
    pub message: &'static str,
}

impl<'a> ErrorEvent<'a> {
    /// The topic was deleted, and the subscription with it.
    pub fn topic_not_found(subscription_id: &'a SubscriptionId, datetime: OffsetDateTime) -> Self {
        Self {
            datetime,
            subscription_id,
            code: 40404,
            category: "subscription",
            message: "Topic not found: it was deleted, and this subscription with it",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_as_the_protocol_has_it() {
        let id = SubscriptionId::new("s1");
        let event = ErrorEvent::topic_not_found(&id, OffsetDateTime::UNIX_EPOCH);
        let json = serde_json::to_value(&event).unwrap();
        assert_eq!(json["datetime"], "1970-01-01T00:00:00.000000Z");
        assert_eq!(
            (&json["code"], &json["category"]),
            (&40404.into(), &"subscription".into())
        );
        assert_eq!(json["subscriptionId"], "s1");
    }
}
