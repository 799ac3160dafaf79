//! The Keys table against a DynamoDB emulator.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use bellwire_domain::{ClientId, Secret};
use bellwire_store::keys::{KeyAdded, MAX_KEYS};
use bellwire_store::{ApiKey, Client, ClientChange, Clients, Keys};
use time::OffsetDateTime;
use time::macros::datetime;

const NOW: OffsetDateTime = datetime!(2026-01-01 12:00 UTC);

/// The tables, with a client that has this key of an earlier version, if any.
async fn with_client(key: Option<&str>) -> (Clients, Keys, Client) {
    let db = support::table(&["client_id"], Some(("by-api-key", &["api_key_sha256"]))).await;
    support::add_table(&db, "keys", &["key_sha256"]).await;
    let keys = Keys::new(db.clone(), "keys".to_owned(), support::TABLE.to_owned());
    let clients = Clients::new(db, support::TABLE.to_owned());
    let secret = Secret::new("secret").hash();
    let client = Client {
        api_key_sha256: key.map(|key| Secret::new(key).hash()),
        ..Client::new(ClientId::generate().unwrap(), "it", &secret, NOW)
    };
    assert!(clients.create(&client, None).await.unwrap());
    (clients, keys, client)
}

fn named(client: &Client, key: &str) -> ApiKey {
    ApiKey::new(client, &Secret::new(key), key, NOW)
}

async fn names(clients: &Clients, keys: &Keys, id: &ClientId) -> Vec<String> {
    let client = clients.get(id).await.unwrap().unwrap();
    let found = keys.of(&client).await.unwrap().into_iter();
    found.map(|key| key.name).collect()
}

#[tokio::test]
async fn a_client_has_several_keys_each_of_which_can_be_revoked() {
    let (clients, keys, client) = with_client(None).await;
    let id = &client.client_id;
    let (a, b) = (named(&client, "key-a"), named(&client, "key-b"));
    for key in [&a, &b] {
        assert_eq!(keys.add(key, None).await.unwrap(), KeyAdded::Done);
    }
    assert_eq!(names(&clients, &keys, id).await.len(), 2);
    let found = keys.find(&Secret::new("key-a").hash()).await.unwrap();
    assert_eq!(found, Some(a.clone()));
    assert_eq!(a.last_four.as_deref(), Some("ey-a"));
    for _ in 0..2 {
        keys.revoke(&client, &a.key_sha256).await.unwrap();
        assert_eq!(keys.find(&a.key_sha256).await.unwrap(), None);
        assert_eq!(names(&clients, &keys, id).await, ["key-b"]);
    }
}

#[tokio::test]
async fn a_key_that_is_added_again_was_added_and_another_client_s_is_not() {
    let (_, keys, client) = with_client(None).await;
    let key = named(&client, "key");
    for _ in 0..2 {
        assert_eq!(keys.add(&key, None).await.unwrap(), KeyAdded::Done);
    }
    let stranger = Client {
        client_id: ClientId::generate().unwrap(),
        ..client
    };
    let same = named(&stranger, "key");
    assert_eq!(keys.add(&same, None).await.unwrap(), KeyAdded::Refused);
}

#[tokio::test]
async fn a_client_has_no_more_keys_than_it_may_and_a_disabled_one_gets_none() {
    let (clients, keys, client) = with_client(None).await;
    for number in 0..MAX_KEYS {
        let key = named(&client, &format!("key-{number:04}"));
        assert_eq!(keys.add(&key, None).await.unwrap(), KeyAdded::Done);
    }
    let more = named(&client, "one more");
    assert_eq!(keys.add(&more, None).await.unwrap(), KeyAdded::Refused);
    let first = named(&client, "key-0000");
    keys.revoke(&client, &first.key_sha256).await.unwrap();
    let disable = ClientChange {
        disabled: Some(true),
        ..ClientChange::default()
    };
    clients.change(&client, &disable, NOW).await.unwrap();
    assert_eq!(keys.add(&more, None).await.unwrap(), KeyAdded::Refused);
    assert_eq!(keys.find(&more.key_sha256).await.unwrap(), None);
}

#[tokio::test]
async fn the_first_use_of_a_day_is_recorded() {
    let (_, keys, client) = with_client(None).await;
    let key = named(&client, "key");
    keys.add(&key, None).await.unwrap();
    let used = async || keys.find(&key.key_sha256).await.unwrap().unwrap().used_on;
    assert_eq!(used().await, None);
    for (at, day) in [
        (NOW, "2026-01-01"),
        (datetime!(2026-01-02 00:00 UTC), "2026-01-02"),
        (NOW, "2026-01-02"),
    ] {
        keys.note_used(&key.key_sha256, at).await.unwrap();
        assert_eq!(used().await.as_deref(), Some(day));
    }
    // A key that was revoked doesn't come back.
    keys.revoke(&client, &key.key_sha256).await.unwrap();
    keys.note_used(&key.key_sha256, NOW).await.unwrap();
    assert_eq!(keys.find(&key.key_sha256).await.unwrap(), None);
}

#[tokio::test]
async fn a_key_of_an_earlier_version_is_adopted_once_and_not_after_it_was_revoked() {
    let (clients, keys, client) = with_client(Some("bwk_earlier")).await;
    let key = Secret::new("bwk_earlier");
    let [listed] = keys.of(&client).await.unwrap().try_into().unwrap();
    assert_eq!((listed.last_four, listed.used_on), (None, None));
    for at in [NOW, datetime!(2026-02-01 00:00 UTC)] {
        keys.adopt(&client, &key, at).await.unwrap();
        let [listed] = keys.of(&client).await.unwrap().try_into().unwrap();
        assert_eq!(listed.last_four.as_deref(), Some("lier"));
        assert_eq!(listed.used_on.as_deref(), Some("2026-01-01"));
    }
    keys.revoke(&client, &key.hash()).await.unwrap();
    assert!(clients.by_api_key(&key.hash()).await.unwrap().is_none());
    // By a request that has read the client before.
    keys.adopt(&client, &key, NOW).await.unwrap();
    assert_eq!(keys.find(&key.hash()).await.unwrap(), None);
}

#[tokio::test]
async fn all_keys_of_a_client_are_disabled_enabled_and_removed() {
    let (clients, keys, client) = with_client(Some("earlier")).await;
    let key = named(&client, "key");
    keys.add(&key, None).await.unwrap();
    let client = clients.get(&client.client_id).await.unwrap().unwrap();
    let disabled = async || {
        let found = keys.find(&key.key_sha256).await.unwrap();
        found.map(|key| key.client_disabled)
    };
    for wanted in [true, true, false, false] {
        keys.set_disabled(&client, wanted).await.unwrap();
        assert_eq!(disabled().await, Some(wanted));
    }
    for _ in 0..2 {
        keys.remove_all(&client).await.unwrap();
        keys.set_disabled(&client, true).await.unwrap();
        assert_eq!(disabled().await, None);
    }
}
