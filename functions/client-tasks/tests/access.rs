//! Subscriptions are suspended and resumed as access is taken away and given back, when AWS fails, and wherever the
//! function is killed.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use bellwire_domain::ClientId;
use bellwire_domain::endpoint::DisabledReason;
use bellwire_domain::ids::{SubscriptionId, TopicId};
use bellwire_domain::topic::modes::SubscriptionMode;
use bellwire_domain::topic::payload::{Payload, compress};
use bellwire_domain::topic::{Topic, TopicAccess};
use bellwire_doubles::{Aws, Effect, Fault, received};
use bellwire_queues::{ClientTask, Delivery};
use bellwire_store::topics::{Found, Written};
use bellwire_store::versions::Version;
use client_tasks::ClientTasksFunction;
use serde_json::{Value, from_value, json};
use time::OffsetDateTime;

const TABLES: [&str; 5] = [
    "ClientsTable",
    "TopicsTable",
    "MembersTable",
    "SubscriptionsTable",
    "EventsTable",
];

/// Processes a message. Returns whether that succeeded.
async fn handle(aws: &Aws, task: ClientTask) -> bool {
    let function = ClientTasksFunction::new(&aws.app("ClientTasks", &[])).unwrap();
    let failed = function.handle(vec![received("m1", "g1", task)]).await;
    failed.is_empty()
}

/// A topic `t1` with a document, for clients with the label `gold`, which the client has; its subscription is `s1`.
async fn account() -> (Aws, ClientId) {
    let aws = Aws::with_tables(&TABLES).await;
    let client = aws.add_client("key", false).await;
    aws.label(&client, &["gold"]).await;
    let publisher = json!({"type": "http-post", "payload": {"type": "snapshot"}});
    let access = json!({"labels": ["gold"]});
    let definition = json!({"name": "t1", "publisher": publisher, "access": access});
    aws.add_topic("t1", definition).await;
    let mode = SubscriptionMode::SnapshotPatch;
    aws.subscribe_client("s1", client.as_str(), "t1", mode, "https://example.com/")
        .await;
    let version = Version {
        version: 1,
        accepted_at: OffsetDateTime::now_utc(),
        snapshot: Payload::inline(&compress(b"1")),
        patch: None,
        confirmed_at: None,
    };
    let events = aws.app("Commit", &[]).events().unwrap();
    let (topic, now) = (TopicId::new("t1"), OffsetDateTime::now_utc());
    events
        .commit(&topic, "p1", &version, None, now)
        .await
        .unwrap();
    aws.calls();
    (aws, client)
}

async fn reason(aws: &Aws) -> Option<DisabledReason> {
    let found = aws.subscriptions().get(&SubscriptionId::new("s1")).await;
    found.unwrap().unwrap().disabled.map(|it| it.reason)
}

async fn set_access(aws: &Aws, access: Value) {
    let topics = aws.app("Topics", &[]).topics().unwrap();
    let Found::Live(known) = topics.get(&TopicId::new("t1")).await.unwrap() else {
        panic!("no topic");
    };
    let access: TopicAccess = from_value(access).unwrap();
    let changed = Topic {
        access,
        ..known.topic.clone()
    };
    assert_eq!(
        topics.update(&known, &changed).await.unwrap(),
        Written::Done
    );
}

fn labels_changed(client: &ClientId) -> ClientTask {
    ClientTask::LabelsChanged {
        client_id: client.clone(),
    }
}

fn access_changed() -> ClientTask {
    ClientTask::AccessChanged {
        topic_id: TopicId::new("t1"),
        segment: None,
    }
}

fn documents_sent(aws: &Aws) -> usize {
    aws.messages::<Delivery>("DeliveriesQueue").len()
}

#[tokio::test]
async fn access_that_is_taken_away_and_given_back_is_settled_wherever_the_function_is_killed() {
    for by_labels in [true, false] {
        for effect in [Effect::None, Effect::Done] {
            for n in 1.. {
                let (aws, client) = account().await;
                let task = || match by_labels {
                    true => labels_changed(&client),
                    false => access_changed(),
                };
                let change = async |permitted: bool| match (by_labels, permitted) {
                    (true, true) => aws.label(&client, &["gold"]).await,
                    (true, false) => aws.label(&client, &[]).await,
                    (false, true) => set_access(&aws, json!("everyone")).await,
                    (false, false) => set_access(&aws, json!({"clients": ["other"]})).await,
                };
                change(false).await;
                let first = aws.killed_at(n, effect, handle(&aws, task())).await;
                assert!(handle(&aws, task()).await);
                assert_eq!(reason(&aws).await, Some(DisabledReason::Access), "{n}");
                assert_eq!(documents_sent(&aws), 0);
                change(true).await;
                let second = aws.killed_at(n, effect, handle(&aws, task())).await;
                assert!(handle(&aws, task()).await);
                assert_eq!(reason(&aws).await, None, "{n} {effect:?}");
                // What was published meanwhile was not sent: the document goes on with a snapshot.
                assert!(documents_sent(&aws) >= 1, "{n} {effect:?}");
                if first.is_some() && second.is_some() {
                    break;
                }
            }
        }
    }
}

#[tokio::test]
async fn an_owner_that_disables_a_suspended_subscription_finds_it_disabled_later() {
    let (aws, client) = account().await;
    aws.label(&client, &[]).await;
    assert!(handle(&aws, labels_changed(&client)).await);
    let (id, now) = (SubscriptionId::new("s1"), OffsetDateTime::now_utc());
    aws.subscriptions().disable(&id, now).await.unwrap();
    aws.label(&client, &["gold"]).await;
    assert!(handle(&aws, labels_changed(&client)).await);
    assert_eq!(reason(&aws).await, Some(DisabledReason::Requested));
    assert_eq!(documents_sent(&aws), 0);
}

#[tokio::test]
async fn what_has_nothing_to_do_with_labels_is_not_judged_by_them() {
    let (aws, client) = account().await;
    set_access(&aws, json!({"clients": ["other"]})).await;
    assert!(handle(&aws, labels_changed(&client)).await);
    assert_eq!(reason(&aws).await, None);
    let nobody = ClientId::generate().unwrap();
    assert!(handle(&aws, labels_changed(&nobody)).await);
}

#[tokio::test]
async fn a_message_fails_when_aws_does_and_is_completed_by_its_repetition() {
    for (operation, fault) in [
        ("Query", Fault::Throttled),
        ("GetItem", Fault::Throttled),
        ("BatchGetItem", Fault::Throttled),
        ("TransactWriteItems", Fault::Throttled),
    ] {
        let (aws, client) = account().await;
        aws.label(&client, &[]).await;
        aws.fail(operation, fault, 50);
        assert!(!handle(&aws, labels_changed(&client)).await, "{operation}");
        aws.heal();
        assert_eq!(reason(&aws).await, None);
        assert!(handle(&aws, labels_changed(&client)).await);
        assert_eq!(reason(&aws).await, Some(DisabledReason::Access));
    }
    let (aws, client) = account().await;
    aws.label(&client, &[]).await;
    aws.fail("BatchGetItem", Fault::Partial, 1);
    aws.fail("TransactWriteItems", Fault::LostAnswer, 1);
    assert!(handle(&aws, labels_changed(&client)).await);
    assert_eq!(reason(&aws).await, Some(DisabledReason::Access));
}

#[tokio::test]
async fn a_judgement_does_not_overwrite_a_newer_one() {
    // The labels, or the topic, change between the reads and the write.
    let (aws, client) = account().await;
    aws.label(&client, &[]).await;
    let (subscriptions, now) = (aws.subscriptions(), OffsetDateTime::now_utc());
    let id = SubscriptionId::new("s1");
    let app = aws.app("ClientTasks", &[]);
    let (clients, topics) = (app.clients().unwrap(), app.topics().unwrap());
    let Found::Live(topic) = topics.get(&TopicId::new("t1")).await.unwrap() else {
        panic!("no topic");
    };
    let known = subscriptions.get(&id).await.unwrap().unwrap();
    let conditions = || {
        vec![
            topic.must_be_unchanged(&topics).unwrap(),
            clients
                .must_have_labels(&client, &from_value(json!([])).unwrap())
                .unwrap(),
        ]
    };
    aws.label(&client, &["gold"]).await;
    let settle = subscriptions.settle_access(&known, false, conditions(), now);
    let settled = settle.await.unwrap();
    assert_eq!(settled, bellwire_store::access_change::Settled::Changed);
    aws.label(&client, &[]).await;
    set_access(&aws, json!("everyone")).await;
    let settle = subscriptions.settle_access(&known, false, conditions(), now);
    let settled = settle.await.unwrap();
    assert_eq!(settled, bellwire_store::access_change::Settled::Changed);
    assert_eq!(reason(&aws).await, None);
}

#[tokio::test]
async fn a_large_audience_is_settled_by_segments() {
    let (aws, _) = account().await;
    set_access(&aws, json!({"clients": ["other"]})).await;
    let members = aws.app("ClientTasks", &[]).members().unwrap();
    for _ in 0..1000 {
        members.next_segment(&TopicId::new("t1")).await.unwrap();
    }
    assert!(handle(&aws, access_changed()).await);
    let tasks = aws.messages::<ClientTask>("ClientTasksQueue");
    assert_eq!(tasks.len(), 2);
    assert_eq!(reason(&aws).await, None);
    for task in tasks {
        assert!(handle(&aws, task).await);
    }
    assert_eq!(reason(&aws).await, Some(DisabledReason::Access));
}
