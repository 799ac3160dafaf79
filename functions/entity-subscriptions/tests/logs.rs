//! The callback log across subscriptions.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use bellwire_domain::delivery::key::DeliveryKey;
use bellwire_domain::ids::{EventId, SubscriptionId};
use bellwire_domain::topic::shards::Shard;
use bellwire_doubles::Aws;
use bellwire_store::attempt_record::Content;
use bellwire_store::attempts::FinishedAttempt;
use serde_json::{Value, json};
use support::{Call, account, basic, wanted};
use time::{Duration, OffsetDateTime};

const LOGS: &str = "/webhook_callback_logs";

/// Records the first attempt at the delivery of an event that was accepted so many seconds ago.
async fn attempt(aws: &Aws, subscription: &str, ago: i64) {
    let key = DeliveryKey {
        subscription_id: SubscriptionId::new(subscription),
        accepted_at: OffsetDateTime::now_utc() - Duration::seconds(ago),
        event_id: EventId::new(format!("e{ago}")),
        shard: Shard::default(),
    };
    let attempt = FinishedAttempt {
        subscription_id: key.subscription_id.clone(),
        delivery_id: key.id(),
        first: true,
        resend: None,
        arrived: true,
        sent_at: key.accepted_at + Duration::milliseconds(5),
        key: Some(key),
        content: Content {
            event_type: "entity_updated".to_owned(),
            duration_ms: 12,
            url: "https://example.com/callback?token=hunter2".to_owned(),
            status: Some(200),
            ..Content::default()
        },
    };
    let deliveries = aws.app("Deliver", &[]).deliveries().unwrap();
    let now = OffsetDateTime::now_utc();
    assert!(deliveries.record(&[attempt], now).await.is_empty());
}

/// A client's subscription to an entity; its key.
async fn subscribe(aws: &Aws, authorization: &str, entity_key: &str, path: &str) -> String {
    let callback = format!("https://example.com/{path}");
    let body = json!({"subscription": wanted(entity_key, &callback)});
    let call = Call::new("POST", "/subscriptions")
        .body(body)
        .authorization(authorization);
    let (status, made) = call.made(aws).await;
    assert_eq!(status, 200);
    made["data"]["subscription"]["key"]
        .as_str()
        .unwrap()
        .to_owned()
}

fn entries(body: &Value) -> Vec<Value> {
    body["data"]["webhook_callback_logs"]
        .as_array()
        .unwrap()
        .clone()
}

#[tokio::test]
async fn it_has_the_attempts_of_all_subscriptions_to_an_entity_newest_first() {
    let (aws, client_id) = account().await;
    let authorization = basic(&client_id, support::SECRET);
    let mut keys = Vec::new();
    for path in ["a", "b"] {
        keys.push(subscribe(&aws, &authorization, "k 1", path).await);
    }
    let other = subscribe(&aws, &authorization, "other", "a").await;
    attempt(&aws, &other, 1).await;
    for ago in [50, 40, 30, 20, 10] {
        attempt(&aws, &keys[usize::from(ago % 20 == 0)], ago).await;
    }
    let call = Call::new("GET", LOGS)
        .with("entity_key", "k 1")
        .authorization(&authorization);
    let (status, all) = call.clone().made(&aws).await;
    assert_eq!((status, &all["pagination"]), (200, &json!({"next": null})));
    let all = entries(&all);
    let of: Vec<&Value> = all.iter().map(|it| &it["subscription_key"]).collect();
    assert_eq!(of, [&keys[0], &keys[1], &keys[0], &keys[1], &keys[0]]);
    let mut first = all[0].clone();
    let entry = first.as_object_mut().unwrap();
    let key = entry.remove("key").unwrap();
    assert!(
        key.as_str().unwrap().contains("_e10_") && key.as_str().unwrap().ends_with("-1"),
        "{key}"
    );
    let dates =
        ["date_created", "date_updated"].map(|name| entry.remove(name).unwrap().as_i64().unwrap());
    assert_eq!(dates[1] - dates[0], 12);
    assert_eq!(
        first,
        json!({
            "entity_key": "k 1",
            "callback_event": "entity_updated",
            "log": "POST https://example.com/callback (entity_updated, attempt 1): 200 OK after 0.012 s",
            "subscriber_key": null,
            "subscription_key": keys[0],
        })
    );
    // In pages, while attempts are added.
    let (mut found, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let call = call.clone().with("limit", "2");
        let call = match &cursor {
            Some(cursor) => call.with("cursor", cursor),
            None => call,
        };
        let (_, page) = call.made(&aws).await;
        found.extend(entries(&page));
        let Some(next) = page["pagination"]["next"].as_str() else {
            break;
        };
        let (list, place) = next.split_once("&cursor=").unwrap();
        assert_eq!(list, "/webhook_callback_logs?entity_key=k%201&limit=2");
        cursor = Some(place.to_owned());
        attempt(&aws, &keys[0], 0).await;
    }
    assert_eq!(found, all);
}

#[tokio::test]
async fn it_is_of_one_subscription_by_either_name_in_either_spelling() {
    let (aws, client_id) = account().await;
    let authorization = basic(&client_id, support::SECRET);
    let key = subscribe(&aws, &authorization, "k", "a").await;
    attempt(&aws, &subscribe(&aws, &authorization, "k", "b").await, 5).await;
    attempt(&aws, &key, 10).await;
    for (resource, shown) in [
        (LOGS, "subscription_key"),
        ("/v1/webhook_callback_logs", "webhook_key"),
    ] {
        for asked in ["subscription_key", "webhook_key"] {
            let call = Call::new("GET", resource).by(&client_id).with(asked, &key);
            let (status, body) = call.made(&aws).await;
            assert_eq!(status, 200);
            let found = entries(&body);
            let names =
                ["subscription_key", "webhook_key"].map(|name| found[0].get(name).is_some());
            assert_eq!(names, [shown == "subscription_key", shown == "webhook_key"]);
            assert_eq!((found.len(), &found[0][shown]), (1, &json!(key)));
        }
    }
}

#[tokio::test]
async fn it_is_of_exactly_one_thing_of_the_clients_own() {
    let (aws, client_id) = account().await;
    let other = aws.add_client("other", false).await;
    let theirs = subscribe(&aws, &basic(&other, support::SECRET), "k", "a").await;
    attempt(&aws, &theirs, 5).await;
    let long = "x".repeat(513);
    for (parameters, status) in [
        (&[][..], 400),
        (&[("entity_key", "k"), ("subscription_key", "s")], 400),
        (&[("entity_key", "k"), ("webhook_key", "s")], 400),
        (&[("subscription_key", "s"), ("webhook_key", "s")], 400),
        (&[("entity_key", "")], 400),
        (&[("entity_key", &long)], 400),
        (&[("subscription_key", "")], 400),
        (&[("webhook_key", "")], 400),
        (&[("entity_key", "k"), ("limit", "0")], 400),
        (&[("entity_key", "k"), ("limit", "101")], 400),
        (&[("entity_key", "k"), ("cursor", "garbage")], 400),
        (&[("entity_key", "k"), ("cursor", "")], 400),
        (&[("subscription_key", "nothing")], 404),
        (&[("webhook_key", &theirs)], 404),
        (&[("webhook_key", &long)], 404),
        (&[("entity_key", "k")], 200),
    ] {
        let mut call = Call::new("GET", LOGS).by(&client_id);
        for (name, value) in parameters {
            call = call.with(name, value);
        }
        let (got, body) = call.made(&aws).await;
        assert_eq!(got, status, "{parameters:?}");
        if status == 200 {
            assert_eq!(entries(&body), [Value::Null; 0]);
        }
    }
    assert_eq!(
        Call::new("GET", LOGS)
            .with("entity_key", "k")
            .made(&aws)
            .await
            .0,
        401
    );
}
