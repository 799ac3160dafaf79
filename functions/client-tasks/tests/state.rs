//! Messages that a client's state has changed.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::time::SystemTime;

use bellwire_domain::ClientId;
use bellwire_doubles::{Aws, Fault, received};
use bellwire_queues::{ClientTask, Hops};
use bellwire_runtime::deadline;
use bellwire_store::ClientChange;
use client_tasks::ClientTasksFunction;
use time::OffsetDateTime;

const TABLES: [&str; 9] = [
    "ClientsTable",
    "SubscriptionsTable",
    "MembersTable",
    "ExchangesTable",
    "CountsTable",
    "EventsTable",
    "CallbacksTable",
    "QueriesTable",
    "TopicsTable",
];

/// An account with a client that has a subscription.
async fn account() -> (Aws, ClientId) {
    let aws = Aws::with_tables(&TABLES).await;
    let id = aws.add_client("acme", false).await;
    let entity = serde_json::from_str(r#""order-1""#).unwrap();
    aws.follow("s1", id.as_str(), entity).await;
    (aws, id)
}

/// Has a message processed; whether that succeeded.
async fn process(aws: &Aws, client_id: &ClientId, hops: Hops) -> bool {
    let function = ClientTasksFunction::new(&aws.app("ClientTasks", &[])).unwrap();
    let client_id = client_id.clone();
    let task = ClientTask::StateChanged { client_id, hops };
    function
        .handle(vec![received("m1", "", task)])
        .await
        .is_empty()
}

/// Writes that a client is disabled, or deleted, and makes no step.
async fn write(aws: &Aws, id: &ClientId, deleted: bool) {
    let clients = aws.app("ClientTasks", &[]).clients().unwrap();
    let client = clients.get(id).await.unwrap().unwrap();
    let now = OffsetDateTime::now_utc();
    let written = if deleted {
        clients.begin_deletion(&client, now).await
    } else {
        let disable = ClientChange {
            disabled: Some(true),
            ..ClientChange::default()
        };
        clients.change(&client, &disable, now).await
    };
    assert!(written.unwrap().is_some());
}

async fn disabled(aws: &Aws) -> Vec<bool> {
    let subscriptions = aws.items("SubscriptionsTable").await.into_iter();
    subscriptions
        .map(|it| !it["client_disabled"].is_null())
        .collect()
}

#[tokio::test]
async fn what_is_to_be_done_follows_from_what_is_on_record() {
    let (aws, id) = account().await;
    assert!(process(&aws, &id, Hops::default()).await);
    assert_eq!(disabled(&aws).await, [false]);
    write(&aws, &id, false).await;
    for _ in 0..2 {
        assert!(process(&aws, &id, Hops::default()).await);
        assert_eq!(disabled(&aws).await, [true]);
    }
    write(&aws, &id, true).await;
    for _ in 0..2 {
        assert!(process(&aws, &id, Hops::default()).await);
        assert!(disabled(&aws).await.is_empty());
        assert!(aws.items("ClientsTable").await.is_empty());
    }
    assert!(aws.sent("ClientTasksQueue").is_empty());
}

#[tokio::test]
async fn what_there_is_no_time_for_goes_on_in_another_message() {
    let (aws, id) = account().await;
    write(&aws, &id, true).await;
    let mut hops = Hops::default();
    for sent in 1..=3 {
        let late = deadline::until(SystemTime::now(), process(&aws, &id, hops));
        assert!(late.await);
        let messages = aws.messages::<ClientTask>("ClientTasksQueue");
        assert_eq!(messages.len(), sent);
        let Some(ClientTask::StateChanged {
            client_id,
            hops: next,
        }) = messages.last()
        else {
            panic!("{messages:?}");
        };
        assert_eq!(*client_id, id);
        assert_ne!(*next, hops);
        hops = *next;
    }
    assert!(process(&aws, &id, hops).await);
    assert!(aws.items("ClientsTable").await.is_empty());
}

#[tokio::test]
async fn steps_that_come_to_no_end_are_a_dead_letter() {
    let (aws, id) = account().await;
    write(&aws, &id, true).await;
    let most: Hops = serde_json::from_str("2000").unwrap();
    assert!(deadline::until(SystemTime::now(), process(&aws, &id, most)).await);
    assert!(aws.sent("ClientTasksQueue").is_empty());
    let [dead] = aws.sent("DeadClientTasksQueue").try_into().unwrap();
    assert!(dead.reason.unwrap().contains("2000 times"));
    // Redriven, it completes them.
    let ClientTask::StateChanged { hops, .. } = serde_json::from_str(&dead.body).unwrap() else {
        panic!("{}", dead.body);
    };
    assert!(process(&aws, &id, hops).await);
    assert!(aws.items("ClientsTable").await.is_empty());
}

#[tokio::test]
async fn a_message_that_failed_comes_again() {
    let (aws, id) = account().await;
    write(&aws, &id, true).await;
    aws.fail("BatchWriteItem", Fault::Throttled, 100);
    assert!(!process(&aws, &id, Hops::default()).await);
    aws.heal();
    assert!(process(&aws, &id, Hops::default()).await);
    assert!(aws.items("ClientsTable").await.is_empty());
}
