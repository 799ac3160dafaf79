//! What becomes of deliveries when AWS or an endpoint fails, and when the function is killed.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use bellwire_domain::ids::{EventId, SubscriptionId, TopicId};
use bellwire_domain::topic::modes::SubscriptionMode;
use bellwire_domain::topic::payload::{Payload, compress};
use bellwire_doubles::endpoint::Endpoint;
use bellwire_doubles::{Aws, Effect, Fault, received};
use bellwire_queues::{Delivery, DeliveryKind};
use bellwire_store::versions::Version;
use deliver::DeliverFunction;
use time::OffsetDateTime;

const TABLES: [&str; 5] = [
    "SubscriptionsTable",
    "MembersTable",
    "EventsTable",
    "ExchangesTable",
    "DeliveriesTable",
];

/// An endpoint, and an account with its subscription `s1` to the topic `t1`.
async fn subscribed(mode: SubscriptionMode) -> (Aws, Endpoint) {
    let aws = Aws::with_tables(&TABLES).await;
    let endpoint = Endpoint::start().await;
    aws.subscribe("s1", "t1", mode, &endpoint.url).await;
    aws.calls();
    (aws, endpoint)
}

/// Processes deliveries as one batch, whose messages have the numbers of their deliveries as ids. Returns the ids of
/// those that failed.
async fn deliver(aws: &Aws, deliveries: &[Delivery]) -> Vec<String> {
    let changes = [
        ("ALLOW_HTTP", "true"),
        ("OPEN_NETWORKS", "127.0.0.0/8"),
        ("RETRY_SCHEDULE", "5s 2h"),
    ];
    let function = DeliverFunction::new(&aws.app("Deliver", &changes)).unwrap();
    let batch = deliveries.iter().enumerate();
    let batch = batch.map(|(n, delivery)| received(&n.to_string(), "c1", delivery.clone()));
    let failed = function.handle(batch.collect()).await;
    failed.iter().map(ToString::to_string).collect()
}

fn delivery(kind: DeliveryKind) -> Delivery {
    let (id, client_id) = (SubscriptionId::new("s1"), "c1".to_owned());
    Delivery::new(id, client_id, OffsetDateTime::now_utc(), kind)
}

fn event(id: &str) -> Delivery {
    delivery(DeliveryKind::Event {
        event_id: EventId::new(id),
        payload: Payload::inline(&compress(b"{}")),
    })
}

/// How many deliveries are on record as arrived.
async fn arrived(aws: &Aws) -> usize {
    let items = aws.items("ExchangesTable").await.into_iter();
    items.filter(|item| item["arrived"] == true).count()
}

/// The `webhook-id`s of the requests that the endpoint has received.
fn ids(endpoint: &Endpoint) -> Vec<String> {
    let received = endpoint.received().into_iter();
    received
        .map(|request| request.header("webhook-id").unwrap().to_owned())
        .collect()
}

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
async fn keys_and_items_that_dynamodb_leaves_out_are_asked_for_again() {
    for operation in ["BatchGetItem", "BatchWriteItem"] {
        for fault in [Fault::Partial, Fault::Throttled, Fault::LostAnswer] {
            let (aws, endpoint) = subscribed(SubscriptionMode::Event).await;
            aws.fail(operation, fault, 2);
            let failed = deliver(&aws, &[event("e1"), event("e2"), event("e3")]).await;
            assert!(failed.is_empty(), "{operation} {fault:?}: {failed:?}");
            assert_eq!(endpoint.received().len(), 3, "{operation} {fault:?}");
            assert_eq!(
                aws.items("ExchangesTable").await.len(),
                3,
                "{operation} {fault:?}"
            );
            assert_eq!(arrived(&aws).await, 3, "{operation} {fault:?}");
        }
    }
}

#[tokio::test]
async fn without_the_subscriptions_nothing_is_sent_and_everything_comes_again() {
    let (aws, endpoint) = subscribed(SubscriptionMode::Event).await;
    aws.fail("BatchGetItem", Fault::Throttled, usize::MAX);
    assert_eq!(deliver(&aws, &[event("e1"), event("e2")]).await, ["0", "1"]);
    assert!(endpoint.received().is_empty());
}

#[tokio::test]
async fn the_schedule_leads_over_sqs_and_scheduler_to_the_dead_letters() {
    let (aws, endpoint) = subscribed(SubscriptionMode::Event).await;
    endpoint.answer(&[500; 3]);
    assert!(deliver(&aws, &[event("e1")]).await.is_empty());
    let retries: Vec<Delivery> = aws.messages("RetriesQueue");
    assert_eq!((retries.len(), retries[0].attempt), (1, 1));
    assert!((4..=6).contains(&aws.sent("RetriesQueue")[0].delay));
    assert_eq!(aws.sent("RetriesQueue")[0].group.as_deref(), Some("c1"));
    // The second retry is due in two hours: SQS can't hold it back so long.
    assert!(deliver(&aws, &retries).await.is_empty());
    let schedules: Vec<_> = aws.schedules().into_values().collect();
    assert_eq!(schedules.len(), 1);
    let last: Delivery =
        serde_json::from_str(schedules[0].input["MessageBody"].as_str().unwrap()).unwrap();
    assert_eq!(last.attempt, 2);
    // The same message once more finds the same schedule.
    endpoint.answer(&[500]);
    assert!(deliver(&aws, &retries).await.is_empty());
    assert_eq!(aws.schedules().len(), 1);
    // It is the last one.
    assert!(deliver(&aws, &[last]).await.is_empty());
    let dead = aws.sent("DeadDeliveriesQueue");
    assert_eq!(dead.len(), 1);
    assert!(
        dead[0].reason.as_deref().unwrap().contains("500"),
        "{dead:?}"
    );
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

/// Commits a version of the topic's document, which is the version's number.
async fn commit(aws: &Aws, version: u64) {
    let patch = format!(r#"[{{"op":"replace","path":"","value":{version}}}]"#);
    let next = Version {
        version,
        accepted_at: OffsetDateTime::now_utc(),
        snapshot: Payload::inline(&compress(version.to_string().as_bytes())),
        patch: (version > 1).then(|| Payload::inline(&compress(patch.as_bytes()))),
        confirmed_at: None,
    };
    let previous = (version > 1).then_some(version - 1);
    let (topic, id, now) = (
        TopicId::new("t1"),
        format!("p{version}"),
        OffsetDateTime::now_utc(),
    );
    let events = aws.app("Commit", &[]).events().unwrap();
    events
        .commit(&topic, &id, &next, previous, now)
        .await
        .unwrap();
}

/// Lets the lease of the subscription expire.
async fn expire_lease(aws: &Aws) {
    let key = [("subscription_id", "s1")];
    aws.set_number("SubscriptionsTable", &key, "turn_until", 1)
        .await;
}

/// The document that a receiver has that applies what it receives, in order.
fn applied(endpoint: &Endpoint) -> Option<u64> {
    let received = endpoint.received().into_iter();
    received.fold(None, |_, request| {
        let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
        let patched = body.as_array().map(|patch| patch[0]["value"].as_u64());
        patched.unwrap_or_else(|| body.as_u64())
    })
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

#[tokio::test]
async fn events_accepted_after_the_end_of_their_topic_are_dropped_and_earlier_ones_delivered() {
    let (aws, endpoint) = subscribed(SubscriptionMode::Event).await;
    let (before, after) = (event("before"), event("after"));
    let end = Delivery {
        accepted_at: before.accepted_at + time::Duration::microseconds(1),
        ..delivery(DeliveryKind::TopicDeleted {
            event_id: EventId::new("end"),
        })
    };
    let after = Delivery {
        accepted_at: end.accepted_at + time::Duration::microseconds(1),
        ..after
    };
    assert!(deliver(&aws, &[end]).await.is_empty());
    assert!(deliver(&aws, &[after, before]).await.is_empty());
    let received = endpoint.received().into_iter();
    let types: Vec<String> = received
        .map(|request| {
            request
                .header("x-axway-streams-event-id")
                .unwrap()
                .to_owned()
        })
        .collect();
    assert_eq!(types, ["end", "before"]);
}

#[tokio::test]
async fn a_delivery_that_arrives_at_once_is_one_write() {
    let (aws, _) = subscribed(SubscriptionMode::Event).await;
    assert!(deliver(&aws, &[event("e1"), event("e2")]).await.is_empty());
    assert_eq!(aws.calls(), ["BatchGetItem", "BatchWriteItem"]);
    assert_eq!(aws.items("ExchangesTable").await.len(), 2);
}

#[tokio::test]
async fn a_subscription_that_is_not_found_may_be_new_and_is_looked_for_once_more() {
    let (aws, endpoint) = subscribed(SubscriptionMode::Event).await;
    let unknown = Delivery {
        subscription_id: SubscriptionId::new("another"),
        ..event("e1")
    };
    assert!(deliver(&aws, &[unknown]).await.is_empty());
    assert_eq!(aws.calls(), ["BatchGetItem", "BatchGetItem"]);
    assert!(endpoint.received().is_empty());
}

#[tokio::test]
async fn an_arrival_that_cannot_be_recorded_is_left_to_a_message_and_nothing_is_sent_again() {
    let (aws, endpoint) = subscribed(SubscriptionMode::Event).await;
    aws.fail("BatchWriteItem", Fault::Throttled, usize::MAX);
    assert!(deliver(&aws, &[event("e1")]).await.is_empty());
    aws.heal();
    assert_eq!(arrived(&aws).await, 0);
    let left: Vec<Delivery> = aws.messages("RetriesQueue");
    assert!(
        matches!(left[0].kind, DeliveryKind::Arrived { .. }),
        "{left:?}"
    );
    // The message comes in one batch with a copy of the delivery's.
    let repeated = Delivery {
        accepted_at: left[0].accepted_at,
        ..event("e1")
    };
    assert!(deliver(&aws, &left).await.is_empty());
    assert!(deliver(&aws, &[left[0].clone(), repeated]).await.is_empty());
    assert_eq!((arrived(&aws).await, endpoint.received().len()), (1, 1));
    // If the table fails, the message comes again.
    aws.fail("UpdateItem", Fault::Throttled, usize::MAX);
    assert_eq!(deliver(&aws, &left).await, ["0"]);
}

#[tokio::test]
async fn a_deployment_over_a_running_stack_loses_nothing_and_repeats_nothing() {
    let (aws, endpoint) = subscribed(SubscriptionMode::Event).await;
    // Messages of the version before, of which one has arrived and is marked in the other table.
    let earlier = |id: &str| Delivery {
        dated: false,
        ..event(id)
    };
    let (marked, waiting) = (earlier("marked"), earlier("waiting"));
    let id = marked.id().unwrap();
    aws.put_item("DeliveriesTable", &[("delivery_id", id.as_str())])
        .await;
    assert!(
        deliver(&aws, &[marked.clone(), waiting.clone()])
            .await
            .is_empty()
    );
    // The one that was waiting keeps its id, and is known to have arrived.
    assert_eq!(ids(&endpoint), [waiting.id().unwrap().to_string()]);
    assert!(
        deliver(&aws, std::slice::from_ref(&waiting))
            .await
            .is_empty()
    );
    // Replays find both: the one that was delivered by this version, and, as long after the acceptance as a replay
    // comes, the one that was delivered by the version before.
    let now = Delivery {
        dated: true,
        ..waiting
    };
    let later = Delivery {
        dated: true,
        accepted_at: marked.accepted_at - time::Duration::hours(1),
        ..marked
    };
    assert!(deliver(&aws, &[now, later]).await.is_empty());
    assert_eq!(endpoint.received().len(), 1);
}
