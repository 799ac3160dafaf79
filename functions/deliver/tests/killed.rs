//! What becomes of deliveries wherever the function is killed.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use bellwire_domain::ids::SubscriptionId;
use bellwire_domain::topic::modes::SubscriptionMode;
use bellwire_doubles::Effect;
use bellwire_queues::{Delivery, DeliveryKind};
use support::{applied, arrived, commit, deliver, delivery, event, expire_lease, ids, subscribed};

#[tokio::test]
async fn an_event_arrives_wherever_the_function_is_killed_and_is_on_record() {
    for effect in [Effect::None, Effect::Done] {
        for n in 1.. {
            let (aws, endpoint) = subscribed(SubscriptionMode::Event).await;
            let deliveries = [event("e1"), event("e2")];
            let ended = aws.killed_at(n, effect, deliver(&aws, &deliveries)).await;
            if ended.is_none() {
                assert!(
                    deliver(&aws, &deliveries).await.is_empty(),
                    "{n} {effect:?}"
                );
            }
            let (mut ids, before) = (ids(&endpoint), ids(&endpoint).len());
            ids.sort();
            ids.dedup();
            assert_eq!(ids.len(), 2, "{n} {effect:?}");
            assert_eq!(arrived(&aws).await, 2, "{n} {effect:?}");
            // Whatever comes again later is not sent again.
            assert!(deliver(&aws, &deliveries).await.is_empty());
            assert_eq!(endpoint.received().len(), before, "{n} {effect:?}");
            if ended.is_some() {
                assert_eq!(before, 2);
                assert!(n > 2, "only {n} calls");
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_failed_attempt_is_retried_wherever_the_function_is_killed() {
    for effect in [Effect::None, Effect::Done] {
        for n in 1.. {
            let (aws, endpoint) = subscribed(SubscriptionMode::Event).await;
            endpoint.answer(&[500, 500]);
            let deliveries = [event("e1")];
            let ended = aws.killed_at(n, effect, deliver(&aws, &deliveries)).await;
            if ended.is_none() {
                assert!(
                    deliver(&aws, &deliveries).await.is_empty(),
                    "{n} {effect:?}"
                );
            }
            let retries: Vec<Delivery> = aws.messages("RetriesQueue");
            assert!(retries.iter().all(|retry| retry.attempt == 1));
            // The endpoint has recovered, at the second retry at the latest.
            while arrived(&aws).await == 0 {
                let retries: Vec<Delivery> = aws.messages("RetriesQueue");
                let late = aws.schedules().into_values().map(|schedule| {
                    serde_json::from_str(schedule.input["MessageBody"].as_str().unwrap()).unwrap()
                });
                let retries: Vec<Delivery> = retries.into_iter().chain(late).collect();
                assert!(!retries.is_empty(), "{n} {effect:?}: no retry");
                aws.empty_queues();
                assert!(deliver(&aws, &retries).await.is_empty());
            }
            assert_eq!(arrived(&aws).await, 1, "{n} {effect:?}");
            if ended.is_some() {
                assert_eq!((retries.len(), endpoint.received().len()), (1, 3));
                assert!(n > 3, "only {n} calls");
                break;
            }
        }
    }
}

#[tokio::test]
async fn gone_disables_the_endpoint_and_its_owner_is_notified_wherever_the_function_is_killed() {
    for effect in [Effect::None, Effect::Done] {
        for n in 1.. {
            let (aws, endpoint) = subscribed(SubscriptionMode::Event).await;
            endpoint.answer(&[410, 410]);
            let deliveries = [event("e1")];
            let ended = aws.killed_at(n, effect, deliver(&aws, &deliveries)).await;
            if ended.is_none() {
                assert!(
                    deliver(&aws, &deliveries).await.is_empty(),
                    "{n} {effect:?}"
                );
            }
            let found = aws
                .subscriptions()
                .get(&SubscriptionId::new("s1"))
                .await
                .unwrap()
                .unwrap();
            assert!(found.disabled.is_some(), "{n} {effect:?}");
            assert!(!found.owner_unnotified, "{n} {effect:?}");
            assert!(!aws.events().is_empty(), "{n} {effect:?}");
            assert!(
                !aws.sent("DeadDeliveriesQueue").is_empty(),
                "{n} {effect:?}"
            );
            if ended.is_some() {
                assert_eq!(
                    (aws.events().len(), aws.sent("DeadDeliveriesQueue").len()),
                    (1, 1)
                );
                assert!(n > 5, "only {n} calls");
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_document_ends_at_its_last_version_wherever_the_function_is_killed() {
    for effect in [Effect::None, Effect::Done] {
        for n in 1.. {
            let (aws, endpoint) = subscribed(SubscriptionMode::SnapshotPatch).await;
            commit(&aws, 1).await;
            let first = [delivery(DeliveryKind::Document { version: 1 })];
            assert!(deliver(&aws, &first).await.is_empty());
            commit(&aws, 2).await;
            commit(&aws, 3).await;
            let wanted = [delivery(DeliveryKind::Document { version: 3 })];
            aws.calls();
            let ended = aws.killed_at(n, effect, deliver(&aws, &wanted)).await;
            if ended.is_none() {
                let mut left = 5;
                while !deliver(&aws, &wanted).await.is_empty() {
                    expire_lease(&aws).await;
                    left -= 1;
                    assert!(left > 0, "{n} {effect:?}: it doesn't end");
                }
            }
            assert_eq!(applied(&endpoint), Some(3), "{n} {effect:?}");
            let found = aws
                .subscriptions()
                .get(&SubscriptionId::new("s1"))
                .await
                .unwrap()
                .unwrap();
            assert_eq!(
                (found.progress.acknowledged, found.progress.lease),
                (3, None),
                "{n} {effect:?}"
            );
            if ended.is_some() {
                assert_eq!(endpoint.received().len(), 3, "a snapshot and two patches");
                assert!(n > 3, "only {n} calls");
                break;
            }
        }
    }
}
