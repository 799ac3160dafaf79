//! What `fanout` makes of its messages when AWS fails, and when it is killed.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeSet;

use bellwire_domain::ids::{AudienceId, EventId, SubscriptionId, TopicId};
use bellwire_domain::topic::modes::SubscriptionMode;
use bellwire_domain::topic::payload::{Payload, compress};
use bellwire_domain::topic::shards::{Shard, Shards};
use bellwire_doubles::{Aws, Effect, Fault, received};
use bellwire_queues::{AudienceEvent, Delivery, DeliveryKind, FanOut, Replay};
use bellwire_store::events::{Event, EventSource};
use fanout::FanoutFunction;
use serde_json::json;
use time::{Duration, OffsetDateTime};

const TABLES: [&str; 3] = ["EventsTable", "MembersTable", "SubscriptionsTable"];
const URL: &str = "https://example.com/";

async fn handle(aws: &Aws, message: &FanOut) -> bool {
    let function = FanoutFunction::new(&aws.app("Fanout", &[])).unwrap();
    let batch = vec![received("m1", "g1", message.clone())];
    function.handle(batch).await.is_empty()
}

fn payload() -> Payload {
    Payload::inline(&compress(b"{}"))
}

/// The subscriptions for which there are deliveries, and how many deliveries there are.
fn subscriptions(aws: &Aws) -> (BTreeSet<String>, usize) {
    let deliveries = aws.messages::<Delivery>("DeliveriesQueue");
    let ids = deliveries.iter().map(|it| it.subscription_id.to_string());
    (ids.collect(), deliveries.len())
}

fn ids(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn segment() -> FanOut {
    FanOut::Segment {
        audience_id: AudienceId::of_topic(&TopicId::new("t1")),
        segment: 0,
        event: AudienceEvent {
            accepted_at: OffsetDateTime::now_utc(),
            kind: DeliveryKind::Event {
                event_id: EventId::new("e1"),
                payload: payload(),
            },
            shard: Shard::default(),
            repeated: false,
            restricted: false,
        },
    }
}

/// An account in which three clients have subscribed to a topic.
async fn subscribed() -> Aws {
    let aws = Aws::with_tables(&TABLES).await;
    for id in ["s1", "s2", "s3"] {
        aws.subscribe(id, "t1", SubscriptionMode::Event, URL).await;
    }
    aws
}

#[tokio::test]
async fn every_member_of_a_segment_has_a_delivery_whatever_fails() {
    for operation in ["Query", "SendMessageBatch"] {
        for fault in [Fault::Throttled, Fault::LostAnswer, Fault::Partial] {
            if (operation, fault) == ("Query", Fault::Partial) {
                continue;
            }
            let aws = subscribed().await;
            aws.fail(operation, fault, 2);
            assert!(handle(&aws, &segment()).await);
            let (found, count) = subscriptions(&aws);
            assert_eq!(found, ids(&["s1", "s2", "s3"]), "{operation} {fault:?}");
            // A message whose answer was lost is there once more.
            assert!(
                count == 3 || fault == Fault::LostAnswer,
                "{operation} {fault:?}: {count}"
            );
        }
    }
    let aws = subscribed().await;
    aws.fail("SendMessageBatch", Fault::Throttled, usize::MAX);
    assert!(
        !handle(&aws, &segment()).await,
        "the message is received again"
    );
}

#[tokio::test]
async fn every_member_of_a_segment_has_a_delivery_wherever_the_function_is_killed() {
    for effect in [Effect::None, Effect::Done] {
        for n in 1.. {
            let aws = subscribed().await;
            let ended = aws.killed_at(n, effect, handle(&aws, &segment())).await;
            assert!(ended.is_some() || handle(&aws, &segment()).await);
            assert_eq!(
                subscriptions(&aws).0,
                ids(&["s1", "s2", "s3"]),
                "{n} {effect:?}"
            );
            if ended.is_some() {
                assert!(n > 2, "only {n} calls");
                break;
            }
        }
    }
}

#[tokio::test]
async fn an_entitys_event_is_delivered_to_the_clients_that_it_names_and_no_others() {
    let aws = Aws::with_tables(&TABLES).await;
    let client = |letter: char| format!("cl_{}", letter.to_string().repeat(24));
    for (id, letter, key) in [
        ("s1", 'a', "key1"),
        ("s2", 'b', "key1"),
        ("s3", 'c', "key1"),
        ("s4", 'a', "key2"),
    ] {
        let key = serde_json::from_value(json!(key)).unwrap();
        aws.follow(id, &client(letter), key).await;
    }
    let event = json!({
        "entity_key": "key1",
        "entity_type": "Document",
        "callback_event": "entity_updated",
        "client_ids": [client('a'), client('b')],
    });
    let message = FanOut::Entity {
        event_id: EventId::new("e1"),
        accepted_at: OffsetDateTime::now_utc(),
        event: serde_json::from_value(event).unwrap(),
        repeated: false,
    };
    assert!(handle(&aws, &message).await);
    assert_eq!(subscriptions(&aws), (ids(&["s1", "s2"]), 2));
}

/// An account with a subscription whose replay of `events` events has begun, and the replay's message.
async fn replaying(events: usize) -> (Aws, FanOut) {
    replaying_of(events, Shards::ONE).await
}

/// The same, of a topic with several shards.
async fn replaying_of(events: usize, shards: Shards) -> (Aws, FanOut) {
    let aws = Aws::with_tables(&TABLES).await;
    let subscription = aws
        .subscribe("s1", "t1", SubscriptionMode::Event, URL)
        .await;
    let table = aws.app("Fanout", &[]).events().unwrap();
    let now = OffsetDateTime::now_utc();
    for n in 0..events {
        let event = Event {
            event_id: EventId::new(format!("e{n}")),
            accepted_at: now - Duration::seconds(10),
            payload: payload(),
        };
        table
            .record(
                &EventSource::of_topic(&TopicId::new("t1"), shards),
                &event,
                now,
            )
            .await
            .unwrap();
    }
    let subscriptions = aws.subscriptions();
    let begun = subscriptions.begin_replay(&subscription.subscription_id, "r1", now);
    assert!(begun.await.unwrap());
    let message = FanOut::Replay(Replay {
        replay_id: "r1".to_owned(),
        subscription_id: SubscriptionId::new("s1"),
        client_id: "c1".to_owned(),
        topic_id: TopicId::new("t1"),
        start: now - Duration::hours(1),
        end: now,
        shards,
        restricted: false,
        after: None,
        hops: Default::default(),
    });
    aws.calls();
    (aws, message)
}

/// Processes a replay's message and those that it leads to.
async fn replay_all(aws: &Aws, first: &FanOut) {
    let mut done = 0;
    assert!(handle(aws, first).await);
    loop {
        let messages = aws.messages::<FanOut>("FanOutsQueue");
        let Some(next) = messages.get(done) else {
            break;
        };
        done += 1;
        assert!(done < 10, "it doesn't end");
        assert!(handle(aws, next).await);
    }
}

/// How many events have a delivery.
fn replayed(aws: &Aws) -> usize {
    let deliveries = aws.messages::<Delivery>("DeliveriesQueue").into_iter();
    let events: BTreeSet<String> = deliveries
        .map(|delivery| delivery.kind.event_id().unwrap().to_string())
        .collect();
    events.len()
}

#[tokio::test]
async fn a_replay_of_several_steps_replays_everything_and_another_may_begin() {
    let (aws, message) = replaying(501).await;
    replay_all(&aws, &message).await;
    assert_eq!(replayed(&aws), 501);
    assert_eq!(aws.sent("FanOutsQueue").len(), 1, "two steps");
    let now = OffsetDateTime::now_utc();
    let id = SubscriptionId::new("s1");
    assert!(
        aws.subscriptions()
            .begin_replay(&id, "r2", now)
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn a_replay_replays_the_events_of_all_shards_each_in_its_own() {
    let shards = Shards::try_from(8).unwrap();
    let (aws, message) = replaying_of(700, shards).await;
    replay_all(&aws, &message).await;
    assert_eq!(replayed(&aws), 700);
    for delivery in aws.messages::<Delivery>("DeliveriesQueue") {
        let event_id = delivery.kind.event_id().unwrap();
        assert_eq!(delivery.shard, shards.of(event_id));
    }
}

#[tokio::test]
async fn a_replay_replays_everything_wherever_the_function_is_killed() {
    for effect in [Effect::None, Effect::Done] {
        for n in 1.. {
            let (aws, message) = replaying(3).await;
            let ended = aws.killed_at(n, effect, handle(&aws, &message)).await;
            if ended.is_none() {
                replay_all(&aws, &message).await;
            }
            assert_eq!(replayed(&aws), 3, "{n} {effect:?}");
            let now = OffsetDateTime::now_utc();
            let id = SubscriptionId::new("s1");
            assert!(
                aws.subscriptions()
                    .begin_replay(&id, "r2", now)
                    .await
                    .unwrap(),
                "{n} {effect:?}"
            );
            if ended.is_some() {
                assert!(n > 4, "only {n} calls");
                break;
            }
        }
    }
}

/// A topic `t1` for clients with the label `gold`, with the subscriptions `in` of one that has it and `out` of another.
async fn restricted() -> Aws {
    let tables = [&TABLES[..], &["ClientsTable", "TopicsTable"]].concat();
    let aws = Aws::with_tables(&tables).await;
    let publisher = json!({"type": "http-post", "payload": {"type": "event"}});
    let access = json!({"labels": ["gold"]});
    let definition = json!({"name": "t1", "publisher": publisher, "access": access});
    aws.add_topic("t1", definition).await;
    for (id, labels) in [("in", &["gold"][..]), ("out", &[])] {
        let client = aws.add_client(id, false).await;
        aws.label(&client, labels).await;
        let mode = SubscriptionMode::Event;
        aws.subscribe_client(id, client.as_str(), "t1", mode, URL)
            .await;
    }
    aws
}

#[tokio::test]
async fn members_of_a_restricted_topic_are_judged_by_its_access_at_that_time() {
    let FanOut::Segment {
        audience_id,
        segment: number,
        event,
    } = segment()
    else {
        panic!("no segment");
    };
    let event = AudienceEvent {
        restricted: true,
        ..event
    };
    let topic_id = TopicId::new("t1");
    for message in [
        FanOut::Segment {
            audience_id,
            segment: number,
            event: event.clone(),
        },
        FanOut::Audience { topic_id, event },
    ] {
        let aws = restricted().await;
        assert!(handle(&aws, &message).await);
        assert_eq!(subscriptions(&aws).0, ids(&["in"]));
        let out = aws.subscriptions().get(&SubscriptionId::new("out")).await;
        assert!(out.unwrap().unwrap().state().is_suspended());
        // Without the labels nobody is told, and the message comes again.
        aws.empty_queues();
        aws.fail("BatchGetItem", Fault::Throttled, 50);
        assert!(!handle(&aws, &message).await);
        assert!(subscriptions(&aws).0.is_empty());
    }
}

#[tokio::test]
async fn a_replay_ends_when_its_client_may_not_see_the_topic() {
    let aws = restricted().await;
    let (id, now) = (SubscriptionId::new("out"), OffsetDateTime::now_utc());
    let begun = aws.subscriptions().begin_replay(&id, "r1", now).await;
    assert!(begun.unwrap());
    let message = FanOut::Replay(Replay {
        replay_id: "r1".to_owned(),
        subscription_id: id.clone(),
        client_id: "c1".to_owned(),
        topic_id: TopicId::new("t1"),
        start: now - Duration::hours(1),
        end: now,
        shards: Shards::ONE,
        restricted: true,
        after: None,
        hops: Default::default(),
    });
    assert!(handle(&aws, &message).await);
    assert!(subscriptions(&aws).0.is_empty());
    assert!(
        aws.subscriptions()
            .begin_replay(&id, "r2", now)
            .await
            .unwrap()
    );
}
