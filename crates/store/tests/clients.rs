//! The Clients table against a DynamoDB emulator.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use bellwire_domain::{ClientId, Secret};
use bellwire_store::{Client, Clients};
use time::macros::datetime;

async fn clients() -> Clients {
    let db = support::table(&["client_id"], Some(("by-api-key", &["api_key_sha256"]))).await;
    Clients::new(db, support::TABLE.to_owned())
}

fn client(name: &str, key: &str) -> Client {
    Client {
        client_id: ClientId::generate().unwrap(),
        name: name.to_owned(),
        publisher: false,
        api_key_sha256: Secret::new(key).hash(),
        client_secret_sha256: Secret::new("secret").hash(),
        earlier_client_secrets: Vec::new(),
        created_at: datetime!(2026-01-01 00:00 UTC),
        key_rotated_at: None,
        disabled_at: None,
    }
}

#[tokio::test]
async fn a_client_is_found_by_its_key_and_by_its_id() {
    let clients = clients().await;
    let (a, b) = (client("a", "key-a"), client("b", "key-b"));
    clients.create(&a).await.unwrap();
    clients.create(&b).await.unwrap();
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
    let clients = clients().await;
    let first = client("first", "key-1");
    let second = Client {
        client_id: first.client_id.clone(),
        ..client("second", "key-2")
    };
    clients.create(&first).await.unwrap();
    assert!(clients.create(&second).await.is_err());
    assert_eq!(
        clients.get(&first.client_id).await.unwrap().unwrap().name,
        "first"
    );
}

#[tokio::test]
async fn disabling_twice_keeps_the_first_time() {
    let clients = clients().await;
    let it = client("it", "key");
    clients.create(&it).await.unwrap();
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
async fn a_rotated_key_replaces_the_old_one() {
    let clients = clients().await;
    let it = client("it", "old");
    clients.create(&it).await.unwrap();
    let (old, new) = (Secret::new("old").hash(), Secret::new("new").hash());
    let now = datetime!(2026-02-01 00:00 UTC);
    clients
        .rotate_key(&it.client_id, &new, now)
        .await
        .unwrap()
        .unwrap();
    assert!(clients.by_api_key(&old).await.unwrap().is_none());
    let found = clients.by_api_key(&new).await.unwrap().unwrap();
    assert_eq!(
        (found.client_id, found.key_rotated_at),
        (it.client_id, Some(now))
    );
    let stranger = ClientId::generate().unwrap();
    assert!(
        clients
            .rotate_key(&stranger, &new, now)
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn the_list_is_complete_and_in_order_of_creation() {
    let clients = clients().await;
    for day in (1..=20).rev() {
        let created_at = datetime!(2026-01-01 00:00 UTC) + time::Duration::days(day);
        let it = Client {
            created_at,
            ..client(&format!("{day}"), &format!("key-{day}"))
        };
        clients.create(&it).await.unwrap();
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
