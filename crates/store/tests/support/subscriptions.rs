//! A table of subscriptions with one to a document.

use bellwire_domain::endpoint::signature::generate_secret;
use bellwire_domain::ids::{SubscriptionId, TopicId};
use bellwire_domain::topic::modes::SubscriptionMode;
use bellwire_store::subscription::{Source, Subscription, Webhook};
use bellwire_store::subscriptions::Created;
use bellwire_store::{Limits, Subscriptions};
use time::OffsetDateTime;

use super::TABLE;

/// When everything happens, unless a test says otherwise.
pub const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;
/// Limits that are not reached.
pub const LIMITS: Limits = Limits {
    of_client: 1_000_000,
    at_host: 1_000_000,
};

/// A table with [`subscription`].
pub async fn subscribed() -> Subscriptions {
    let db = super::table(&["subscription_id"], None).await;
    super::add_table(&db, "members", &["audience_segment", "subscription_id"]).await;
    let subscriptions = Subscriptions::new(db, TABLE.to_owned(), "members".to_owned());
    let created = subscriptions
        .create(&subscription(), &LIMITS, Vec::new())
        .await;
    assert_eq!(created.unwrap(), Created::Done);
    subscriptions
}

/// The subscription `s1` of the client `c1` to the document of the topic `t1`, to which nothing was
/// delivered yet.
pub fn subscription() -> Subscription {
    let source = Source::Topic {
        topic_id: TopicId::new("t1"),
        mode: SubscriptionMode::SnapshotPatch,
    };
    let webhook = Webhook::new("https://example.com/", generate_secret().unwrap());
    Subscription::new(SubscriptionId::new("s1"), "c1", source, webhook, NOW)
}
