//! Looking at deliveries, and having them sent once more.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use bellwire_domain::delivery::key::DeliveryKey;
use bellwire_domain::ids::{DeliveryId, EventId, SubscriptionId, TopicId, delivery_id, version_id};
use bellwire_domain::topic::payload::{Payload, compress};
use bellwire_domain::topic::shards::{Shard, Shards};
use bellwire_doubles::{Aws, Effect, Fault, request};
use bellwire_queues::{Delivery, DeliveryKind};
use bellwire_store::attempt_record::Content;
use bellwire_store::attempts::FinishedAttempt;
use bellwire_store::events::{Event, EventSource};
use bellwire_store::versions::Version;
use lambda_http::RequestExt;
use lambda_http::http::HeaderValue;
use serde_json::{Value, json};
use std::collections::HashMap;
use time::{Duration, OffsetDateTime};
use webhook_subscriptions::WebhookSubscriptionsFunction;

const TABLES: [&str; 7] = [
    "ClientsTable",
    "TopicsTable",
    "MembersTable",
    "SubscriptionsTable",
    "EventsTable",
    "ExchangesTable",
    "AnswersTable",
];
const PREFIX: &str = "/subscribers/webhook/subscriptions";

/// An account with the client `key` and its subscription, whose id is returned, to the topic `t1`.
async fn account(payload: &str) -> (Aws, SubscriptionId) {
    let aws = Aws::with_tables(&TABLES).await;
    aws.add_client("key", false).await;
    aws.add_client("other", false).await;
    let publisher = json!({"type": "http-post", "config": {}, "payload": {"type": payload}});
    aws.add_topic("t1", json!({"name": "t1", "publisher": publisher}))
        .await;
    let body = json!({"webhookUrl": "https://example.com/hook"});
    let resource = "/subscribers/webhook/topics/{topicId}/subscriptions";
    let path = "/subscribers/webhook/topics/t1/subscriptions";
    let function = function(&aws);
    let request = request("POST", resource, path, Some("key"), &body);
    let made = function.handle(request).await.unwrap();
    let made: Value = serde_json::from_slice(made.body()).unwrap();
    aws.empty_queues();
    (aws, SubscriptionId::new(made["id"].as_str().unwrap()))
}

fn function(aws: &Aws) -> WebhookSubscriptionsFunction {
    let schedule = [("RETRY_SCHEDULE", "0s 1h")];
    WebhookSubscriptionsFunction::new(&aws.app("WebhookSubscriptions", &schedule)).unwrap()
}

/// Publishes an event, and returns its delivery.
async fn publish(aws: &Aws, of: &SubscriptionId, event: &str, ago: Duration) -> DeliveryKey {
    publish_in(aws, of, event, ago, Shards::ONE).await
}

async fn publish_in(
    aws: &Aws,
    of: &SubscriptionId,
    event: &str,
    ago: Duration,
    shards: Shards,
) -> DeliveryKey {
    let now = OffsetDateTime::now_utc();
    // As the table has it.
    let micros = (now - ago).unix_timestamp_nanos() / 1000;
    let accepted_at = OffsetDateTime::from_unix_timestamp_nanos(micros * 1000).unwrap();
    let event = Event {
        event_id: EventId::new(event),
        accepted_at,
        payload: Payload::inline(&compress(b"{}")),
    };
    let source = EventSource::of_topic(&TopicId::new("t1"), shards);
    let events = aws.app("Publish", &[]).events().unwrap();
    events.record(&source, &event, now).await.unwrap();
    DeliveryKey {
        subscription_id: of.clone(),
        accepted_at,
        shard: source.shard_of(&event.event_id),
        event_id: event.event_id,
    }
}

/// Records an attempt, so many seconds after the acceptance.
async fn attempt(aws: &Aws, key: &DeliveryKey, failures: usize, status: u16, second: i64) {
    let attempt = FinishedAttempt {
        subscription_id: key.subscription_id.clone(),
        delivery_id: key.id(),
        key: Some(key.clone()),
        first: failures == 0,
        arrived: status == 200,
        resend: None,
        sent_at: key.accepted_at + Duration::seconds(second),
        content: Content {
            event_type: "event".to_owned(),
            status: Some(status),
            failures,
            ..Content::default()
        },
    };
    record(aws, attempt).await;
}

async fn record(aws: &Aws, attempt: FinishedAttempt) {
    let deliveries = aws.app("Deliver", &[]).deliveries().unwrap();
    let failed = deliveries
        .record(&[attempt], OffsetDateTime::now_utc())
        .await;
    assert!(failed.is_empty());
}

/// The status and the body of a response; of a failure its status and its message.
async fn call(
    aws: &Aws,
    method: &str,
    of: &str,
    path: &str,
    as_key: &str,
    idempotency: Option<&str>,
) -> (u16, Value) {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let parts: Vec<&str> = path.split('/').filter(|it| !it.is_empty()).collect();
    let resource = match parts.len() {
        1 => format!("{PREFIX}/{{subscriptionId}}/deliveries"),
        2 => format!("{PREFIX}/{{subscriptionId}}/deliveries/{{deliveryId}}"),
        _ => {
            let action = parts.last().unwrap();
            format!("{PREFIX}/{{subscriptionId}}/deliveries/{{deliveryId}}/{action}")
        }
    };
    let path = format!("{PREFIX}/{of}{path}");
    let mut request = request(method, &resource, &path, Some(as_key), &Value::Null);
    if let Some(key) = idempotency {
        let key = HeaderValue::from_str(key).unwrap();
        request.headers_mut().insert("idempotency-key", key);
    }
    let parameters: HashMap<String, Vec<String>> = query
        .split('&')
        .filter_map(|it| it.split_once('='))
        .map(|(name, value)| (name.to_owned(), vec![value.to_owned()]))
        .collect();
    let request = request.with_query_string_parameters(parameters);
    match function(aws).handle(request).await {
        Ok(response) => {
            let status = response.status().as_u16();
            (status, serde_json::from_slice(response.body()).unwrap())
        }
        Err(failure) => (failure.status().as_u16(), Value::Null),
    }
}

async fn get(aws: &Aws, of: &SubscriptionId, path: &str) -> (u16, Value) {
    call(aws, "GET", of.as_str(), path, "key", None).await
}

async fn resend(
    aws: &Aws,
    id: &DeliveryId,
    of: &SubscriptionId,
    key: Option<&str>,
) -> (u16, Value) {
    let path = format!("/deliveries/{id}/resend");
    call(aws, "POST", of.as_str(), &path, "key", key).await
}

fn ids(body: &Value) -> Vec<&str> {
    let items = body["items"].as_array().unwrap().iter();
    items.map(|it| it["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn deliveries_are_listed_with_their_states_and_filtered_by_them() {
    let (aws, of) = account("event").await;
    let arrived = publish(&aws, &of, "arrived", Duration::minutes(50)).await;
    attempt(&aws, &arrived, 0, 503, 0).await;
    attempt(&aws, &arrived, 1, 500, 1).await;
    attempt(&aws, &arrived, 2, 200, 100).await;
    let retried = publish(&aws, &of, "retried", Duration::minutes(40)).await;
    attempt(&aws, &retried, 0, 503, 0).await;
    let failed = publish(&aws, &of, "failed", Duration::minutes(30)).await;
    for failures in 0..3 {
        attempt(
            &aws,
            &failed,
            failures,
            500,
            1 + i64::try_from(failures).unwrap(),
        )
        .await;
    }
    let old = publish(&aws, &of, "old", Duration::hours(25)).await;
    attempt(&aws, &old, 0, 200, 0).await;
    let (_, page) = get(&aws, &of, "/deliveries").await;
    let all = [&failed, &retried, &arrived].map(|key| key.id().to_string());
    assert_eq!(ids(&page), all);
    let states = page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["state"]);
    let states: Vec<_> = states.collect();
    assert_eq!(states, ["failed", "retrying", "delivered"]);
    let shown = &page["items"][2];
    assert_eq!(shown["eventId"], "arrived");
    let numbers: Vec<_> = shown["attempts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["attempt"])
        .collect();
    assert_eq!(numbers, [3, 2, 1]);
    let one = get(&aws, &of, &format!("/deliveries/{}", arrived.id())).await;
    assert_eq!(&one, &(200, shown.clone()));
    let start = bellwire_domain::timestamp::iso(old.accepted_at - Duration::minutes(1));
    let end = bellwire_domain::timestamp::iso(arrived.accepted_at + Duration::minutes(1));
    for (filter, found) in [
        ("state=failed", vec![&failed]),
        ("state=superseded", vec![]),
        ("code=200", vec![&arrived]),
        ("code=503&state=retrying", vec![&retried]),
        ("code=503&state=failed", vec![]),
        ("eventType=event&limit=1", vec![&failed]),
        ("eventType=snapshot", vec![]),
        (
            &format!("start={start}&state=delivered"),
            vec![&arrived, &old],
        ),
        (&format!("start={start}&end={end}"), vec![&arrived, &old]),
    ] {
        let (status, page) = get(&aws, &of, &format!("/deliveries?{filter}")).await;
        let found: Vec<String> = found.iter().map(|key| key.id().to_string()).collect();
        assert_eq!(
            (status, ids(&page)),
            (200, found.iter().map(String::as_str).collect()),
            "{filter}"
        );
    }
}

#[tokio::test]
async fn a_list_has_pages_that_name_the_next_one() {
    let (aws, of) = account("event").await;
    let mut expected = Vec::new();
    for n in 0..5 {
        let key = publish(&aws, &of, &format!("e{n}"), Duration::minutes(50 - n)).await;
        attempt(&aws, &key, 0, 200, 0).await;
        expected.insert(0, key.id().to_string());
    }
    let (mut path, mut found, mut pages) = ("/deliveries?limit=2".to_owned(), Vec::new(), 0);
    loop {
        let (status, page) = get(&aws, &of, &path).await;
        assert_eq!(status, 200);
        found.extend(ids(&page).into_iter().map(str::to_owned));
        pages += 1;
        let Some(next) = page["links"]["next"].as_str() else {
            break;
        };
        assert!(pages < 10);
        path = next
            .strip_prefix(&format!("{PREFIX}/{of}"))
            .unwrap()
            .to_owned();
    }
    assert_eq!((found, pages), (expected, 3));
}

#[tokio::test]
async fn what_is_foreign_or_malformed_or_unknown_is_not_found() {
    let (aws, of) = account("event").await;
    let key = publish(&aws, &of, "e1", Duration::minutes(1)).await;
    attempt(&aws, &key, 0, 200, 0).await;
    let path = format!("/deliveries/{}", key.id());
    assert_eq!(get(&aws, &of, &path).await.0, 200);
    let other = DeliveryKey {
        subscription_id: SubscriptionId::new("other"),
        ..key.clone()
    };
    for id in [
        other.id().as_str(),
        "x",
        "%00",
        "0000000000000000_e1_0",
        &"x".repeat(5000),
    ] {
        let path = format!("/deliveries/{id}");
        assert_eq!(get(&aws, &of, &path).await.0, 404, "{id}");
        let path = format!("{path}/resend");
        assert_eq!(
            call(&aws, "POST", of.as_str(), &path, "key", None).await.0,
            404,
            "{id}"
        );
    }
    for path in ["/deliveries".to_owned(), path] {
        assert_eq!(
            call(&aws, "GET", of.as_str(), &path, "other", None).await.0,
            404
        );
        assert_eq!(call(&aws, "GET", "other", &path, "key", None).await.0, 404);
    }
    for bad in [
        "state=x",
        "limit=0",
        "code=abc",
        "start=now",
        "cursor=x",
        "eventType=",
    ] {
        let path = format!("/deliveries?{bad}");
        assert_eq!(get(&aws, &of, &path).await.0, 400, "{bad}");
    }
}

#[tokio::test]
async fn an_event_is_sent_once_more_in_whatever_shard_it_is() {
    let (aws, of) = account("event").await;
    let topics = aws.app("Topics", &[]).topics().unwrap();
    let four = Shards::try_from(4).unwrap();
    for shards in [Shards::try_from(2).unwrap(), four] {
        topics.grow(&TopicId::new("t1"), shards).await.unwrap();
    }
    let mut shards: Vec<Shard> = Vec::new();
    for n in 0..8 {
        let key = publish_in(&aws, &of, &format!("e{n}"), Duration::minutes(5), four).await;
        attempt(&aws, &key, 0, 500, 70 * (n % 2)).await;
        attempt(&aws, &key, 1, 500, 90).await;
        // Behind the two retries that there may be.
        let answer = json!({"id": key.id(), "attempt": 4});
        assert_eq!(resend(&aws, &key.id(), &of, None).await, (202, answer));
        let sent: Delivery = aws.messages("DeliveriesQueue").pop().unwrap();
        assert_eq!(sent.key(), Some(key.clone()));
        assert_eq!(sent.id(), Some(key.id()));
        assert_eq!(sent.attempt, 3);
        assert!(sent.resend.is_some());
        assert!(matches!(sent.kind, DeliveryKind::Event { .. }));
        shards.push(key.shard);
    }
    shards.dedup();
    assert!(shards.len() > 2);
}

#[tokio::test]
async fn what_cannot_be_sent_once_more_is_a_conflict() {
    let (aws, of) = account("event").await;
    let key = publish(&aws, &of, "e1", Duration::minutes(1)).await;
    attempt(&aws, &key, 0, 200, 0).await;
    // It is on record, and what was published isn't.
    let gone = DeliveryKey {
        event_id: EventId::new("gone"),
        ..key.clone()
    };
    attempt(&aws, &gone, 0, 200, 0).await;
    assert_eq!(resend(&aws, &gone.id(), &of, None).await.0, 409);
    let test = DeliveryKey {
        accepted_at: OffsetDateTime::UNIX_EPOCH,
        event_id: EventId::new("test"),
        ..key.clone()
    };
    let second = (OffsetDateTime::now_utc() - OffsetDateTime::UNIX_EPOCH).whole_seconds();
    attempt(&aws, &test, 0, 200, second).await;
    let (_, shown) = get(&aws, &of, &format!("/deliveries/{}", test.id())).await;
    assert_eq!(shown["state"], "delivered");
    assert_eq!(resend(&aws, &test.id(), &of, None).await.0, 409);
    let subscriptions = aws.subscriptions();
    subscriptions
        .disable(&of, OffsetDateTime::now_utc())
        .await
        .unwrap();
    assert_eq!(resend(&aws, &key.id(), &of, None).await.0, 409);
    subscriptions
        .enable(&of, OffsetDateTime::now_utc())
        .await
        .unwrap();
    assert_eq!(resend(&aws, &key.id(), &of, None).await.0, 202);
    // By an operator, since the client itself isn't let in.
    subscriptions
        .disable_client(&of, OffsetDateTime::now_utc())
        .await
        .unwrap();
    assert_eq!(resend(&aws, &key.id(), &of, None).await.0, 409);
    assert_eq!(aws.sent("DeliveriesQueue").len(), 1);
}

#[tokio::test]
async fn a_payload_that_is_as_old_as_it_may_be_is_not_sent() {
    let (aws, of) = account("event").await;
    let old = publish(&aws, &of, "old", Duration::hours(2)).await;
    attempt(&aws, &old, 0, 500, 0).await;
    let changes = [("RETRY_SCHEDULE", "0s"), ("EVENTS_KEPT_DAYS", "0.05")];
    let app = aws.app("WebhookSubscriptions", &changes);
    let function = WebhookSubscriptionsFunction::new(&app).unwrap();
    let resource = format!("{PREFIX}/{{subscriptionId}}/deliveries/{{deliveryId}}/resend");
    let path = format!("{PREFIX}/{of}/deliveries/{}/resend", old.id());
    let request = request("POST", &resource, &path, Some("key"), &Value::Null);
    let refused = function.handle(request).await.unwrap_err();
    assert_eq!(refused.status().as_u16(), 409);
}

#[tokio::test]
async fn a_resend_is_on_its_way_once_wherever_the_function_is_killed() {
    for effect in [Effect::None, Effect::Done] {
        for n in 1.. {
            let (aws, of) = account("event").await;
            let key = publish(&aws, &of, "e1", Duration::minutes(1)).await;
            attempt(&aws, &key, 0, 200, 0).await;
            let id = key.id();
            let ended = aws
                .killed_at(n, effect, resend(&aws, &id, &of, Some("k")))
                .await;
            if ended.is_none() {
                assert_eq!(
                    resend(&aws, &id, &of, Some("k")).await.0,
                    202,
                    "{n} {effect:?}"
                );
            }
            // A repetition sends nothing.
            let answer = resend(&aws, &id, &of, Some("k")).await;
            assert_eq!(answer, (202, json!({"id": id, "attempt": 2})));
            let sent: Vec<Delivery> = aws.messages("DeliveriesQueue");
            // Whoever looks at the delivery looks for another attempt.
            assert_eq!(aws.items("ExchangesTable").await[0]["resent"], true);
            // Copies of one message are known by its id.
            assert!((1..=2).contains(&sent.len()), "{n} {effect:?}");
            assert!(sent.iter().all(|it| it.resend == sent[0].resend));
            if ended.is_some() {
                assert_eq!(sent.len(), 1);
                assert!(n > 5, "only {n} calls");
                break;
            }
        }
    }
}

#[tokio::test]
async fn reads_that_are_throttled_are_repeated_or_a_failure_of_ours() {
    let (aws, of) = account("event").await;
    let key = publish(&aws, &of, "e1", Duration::minutes(1)).await;
    attempt(&aws, &key, 0, 500, 0).await;
    let path = format!("/deliveries/{}", key.id());
    for (operation, path) in [
        ("Query", "/deliveries"),
        ("BatchGetItem", &path),
        ("Query", &path),
    ] {
        for fault in [Fault::Throttled, Fault::LostAnswer] {
            aws.fail(operation, fault, 2);
            assert_eq!(get(&aws, &of, path).await.0, 200, "{operation} {path}");
        }
        aws.fail(operation, Fault::Throttled, usize::MAX);
        assert_eq!(get(&aws, &of, path).await.0, 500, "{operation} {path}");
        aws.heal();
    }
    aws.fail("BatchGetItem", Fault::Partial, 2);
    assert_eq!(get(&aws, &of, &path).await.0, 200);
}

/// Commits a version of the document.
async fn commit(aws: &Aws, version: u64) {
    let next = Version {
        version,
        accepted_at: OffsetDateTime::now_utc(),
        snapshot: Payload::inline(&compress(b"1")),
        patch: None,
        confirmed_at: None,
    };
    let (topic, now) = (TopicId::new("t1"), OffsetDateTime::now_utc());
    let (id, previous) = (format!("p{version}"), (version > 1).then_some(version - 1));
    let events = aws.app("Commit", &[]).events().unwrap();
    events
        .commit(&topic, &id, &next, previous, now)
        .await
        .unwrap();
}

/// Records that a version has arrived, and returns its delivery.
async fn of_version(aws: &Aws, of: &SubscriptionId, version: u64) -> DeliveryId {
    let id = delivery_id(&version_id(&TopicId::new("t1"), version), of);
    let attempt = FinishedAttempt {
        subscription_id: of.clone(),
        delivery_id: id.clone(),
        key: None,
        first: false,
        arrived: true,
        resend: None,
        sent_at: OffsetDateTime::now_utc(),
        content: Content {
            event_type: "snapshot".to_owned(),
            status: Some(200),
            version: Some(version),
            ..Content::default()
        },
    };
    record(aws, attempt).await;
    id
}

#[tokio::test]
async fn of_a_document_the_current_version_is_asked_for_wherever_the_function_is_killed() {
    for effect in [Effect::None, Effect::Done] {
        for n in 1.. {
            let (aws, of) = account("snapshot").await;
            commit(&aws, 1).await;
            let first = of_version(&aws, &of, 1).await;
            commit(&aws, 2).await;
            let id = of_version(&aws, &of, 2).await;
            assert_eq!(resend(&aws, &first, &of, None).await.0, 409);
            let ended = aws
                .killed_at(n, effect, resend(&aws, &id, &of, Some("k")))
                .await;
            if ended.is_none() {
                assert_eq!(
                    resend(&aws, &id, &of, Some("k")).await.0,
                    202,
                    "{n} {effect:?}"
                );
            }
            let sent: Vec<Delivery> = aws.messages("DeliveriesQueue");
            assert!(!sent.is_empty(), "{n} {effect:?}");
            let current = |it: &Delivery| matches!(it.kind, DeliveryKind::Document { version: 2 });
            assert!(sent.iter().all(|it| current(it) && it.resend.is_none()));
            let stored = &aws.items("SubscriptionsTable").await[0];
            // It was asked for once: who has sent it since is not asked again by a repetition.
            assert_eq!(
                (&stored["in_doubt"], &stored["snapshots_asked"]),
                (&json!(true), &json!(1))
            );
            let answer = resend(&aws, &id, &of, Some("k")).await;
            assert_eq!(answer, (202, json!({"id": id, "attempt": 1})));
            let stored = &aws.items("SubscriptionsTable").await[0];
            assert_eq!(stored["snapshots_asked"], 1);
            if ended.is_some() {
                assert_eq!(sent.len(), 1);
                assert!(n > 5, "only {n} calls");
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_subscription_that_is_deleted_meanwhile_is_asked_for_nothing() {
    let (aws, of) = account("snapshot").await;
    commit(&aws, 1).await;
    let id = of_version(&aws, &of, 1).await;
    let subscriptions = aws.subscriptions();
    let known = subscriptions.get(&of).await.unwrap().unwrap();
    let resends = aws.app("WebhookSubscriptions", &[]).resends().unwrap();
    let attempts = aws.app("WebhookSubscriptions", &[]).attempts().unwrap();
    let now = OffsetDateTime::now_utc();
    let found = attempts.delivery(&known, Shards::ONE, &id, now).await;
    let found = found.unwrap().unwrap();
    subscriptions.delete(&known).await.unwrap();
    let resent = resends.resend(
        &known,
        &found,
        EventId::new("r1"),
        None,
        bellwire_fanout::Restricted(false),
        now,
    );
    assert_eq!(resent.await.unwrap(), bellwire_fanout::Resent::Gone);
    assert!(aws.sent("DeliveriesQueue").is_empty());
}

/// What a console asks for: a page of fifty deliveries, with the token of a session.
#[tokio::test]
async fn fifty_deliveries_take_six_reads_of_tables_at_most() {
    let (aws, id) = account("event").await;
    for n in 0..60 {
        let key = publish(&aws, &id, &format!("e{n}"), Duration::minutes(n)).await;
        attempt(&aws, &key, 0, 200, 1).await;
    }
    let app = aws.app("WebhookSubscriptions", &[]);
    let clients = app.clients().unwrap().list().await.unwrap();
    let client = clients.iter().find(|it| it.name == "key").unwrap();
    let token = bellwire_domain::Secret::new("bwt_token");
    let session =
        bellwire_store::ApiKey::of_session(client, &token, None, OffsetDateTime::now_utc());
    app.keys().unwrap().begin_session(&session).await.unwrap();
    aws.calls();
    let path = format!("{PREFIX}/{id}/deliveries");
    let resource = format!("{PREFIX}/{{subscriptionId}}/deliveries");
    let request = request("GET", &resource, &path, Some("bwt_token"), &Value::Null)
        .with_query_string_parameters(HashMap::from([("limit".to_owned(), "50".to_owned())]));
    let answer = function(&aws).handle(request).await.unwrap();
    let body: Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(body["items"].as_array().unwrap().len(), 50);
    let reads = aws.calls();
    assert!(reads.len() <= 6, "{reads:?}");
}

#[tokio::test]
async fn what_was_sent_is_returned_as_long_as_it_is_kept() {
    let (aws, id) = account("event").await;
    let delivery = publish(&aws, &id, "e1", Duration::minutes(1)).await;
    attempt(&aws, &delivery, 0, 500, 1).await;
    let path = format!("/deliveries/{}/payload", delivery.id());
    assert_eq!(get(&aws, &id, &path).await, (200, json!({})));
    // What is older than events are kept is gone, and so is what was never there.
    let old = publish(&aws, &id, "e2", Duration::days(8)).await;
    attempt(&aws, &old, 0, 500, 1).await;
    for delivery in [old.id().as_str(), "nothing"] {
        let path = format!("/deliveries/{delivery}/payload");
        assert_eq!(get(&aws, &id, &path).await.0, 404, "{delivery}");
    }
}

#[tokio::test]
async fn a_document_is_returned_as_it_is_and_a_version_as_it_was_sent() {
    let (aws, id) = account("snapshot").await;
    let resource = "/subscribers/webhook/topics/{topicId}/document";
    let path = "/subscribers/webhook/topics/t1/document";
    let document = async || {
        let request = request("GET", resource, path, Some("key"), &Value::Null);
        function(&aws).handle(request).await
    };
    assert_eq!(document().await.unwrap_err().status(), 404);
    commit(&aws, 1).await;
    let answer = document().await.unwrap();
    assert_eq!(answer.headers()["etag"], "\"1\"");
    let body: Value = serde_json::from_slice(answer.body()).unwrap();
    let sent = of_version(&aws, &id, 1).await;
    let path = format!("/deliveries/{sent}/payload");
    assert_eq!(get(&aws, &id, &path).await, (200, body));
}
