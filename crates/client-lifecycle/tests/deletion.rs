//! Deletions that the function `clients` can't be made to meet.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use bellwire_client_lifecycle::ClientLifecycle;
use bellwire_domain::ClientId;
use bellwire_doubles::Aws;
use bellwire_runtime::deadline::{self, Steps};

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

async fn account() -> (Aws, ClientLifecycle, ClientId) {
    let aws = Aws::with_tables(&TABLES).await;
    let id = aws.add_client("acme", false).await;
    let lifecycle = aws.app("Clients", &[]).client_lifecycle().unwrap();
    (aws, lifecycle, id)
}

async fn follow(aws: &Aws, id: &ClientId, subscription: &str) {
    let entity = serde_json::from_str(r#""order-1""#).unwrap();
    aws.follow(subscription, id.as_str(), entity).await;
}

#[tokio::test]
async fn a_client_stays_while_a_subscription_is_counted_that_the_index_does_not_list_yet() {
    let (aws, lifecycle, id) = account().await;
    follow(&aws, &id, "s1").await;
    follow(&aws, &id, "s2").await;
    // As if a third were not in the index: it is counted, and not listed.
    let counts = format!("client#{id}");
    let count = [
        ("audience_segment", counts.as_str()),
        ("subscription_id", "entities"),
    ];
    aws.set_number("MembersTable", &count, "subscriptions", 3)
        .await;
    let client = lifecycle.clients.get(&id).await.unwrap().unwrap();
    let soon = SystemTime::now() + Duration::from_secs(11);
    let deleted = deadline::until(soon, lifecycle.delete(&client, &|_, _| {})).await;
    assert_eq!(deleted.unwrap(), Some(Steps::OutOfTime));
    let client = lifecycle.clients.get(&id).await.unwrap().unwrap();
    assert!(client.deleting_since.is_some());
    aws.set_number("MembersTable", &count, "subscriptions", 0)
        .await;
    let deleted = lifecycle.delete(&client, &|_, _| {}).await.unwrap();
    assert_eq!(deleted, Some(Steps::Done));
    assert!(aws.items("MembersTable").await.is_empty());
}

#[tokio::test]
async fn whoever_watches_is_told_of_each_subscription() {
    let (aws, lifecycle, id) = account().await;
    for number in 0..20 {
        follow(&aws, &id, &format!("s{number}")).await;
    }
    let client = lifecycle.clients.get(&id).await.unwrap().unwrap();
    let told = Mutex::new(Vec::new());
    let watch = |done, all| told.lock().unwrap().push((done, all));
    lifecycle.delete(&client, &watch).await.unwrap();
    let expected: Vec<(usize, usize)> = (1..=20).map(|n| (n, 20)).collect();
    assert_eq!(told.into_inner().unwrap(), expected);
    assert_eq!(lifecycle.delete(&client, &|_, _| {}).await.unwrap(), None);
}
