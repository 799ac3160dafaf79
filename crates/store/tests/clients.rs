//! The Clients table against a DynamoDB emulator.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use bellwire_domain::{ClientId, Secret};
use bellwire_store::{Client, Clients, Keys};
use time::macros::datetime;

async fn clients() -> (Clients, Keys) {
    let db = support::table(&["client_id"], Some(("by-api-key", &["api_key_sha256"]))).await;
    support::add_table(&db, "keys", &["key_sha256"]).await;
    let keys = Keys::new(db.clone(), "keys".to_owned(), support::TABLE.to_owned());
    (Clients::new(db, support::TABLE.to_owned()), keys)
}

/// A client as earlier versions stored it.
fn client(name: &str, key: &str) -> Client {
    let id = ClientId::generate().unwrap();
    let secret = Secret::new("secret").hash();
    Client {
        api_key_sha256: Some(Secret::new(key).hash()),
        ..Client::new(id, name, &secret, datetime!(2026-01-01 00:00 UTC))
    }
}

#[tokio::test]
async fn a_client_is_found_by_its_key_and_by_its_id() {
    let (clients, _) = clients().await;
    let (a, b) = (client("a", "key-a"), client("b", "key-b"));
    assert!(clients.create(&a, None).await.unwrap());
    assert!(clients.create(&b, None).await.unwrap());
    let by_key = |key: &str| {
        let hash = Secret::new(key).hash();
        let clients = clients.clone();
        async move { clients.by_api_key(&hash).await.unwrap().map(|it| it.name) }
    };
    assert_eq!(by_key("key-a").await.as_deref(), Some("a"));
    assert_eq!(by_key("key-b").await.as_deref(), Some("b"));
    assert_eq!(by_key("key-c").await, None);
    assert_eq!(clients.get(&b.client_id).await.unwrap().unwrap().name, "b");
    let stranger = ClientId::generate().unwrap();
    assert!(clients.get(&stranger).await.unwrap().is_none());
}

#[tokio::test]
async fn a_client_is_never_overwritten() {
    let (clients, _) = clients().await;
    let first = client("first", "key-1");
    let second = Client {
        client_id: first.client_id.clone(),
        ..client("second", "key-2")
    };
    assert!(clients.create(&first, None).await.unwrap());
    assert!(!clients.create(&second, None).await.unwrap());
    assert_eq!(
        clients.get(&first.client_id).await.unwrap().unwrap().name,
        "first"
    );
}

#[tokio::test]
async fn disabling_twice_keeps_the_first_time() {
    let (clients, _) = clients().await;
    let it = client("it", "key");
    assert!(clients.create(&it, None).await.unwrap());
    let (first, second) = (
        datetime!(2026-02-01 00:00 UTC),
        datetime!(2026-03-01 00:00 UTC),
    );
    clients
        .disable(&it.client_id, first)
        .await
        .unwrap()
        .unwrap();
    let again = clients
        .disable(&it.client_id, second)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(again.disabled_at, Some(first));
    let stranger = ClientId::generate().unwrap();
    assert!(clients.disable(&stranger, first).await.unwrap().is_none());
    assert_eq!(clients.list().await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_list_is_complete_and_in_order_of_creation() {
    let (clients, _) = clients().await;
    for day in (1..=20).rev() {
        let created_at = datetime!(2026-01-01 00:00 UTC) + time::Duration::days(day);
        let it = Client {
            created_at,
            ..client(&format!("{day}"), &format!("key-{day}"))
        };
        assert!(clients.create(&it, None).await.unwrap());
    }
    let names: Vec<_> = clients
        .list()
        .await
        .unwrap()
        .into_iter()
        .map(|it| it.name)
        .collect();
    let expected: Vec<_> = (1..=20).map(|day| day.to_string()).collect();
    assert_eq!(names, expected);
}
