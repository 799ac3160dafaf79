//! The Clients table against a DynamoDB emulator.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use bellwire_domain::client::DisplayName;
use bellwire_domain::{ClientId, Secret};
use bellwire_store::{Client, ClientChange, Clients, Keys};
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
    clients.change(&it, &disabled(true), first).await.unwrap();
    let again = clients.change(&it, &disabled(true), second).await.unwrap();
    assert_eq!(again.unwrap().disabled_at, Some(first));
    let enabled = clients.change(&it, &disabled(false), second).await.unwrap();
    assert_eq!(enabled.unwrap().disabled_at, None);
    let stranger = client("stranger", "key");
    for change in [disabled(true), ClientChange::default()] {
        let changed = clients.change(&stranger, &change, first).await;
        assert!(changed.unwrap().is_none());
    }
    assert_eq!(clients.list().await.unwrap().len(), 1);
}

fn disabled(disabled: bool) -> ClientChange {
    ClientChange {
        disabled: Some(disabled),
        ..ClientChange::default()
    }
}

#[tokio::test]
async fn a_change_is_made_of_what_it_names_and_in_one_write() {
    let (clients, _) = clients().await;
    let it = client("it", "key");
    assert!(clients.create(&it, None).await.unwrap());
    let labels = |labels: &[&str]| serde_json::from_value(serde_json::json!(labels)).unwrap();
    let name = |name: &str| DisplayName::try_from(name.to_owned()).unwrap();
    for (change, expected) in [
        (ClientChange::default(), ("it", vec![], false)),
        (
            ClientChange {
                name: Some(name("a")),
                labels: Some(labels(&["y", "x"])),
                disabled: Some(true),
            },
            ("a", vec!["x", "y"], true),
        ),
        (
            ClientChange {
                name: Some(name("b")),
                ..ClientChange::default()
            },
            ("b", vec!["x", "y"], true),
        ),
        (
            ClientChange {
                labels: Some(labels(&[])),
                disabled: Some(false),
                ..ClientChange::default()
            },
            ("b", vec![], false),
        ),
    ] {
        let changed = clients.change(&it, &change, it.created_at).await.unwrap();
        let changed = changed.unwrap();
        let labels: Vec<&str> = changed.labels.iter().map(|it| it.as_str()).collect();
        let found = (changed.name.as_str(), labels, changed.disabled_at.is_some());
        assert_eq!(found, expected);
    }
}

#[tokio::test]
async fn a_deletion_that_has_begun_is_not_undone_and_ends_what_it_began() {
    let (clients, _) = clients().await;
    let it = client("it", "key");
    assert!(clients.create(&it, None).await.unwrap());
    let (first, second) = (
        datetime!(2026-02-01 00:00 UTC),
        datetime!(2026-03-01 00:00 UTC),
    );
    for at in [first, second] {
        let known = clients.begin_deletion(&it, at).await.unwrap().unwrap();
        assert_eq!(
            (known.deleting_since, known.disabled_at),
            (Some(first), Some(first))
        );
    }
    for change in [disabled(false), disabled(true), ClientChange::default()] {
        assert!(
            clients
                .change(&it, &change, second)
                .await
                .unwrap()
                .is_none()
        );
    }
    let secret = Secret::new("another").hash();
    let rotated = clients.rotate_secret(&it, &secret, second, second, None);
    assert!(!rotated.await.unwrap());
    assert!(!clients.create(&it, None).await.unwrap());
    let known = clients.get(&it.client_id).await.unwrap().unwrap();
    clients.end_deletion(&known).await.unwrap();
    assert!(clients.get(&it.client_id).await.unwrap().is_none());
    assert!(clients.begin_deletion(&it, second).await.unwrap().is_none());
    // Created anew, it is none of what was to be deleted, nor if that is to be deleted again.
    assert!(clients.create(&it, None).await.unwrap());
    clients.end_deletion(&known).await.unwrap();
    clients.begin_deletion(&it, second).await.unwrap();
    clients.end_deletion(&known).await.unwrap();
    assert!(clients.get(&it.client_id).await.unwrap().is_some());
}

#[tokio::test]
async fn who_may_change_a_client_was_decided_by_its_role() {
    let (clients, _) = clients().await;
    let customer = client("it", "key");
    let operator = Client {
        operator: true,
        ..customer.clone()
    };
    assert!(clients.create(&operator, None).await.unwrap());
    let now = customer.created_at;
    let changed = clients.change(&customer, &disabled(true), now).await;
    assert!(changed.unwrap().is_none());
    assert!(
        clients
            .begin_deletion(&customer, now)
            .await
            .unwrap()
            .is_none()
    );
    let changed = clients.change(&operator, &disabled(true), now).await;
    assert!(changed.unwrap().is_some());
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
