//! The two spellings of the protocol, which are about the same subscriptions, and the ways to authenticate in them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use serde_json::{Value, json};
use support::{Call, SECRET, account, basic, wanted};

const CALLBACK: &str = "https://example.com/callback";

#[tokio::test]
async fn the_same_calls_are_there_in_each_spelling_under_its_names() {
    for (root, one, several) in [
        ("/subscriptions", "subscription", "subscriptions"),
        ("/v1/webhooks", "webhook", "webhooks"),
    ] {
        let (aws, client_id) = account().await;
        let resource =
            |rest: &str| -> &'static str { Box::leak(format!("{root}{rest}").into_boxed_str()) };
        let create =
            json!({"client_id": client_id, "client_secret": SECRET, one: wanted("k", CALLBACK)});
        let (status, made) = Call::new("POST", resource(""))
            .body(create)
            .made(&aws)
            .await;
        assert_eq!(status, 200, "{made}");
        let mut made = made["data"][one].clone();
        assert!(made.as_object_mut().unwrap().remove("secret").is_some());
        let key = made["key"].as_str().unwrap();
        let (_, shown) = Call::new("GET", resource("/{key}"))
            .on(key)
            .by(&client_id)
            .made(&aws)
            .await;
        assert_eq!(shown["data"], json!({one: made}));
        let list = Call::new("GET", resource("")).by(&client_id);
        let expected = json!({
            "status": {"status_code": 200},
            "data": {several: [made]},
            "pagination": {"next": null},
        });
        assert_eq!(list.clone().made(&aws).await.1, expected);
        assert_eq!(
            list.clone().with("entity_key", "k").made(&aws).await.1,
            expected
        );
        let (_, log) = Call::new("GET", resource("/{key}/callbacks"))
            .on(key)
            .by(&client_id)
            .made(&aws)
            .await;
        assert_eq!(
            (&log["data"], &log["pagination"]),
            (&json!({"callbacks": []}), &json!({"next": null}))
        );
        let credentials = json!({"client_id": client_id, "client_secret": SECRET});
        let rotate = Call::new("POST", resource("/{key}/secret/rotate"))
            .on(key)
            .body(credentials);
        let (_, rotated) = rotate.made(&aws).await;
        assert!(rotated["data"][one]["secret"].is_string(), "{rotated}");
        let delete = Call::new("DELETE", resource("/{key}"))
            .on(key)
            .by(&client_id);
        assert_eq!(
            delete.clone().made(&aws).await,
            (200, json!({"status": {"status_code": 200}}))
        );
        assert_eq!(delete.made(&aws).await.0, 404);
        let delete = Call::new("DELETE", resource(""))
            .by(&client_id)
            .with("entity_key", "k");
        assert_eq!(delete.made(&aws).await.0, 404);
    }
}

#[tokio::test]
async fn a_body_in_the_other_spelling_is_refused() {
    let (aws, client_id) = account().await;
    for (resource, name) in [
        ("/subscriptions", "webhook"),
        ("/v1/webhooks", "subscription"),
    ] {
        let body = json!({name: wanted("k", CALLBACK)});
        let call = Call::new("POST", resource)
            .body(body)
            .authorization(&basic(&client_id, SECRET));
        assert_eq!(call.made(&aws).await.0, 400);
    }
    assert!(aws.items("SubscriptionsTable").await.is_empty());
}

/// The subscription as it is stored, in which only the later spelling is named.
async fn spelling(aws: &bellwire_doubles::Aws) -> Value {
    let [item] = aws.items("SubscriptionsTable").await.try_into().unwrap();
    item["spelling"].clone()
}

#[tokio::test]
async fn callbacks_have_the_spelling_of_the_last_request() {
    let (aws, client_id) = account().await;
    let mut keys = Vec::new();
    for (resource, name, stored) in [
        ("/v1/webhooks", "webhook", json!("webhooks")),
        ("/v1/webhooks", "webhook", json!("webhooks")),
        ("/subscriptions", "subscription", Value::Null),
        ("/subscriptions", "subscription", Value::Null),
        ("/v1/webhooks", "webhook", json!("webhooks")),
    ] {
        let call = Call::new("POST", resource)
            .body(json!({name: wanted("k", CALLBACK)}))
            .authorization(&basic(&client_id, SECRET));
        let (status, body) = call.made(&aws).await;
        assert_eq!(status, 200);
        keys.push(body["data"][name]["key"].as_str().unwrap().to_owned());
        assert_eq!(spelling(&aws).await, stored);
    }
    keys.dedup();
    assert_eq!(keys.len(), 1);
    // Reading it in the other spelling changes nothing.
    let show = Call::new("GET", "/subscriptions/{key}")
        .on(&keys[0])
        .by(&client_id);
    assert_eq!(
        show.made(&aws).await.1["data"]["subscription"]["key"],
        json!(keys[0])
    );
    assert_eq!(spelling(&aws).await, json!("webhooks"));
}

#[tokio::test]
async fn a_repeated_request_is_one_in_the_same_spelling_alone() {
    let (aws, client_id) = account().await;
    let call = |resource, name: &str| {
        Call::new("POST", resource)
            .body(json!({name: wanted("k", CALLBACK)}))
            .authorization(&basic(&client_id, SECRET))
            .idempotency_key("once")
    };
    let first = call("/v1/webhooks", "webhook").made(&aws).await;
    assert!(first.1["data"]["webhook"]["secret"].is_string());
    assert_eq!(call("/v1/webhooks", "webhook").made(&aws).await, first);
    assert_eq!(
        call("/subscriptions", "subscription").made(&aws).await.0,
        409
    );
}

#[tokio::test]
async fn http_basic_authenticates_in_the_place_of_parameters() {
    let (aws, client_id) = account().await;
    let right = basic(&client_id, SECRET);
    let create =
        Call::new("POST", "/subscriptions").body(json!({"subscription": wanted("k", CALLBACK)}));
    assert_eq!(create.clone().made(&aws).await.0, 401);
    let (status, made) = create.authorization(&right).made(&aws).await;
    assert_eq!(status, 200);
    let key = made["data"]["subscription"]["key"].as_str().unwrap();
    // The body of a rotation has nothing else, and may be left out.
    for body in [Value::Null, json!({})] {
        let rotate = Call::new("POST", "/v1/webhooks/{key}/secret/rotate")
            .on(key)
            .body(body);
        assert_eq!(rotate.clone().made(&aws).await.0, 401);
        assert_eq!(rotate.authorization(&right).made(&aws).await.0, 200);
    }
    let list = Call::new("GET", "/subscriptions");
    assert_eq!(list.clone().authorization(&right).made(&aws).await.0, 200);
    // Both, when they agree.
    assert_eq!(
        list.clone()
            .by(&client_id)
            .authorization(&right)
            .made(&aws)
            .await
            .0,
        200
    );
    let id_alone = list.clone().with("client_id", client_id.as_str());
    assert_eq!(id_alone.authorization(&right).made(&aws).await.0, 200);
    // Another scheme is none of it.
    assert_eq!(
        list.clone()
            .by(&client_id)
            .authorization("Bearer x")
            .made(&aws)
            .await
            .0,
        200
    );
    assert_eq!(list.authorization("Bearer x").made(&aws).await.0, 401);
}

#[tokio::test]
async fn what_is_wrong_or_differs_opens_nothing() {
    let (aws, client_id) = account().await;
    let other = aws.add_client("other", false).await;
    let list = Call::new("GET", "/v1/webhooks");
    let padded = format!("{}=", basic(&client_id, SECRET));
    for wrong in [
        "Basic",
        "Basic ",
        "Basic *",
        &basic(&client_id, ""),
        &basic(&client_id, "wrong"),
        &basic(&client_id, &"x".repeat(5000)),
        &basic(&other, "wrong"),
        &basic(&client_id, &format!("{SECRET} ")),
        &format!("Basic {}", padded.replace("Basic ", "*")),
    ] {
        assert_eq!(
            list.clone().authorization(wrong).made(&aws).await.0,
            401,
            "{wrong}"
        );
        // Nor do right parameters beside it.
        let both = list.clone().by(&client_id).authorization(wrong);
        assert_eq!(both.made(&aws).await.0, 401, "{wrong}");
    }
    let right = basic(&client_id, SECRET);
    for (name, value) in [
        ("client_id", other.as_str()),
        ("client_id", ""),
        ("client_secret", "wrong"),
        ("client_secret", ""),
    ] {
        let both = list.clone().with(name, value).authorization(&right);
        assert_eq!(both.made(&aws).await.0, 401, "{name}");
        let body = json!({name: value, "webhook": wanted("k", CALLBACK)});
        let create = Call::new("POST", "/v1/webhooks")
            .body(body)
            .authorization(&right);
        assert_eq!(create.made(&aws).await.0, 401, "{name}");
    }
    assert!(aws.items("SubscriptionsTable").await.is_empty());
}
