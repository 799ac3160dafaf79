//! API keys and secrets of clients.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use bellwire_domain::Secret;
use bellwire_domain::timestamp;
use bellwire_doubles::{Aws, Effect, Fault};
use bellwire_store::keys::MAX_KEYS;
use serde_json::{Value, json};
use support::{account, call, customer, id_of, with_key};
use time::OffsetDateTime;
use tokio::join;

const ACME: &str = "/v1/clients/acme";
const KEYS: &str = "/v1/clients/acme/keys";
const ROTATE: &str = "/v1/clients/acme/secret/rotate";

async fn acme() -> Aws {
    let aws = account().await;
    assert_eq!(call(&aws, "PUT", ACME, json!({})).await.0, 201);
    aws
}

async fn keys(aws: &Aws) -> Vec<Value> {
    let (_, client) = call(aws, "GET", ACME, Value::Null).await;
    client["keys"].as_array().unwrap().clone()
}

/// Whether a key is accepted, by a process that has nothing in its memory.
async fn works(aws: &Aws, key: &str) -> bool {
    let found = aws.app("Clients", &[]).keys().unwrap();
    let found = found.find(&Secret::new(key).hash()).await.unwrap();
    found.is_some_and(|key| !key.client_disabled)
}

#[tokio::test]
async fn a_key_is_shown_once_and_then_by_its_last_characters() {
    let aws = acme().await;
    let (status, made) = call(&aws, "POST", KEYS, json!({"name": "backend"})).await;
    assert_eq!(status, 201);
    let key = made["api_key"].as_str().unwrap();
    assert!(key.starts_with("bwk_") && key.len() == 47, "{key}");
    assert!(works(&aws, key).await);
    let shown = json!({
        "id": made["id"], "name": "backend", "last_four": key[43..], "created_at": made["created_at"],
    });
    assert_eq!(keys(&aws).await, [shown]);
    // With no body at all, and with one that names nothing.
    for body in [Value::Null, json!({})] {
        let (status, made) = call(&aws, "POST", KEYS, body).await;
        assert_eq!((status, &made["name"]), (201, &json!("key")));
    }
    assert_eq!(keys(&aws).await.len(), 3);
    let noted = aws.app("Clients", &[]).keys().unwrap();
    let now = OffsetDateTime::now_utc();
    noted
        .note_used(&Secret::new(key).hash(), now)
        .await
        .unwrap();
    let used = keys(&aws)
        .await
        .into_iter()
        .find(|it| it["name"] == "backend")
        .unwrap();
    assert_eq!(used["used_on"], timestamp::day(now));
}

#[tokio::test]
async fn each_bad_field_is_named_and_what_is_none_is_not_found() {
    let aws = acme().await;
    customer(&aws, "other").await;
    for body in [
        json!({"name": ""}),
        json!({"name": null}),
        json!({"name": 1}),
        json!({"name": "a\tb"}),
    ] {
        let (status, why) = call(&aws, "POST", KEYS, body).await;
        assert_eq!(status, 400);
        assert!(why.to_string().contains("name: "), "{why}");
    }
    assert_eq!(
        call(&aws, "POST", KEYS, json!({"key": "bwk_mine"})).await.0,
        400
    );
    assert_eq!(call(&aws, "POST", KEYS, json!([])).await.0, 400);
    let (_, other) = call(&aws, "GET", "/v1/clients/other", Value::Null).await;
    let foreign = other["keys"][0]["id"].as_str().unwrap();
    for (method, path) in [
        ("DELETE", format!("{KEYS}/{foreign}")),
        ("DELETE", format!("{KEYS}/key_0000000000000000")),
        ("DELETE", format!("{KEYS}/x")),
        ("DELETE", "/v1/clients/nobody/keys/x".to_owned()),
        ("POST", "/v1/clients/nobody/keys".to_owned()),
        ("POST", "/v1/clients/nobody/secret/rotate".to_owned()),
    ] {
        assert_eq!(
            call(&aws, method, &path, json!({})).await.0,
            404,
            "{method} {path}"
        );
    }
    assert_eq!(keys(&aws).await.len(), 0);
    assert!(works(&aws, "other").await);
}

#[tokio::test]
async fn a_client_has_at_most_twenty_keys_and_a_disabled_one_gets_none() {
    let aws = acme().await;
    for _ in 1..MAX_KEYS {
        assert_eq!(call(&aws, "POST", KEYS, json!({})).await.0, 201);
    }
    // Of two at once for the last place, one.
    let (a, b) = join!(
        call(&aws, "POST", KEYS, json!({})),
        call(&aws, "POST", KEYS, json!({}))
    );
    let mut statuses = [a.0, b.0];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409]);
    let (status, why) = call(&aws, "POST", KEYS, json!({})).await;
    assert!(
        status == 409 && why.to_string().contains("at most 20"),
        "{why}"
    );
    let id = keys(&aws).await[0]["id"].clone();
    let path = format!("{KEYS}/{}", id.as_str().unwrap());
    assert_eq!(call(&aws, "DELETE", &path, Value::Null).await.0, 204);
    call(&aws, "PATCH", ACME, json!({"disabled": true})).await;
    let (status, why) = call(&aws, "POST", KEYS, json!({})).await;
    assert!(
        status == 409 && why.to_string().contains("disabled"),
        "{why}"
    );
    call(&aws, "PATCH", ACME, json!({"disabled": false})).await;
    assert_eq!(call(&aws, "POST", KEYS, json!({})).await.0, 201);
}

#[tokio::test]
async fn a_key_is_revoked_once_and_doesn_t_come_back() {
    let aws = acme().await;
    let (_, a) = call(&aws, "POST", KEYS, json!({"name": "a"})).await;
    let (_, b) = call(&aws, "POST", KEYS, json!({"name": "b"})).await;
    let path = format!("{KEYS}/{}", a["id"].as_str().unwrap());
    let (first, second) = join!(
        call(&aws, "DELETE", &path, Value::Null),
        call(&aws, "DELETE", &path, Value::Null)
    );
    assert!([first.0, second.0].iter().all(|it| [204, 404].contains(it)));
    assert_eq!(call(&aws, "DELETE", &path, Value::Null).await.0, 404);
    let key = a["api_key"].as_str().unwrap();
    // A request that has found the key before it was revoked records its use afterwards.
    let table = aws.app("Clients", &[]).keys().unwrap();
    let now = OffsetDateTime::now_utc();
    table
        .note_used(&Secret::new(key).hash(), now)
        .await
        .unwrap();
    assert!(!works(&aws, key).await);
    assert!(works(&aws, b["api_key"].as_str().unwrap()).await);
    // Nor does enabling bring it back, which has read the client before.
    let clients = aws.app("Clients", &[]).clients().unwrap();
    let before = clients.get(&id_of("acme")).await.unwrap().unwrap();
    let path = format!("{KEYS}/{}", b["id"].as_str().unwrap());
    assert_eq!(call(&aws, "DELETE", &path, Value::Null).await.0, 204);
    table.set_disabled(&before, false).await.unwrap();
    assert!(!works(&aws, b["api_key"].as_str().unwrap()).await);
}

#[tokio::test]
async fn a_repeated_request_gets_the_same_key_and_the_same_secret() {
    for path in [KEYS, ROTATE] {
        let body = json!({});
        for effect in [Effect::None, Effect::Done] {
            for n in 1.. {
                let aws = acme().await;
                let first = with_key(&aws, "POST", path, body.clone(), Some("once"));
                let first = aws.killed_at(n, effect, first).await;
                let second = with_key(&aws, "POST", path, body.clone(), Some("once")).await;
                let third = with_key(&aws, "POST", path, body.clone(), Some("once")).await;
                assert_eq!(second, third);
                assert!([200, 201].contains(&second.0));
                if path == KEYS {
                    let key = second.1["api_key"].as_str().unwrap();
                    assert!(works(&aws, key).await);
                    assert_eq!(keys(&aws).await.len(), 1, "{n}");
                }
                if let Some(first) = first {
                    assert_eq!(first, second);
                    break;
                }
            }
        }
    }
}

#[tokio::test]
async fn an_idempotency_key_is_for_one_request_and_one_client() {
    let aws = acme().await;
    let (a, b) = join!(
        with_key(&aws, "POST", KEYS, json!({}), Some("k1")),
        with_key(&aws, "POST", KEYS, json!({}), Some("k1"))
    );
    assert_eq!(a, b);
    assert_eq!(keys(&aws).await.len(), 1);
    let other = with_key(&aws, "POST", KEYS, json!({"name": "b"}), Some("k1")).await;
    assert_eq!(other.0, 409);
    assert_eq!(
        with_key(&aws, "POST", ROTATE, json!({}), Some("k1"))
            .await
            .0,
        409
    );
    assert_eq!(
        with_key(&aws, "POST", KEYS, json!({}), Some("")).await.0,
        400
    );
    // The key of a client that is gone is none of the one that follows.
    assert_eq!(call(&aws, "DELETE", ACME, Value::Null).await.0, 204);
    assert_eq!(
        with_key(&aws, "POST", KEYS, json!({}), Some("k1")).await.0,
        404
    );
    call(&aws, "PUT", ACME, json!({})).await;
    assert_eq!(
        with_key(&aws, "POST", KEYS, json!({}), Some("k1")).await.0,
        409
    );
    assert_eq!(keys(&aws).await.len(), 0);
}

#[tokio::test]
async fn a_key_whose_answer_from_the_table_is_lost_is_there() {
    let aws = acme().await;
    aws.fail("TransactWriteItems", Fault::LostAnswer, 1);
    let (status, made) = call(&aws, "POST", KEYS, json!({})).await;
    assert_eq!(status, 201);
    assert!(works(&aws, made["api_key"].as_str().unwrap()).await);
}

#[tokio::test]
async fn a_secret_is_replaced_and_the_old_one_valid_for_a_day() {
    let aws = acme().await;
    let clients = aws.app("Clients", &[]).clients().unwrap();
    let (status, first) = call(&aws, "POST", ROTATE, Value::Null).await;
    assert_eq!(status, 200);
    assert_eq!(first["client_id"], json!(id_of("acme")));
    // Of two at once one is told to look again, or both come one after the other.
    let (a, b) = join!(
        call(&aws, "POST", ROTATE, Value::Null),
        call(&aws, "POST", ROTATE, Value::Null)
    );
    let done: Vec<_> = [a, b].into_iter().filter(|it| it.0 == 200).collect();
    assert!(!done.is_empty());
    let client = clients.get(&id_of("acme")).await.unwrap().unwrap();
    let now = OffsetDateTime::now_utc();
    for (_, body) in done.iter().chain([&(200, first)]) {
        let secret = Secret::new(body["client_secret"].as_str().unwrap());
        assert!(client.accepts(&secret.hash(), now));
    }
    assert!(!client.accepts(&Secret::new("bws_").hash(), now));
}
