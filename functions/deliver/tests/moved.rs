//! What becomes of deliveries whose subscription is given another URL.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use bellwire_domain::ids::SubscriptionId;
use bellwire_domain::topic::modes::SubscriptionMode;
use bellwire_doubles::endpoint::Endpoint;
use bellwire_doubles::{Aws, Effect};
use bellwire_queues::{Delivery, DeliveryKind};
use bellwire_store::Limits;
use bellwire_store::subscription::Webhook;
use bellwire_store::subscription_change::{Changed, SubscriptionChange};
use support::{applied, commit, deliver, delivery, event, expire_lease, ids, subscribed};
use time::OffsetDateTime;

/// Gives the subscription another URL.
async fn move_to(aws: &Aws, endpoint: &Endpoint) {
    let subscriptions = aws.subscriptions();
    let known = subscriptions.get(&SubscriptionId::new("s1")).await.unwrap();
    let known = known.unwrap();
    let change = SubscriptionChange {
        webhook: Webhook {
            url: endpoint.url.clone(),
            ..known.webhook().clone()
        },
        mode: known.topic().unwrap().1,
        enabled: None,
    };
    let limits = Limits {
        of_client: 10,
        at_host: 10,
    };
    let changed = subscriptions.change(&known, &change, &limits, OffsetDateTime::now_utc());
    assert!(matches!(changed.await.unwrap(), Changed::Done(_)));
}

fn version(version: u64) -> [Delivery; 1] {
    [delivery(DeliveryKind::Document { version })]
}

#[tokio::test]
async fn the_retry_of_an_event_goes_to_the_new_url() {
    let (aws, old) = subscribed(SubscriptionMode::Event).await;
    let new = Endpoint::start().await;
    old.answer(&[500]);
    assert!(deliver(&aws, &[event("e1")]).await.is_empty());
    move_to(&aws, &new).await;
    let retries: Vec<Delivery> = aws.messages("RetriesQueue");
    assert!(deliver(&aws, &retries).await.is_empty());
    assert_eq!((old.received().len(), new.received().len()), (1, 1));
    assert_eq!(ids(&old), ids(&new));
}

#[tokio::test]
async fn the_new_url_gets_a_snapshot_and_then_patches_though_a_retry_was_pending() {
    let (aws, old) = subscribed(SubscriptionMode::SnapshotPatch).await;
    let new = Endpoint::start().await;
    commit(&aws, 1).await;
    assert!(deliver(&aws, &version(1)).await.is_empty());
    commit(&aws, 2).await;
    old.answer(&[500]);
    assert!(deliver(&aws, &version(2)).await.is_empty());
    let retries: Vec<Delivery> = aws.messages("RetriesQueue");
    assert_eq!(retries.len(), 1);
    move_to(&aws, &new).await;
    // The message that the change sends, or that of another version, doesn't wait for the retry.
    assert!(deliver(&aws, &version(2)).await.is_empty());
    assert_eq!(new.received()[0].body, b"2");
    assert!(deliver(&aws, &retries).await.is_empty());
    assert_eq!((old.received().len(), new.received().len()), (2, 1));
    commit(&aws, 3).await;
    assert!(deliver(&aws, &version(3)).await.is_empty());
    assert!(new.received()[1].body.starts_with(b"["));
    assert_eq!(applied(&new), Some(3));
}

#[tokio::test]
async fn the_new_url_ends_at_the_last_version_wherever_the_function_is_killed_before() {
    for effect in [Effect::None, Effect::Done] {
        for n in 1.. {
            let (aws, old) = subscribed(SubscriptionMode::SnapshotPatch).await;
            let new = Endpoint::start().await;
            commit(&aws, 1).await;
            assert!(deliver(&aws, &version(1)).await.is_empty());
            commit(&aws, 2).await;
            commit(&aws, 3).await;
            let wanted = version(3);
            let ended = aws.killed_at(n, effect, deliver(&aws, &wanted)).await;
            move_to(&aws, &new).await;
            // The message of the function that was killed, and that of the change.
            for _ in 0..2 {
                let mut left = 5;
                while !deliver(&aws, &wanted).await.is_empty() {
                    expire_lease(&aws).await;
                    left -= 1;
                    assert!(left > 0, "{n} {effect:?}: it doesn't end");
                }
            }
            assert_eq!(applied(&new), Some(3), "{n} {effect:?}");
            assert_eq!(new.received()[0].body, b"3", "{n} {effect:?}");
            assert!(old.received().len() <= 3, "{n} {effect:?}");
            if ended.is_some() {
                assert!(n > 3, "only {n} calls");
                break;
            }
        }
    }
}
