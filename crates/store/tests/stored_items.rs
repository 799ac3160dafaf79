//! Snapshots of all kinds of stored items. Items outlive the version of the code that has written them:
//! after a change here, the items that exist must still be readable.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::collections::BTreeMap;

use aws_sdk_dynamodb::Client as DynamoDb;
use aws_sdk_dynamodb::types::AttributeValue;
use bellwire_domain::delivery::key::DeliveryKey;
use bellwire_domain::delivery::lease::{Acquire, Ending};
use bellwire_domain::delivery::session::Session;
use bellwire_domain::endpoint::headers::WebhookHeaders;
use bellwire_domain::endpoint::signature::SigningSecrets;
use bellwire_domain::endpoint::{Disabled, DisabledReason};
use bellwire_domain::entity::EntityKey;
use bellwire_domain::ids::{EventId, SubscriptionId, TopicId};
use bellwire_domain::query::running_queries::{Concurrency, Request, RunningQueries};
use bellwire_domain::topic::Topic;
use bellwire_domain::topic::modes::SubscriptionMode;
use bellwire_domain::topic::payload::Payload;
use bellwire_domain::topic::shards::{Shard, Shards};
use bellwire_domain::{ClientId, ExecutionId, Format, QueryState, Secret, Statuses};
use bellwire_store::answers::{Answer, RepeatableRequest};
use bellwire_store::attempt_record::Content;
use bellwire_store::attempts::FinishedAttempt;
use bellwire_store::callbacks::Wanted;
use bellwire_store::events::{Event, EventSource};
use bellwire_store::leases::Acquisition;
use bellwire_store::queries::End;
use bellwire_store::subscription::{Source, Subscription, Target, Webhook};
use bellwire_store::topics::Found;
use bellwire_store::versions::Version;
use bellwire_store::{
    Answers, Attempts, Callbacks, Client, Clients, Deliveries, Events, Limits, Members, Queries,
    Subscriptions, Topics,
};
use serde_json::Value;
use support::{TABLE, message_id, sid, tid};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

const NOW: OffsetDateTime = datetime!(2026-01-01 00:00 UTC);
const WEEK: Duration = Duration::days(7);
const LIMITS: Limits = Limits {
    of_client: 10,
    at_host: 10,
};

fn client_id() -> ClientId {
    ClientId::parse("cl_aaaaaaaaaaaaaaaaaaaaaaaa").unwrap()
}

/// All items of a table as JSON, sorted by their texts.
async fn items(db: &DynamoDb, table: &str) -> String {
    let items = db.scan().table_name(table).send().await.unwrap().items;
    let mut items = items.unwrap_or_default();
    for content in items.iter_mut().filter_map(|item| item.get_mut("content")) {
        let text = String::from_utf8(content.as_b().unwrap().as_ref().to_vec()).unwrap();
        *content = AttributeValue::S(text);
    }
    let items: Vec<Value> = serde_dynamo::aws_sdk_dynamodb_1::from_items(items).unwrap();
    let mut texts: Vec<String> = items
        .iter()
        .map(|item| serde_json::to_string_pretty(item).unwrap())
        .collect();
    texts.sort();
    texts.join("\n")
}

#[tokio::test]
async fn clients() {
    let db = support::table(&["client_id"], None).await;
    let clients = Clients::new(db.clone(), TABLE.to_owned());
    let client = Client {
        client_id: client_id(),
        name: "acme".to_owned(),
        publisher: true,
        api_key_sha256: Secret::new("key").hash(),
        client_secret_sha256: Secret::new("secret").hash(),
        earlier_client_secrets: Vec::new(),
        created_at: NOW,
        key_rotated_at: None,
        disabled_at: None,
    };
    clients.create(&client).await.unwrap();
    let other = Secret::new("another").hash();
    clients
        .rotate_key(&client_id(), &other, NOW)
        .await
        .unwrap()
        .unwrap();
    clients
        .rotate_secret(&client, &other, NOW, NOW + WEEK)
        .await
        .unwrap()
        .unwrap();
    clients.disable(&client_id(), NOW).await.unwrap().unwrap();
    insta::assert_snapshot!(items(&db, TABLE).await);
}

#[tokio::test]
async fn callbacks() {
    let db = support::table(&["client_id", "callback_id"], None).await;
    let callbacks = Callbacks::new(db.clone(), TABLE.to_owned());
    let wanted = |url: &str| Wanted {
        callback_url: url.to_owned(),
        statuses: Statuses::new([QueryState::Failed]).unwrap(),
        format: Format::Envelope,
        subscription_arn: "arn:1".to_owned(),
    };
    let pending = wanted("https://example.com/pending");
    callbacks
        .record_pending(&client_id(), &pending, NOW)
        .await
        .unwrap();
    let confirmed = wanted("https://example.com/confirmed");
    let token = Secret::new("token");
    callbacks
        .record_confirmed(&client_id(), &confirmed, Some(&token), NOW)
        .await
        .unwrap();
    insta::assert_snapshot!(items(&db, TABLE).await);
}

#[tokio::test]
async fn topics() {
    let db = support::table(&["topic_id"], None).await;
    let topics = Topics::new(db.clone(), TABLE.to_owned());
    let topic = |id: &str, name: &str| {
        let text = format!(
            r#"{{"name": "{name}", "publisher": {{"type": "http-post", "payload": {{"type": "event"}}, "config": {{"note": [1]}}}},
                "subscribers": [{{"type": "webhook", "allowedSubscriptionModes": ["event"]}}]}}"#
        );
        Topic::new(TopicId::new(id), serde_json::from_str(&text).unwrap(), NOW)
    };
    for (id, name) in [("t1", "orders"), ("t2", "invoices")] {
        topics.create(&topic(id, name), None).await.unwrap();
    }
    let Found::Live(known) = topics.get(tid("t1")).await.unwrap() else {
        panic!("a topic");
    };
    let changed = topic("t1", "renamed");
    topics.update(&known, &changed).await.unwrap();
    let Found::Live(known) = topics.get(tid("t2")).await.unwrap() else {
        panic!("a topic");
    };
    topics.delete(&known, NOW).await.unwrap();
    insta::assert_snapshot!(items(&db, TABLE).await);
}

fn subscription(id: &str) -> Subscription {
    let source = Source::Topic {
        topic_id: TopicId::new("t1"),
        mode: SubscriptionMode::SnapshotPatch,
    };
    let headers = BTreeMap::from([("X-Key".to_owned(), "value".to_owned())]);
    let authorization = r#"{"client_id": "id", "client_secret": "s", "mode": "header", "scope": "hooks",
        "provider": "https://id.example.com/token"}"#;
    let webhook = Webhook {
        headers: WebhookHeaders::check(headers).unwrap(),
        authorization: Some(serde_json::from_str(authorization).unwrap()),
        secrets: SigningSecrets::new(Secret::new("whsec_AAAA"))
            .rotated(Secret::new("whsec_BBBB"), NOW)
            .rotated(Secret::new("whsec_CCCC"), NOW),
        origin: Some("api.example.com".to_owned()),
        ..Webhook::new("https://example.com/hook", Secret::new("whsec_AAAA"))
    };
    Subscription::new(
        SubscriptionId::new(id),
        client_id().as_str(),
        source,
        webhook,
        NOW,
    )
}

/// A subscription whose webhook lacks something.
fn without(remove: impl FnOnce(&mut Webhook), id: &str) -> Subscription {
    let mut subscription = subscription(id);
    let Target::Webhook(webhook) = &mut subscription.target;
    remove(webhook);
    subscription
}

/// Requests a version, as a message at a second; a lease lasts ten seconds.
fn acquire(id: &str, version: u64, second: u64) -> Acquire<'_> {
    Acquire {
        version,
        message_id: message_id(id),
        nonce: second,
        failures: 0,
        now: second * 1000,
        until: (second + 10) * 1000,
    }
}

#[tokio::test]
async fn subscriptions_and_members() {
    let db = support::table(&["subscription_id"], None).await;
    support::add_table(&db, "members", &["audience_segment", "subscription_id"]).await;
    let subscriptions = Subscriptions::new(db.clone(), TABLE.to_owned(), "members".to_owned());
    let members = Members::new(db.clone(), "members".to_owned());
    members.next_segment(tid("t1")).await.unwrap();
    let disabled = Subscription {
        disabled: Some(Disabled {
            reason: DisabledReason::Gone,
            at: NOW,
        }),
        owner_unnotified: true,
        client_disabled: true,
        failing_since: Some(NOW),
        ..without(|webhook| webhook.authorization = None, "disabled")
    };
    let entity = Subscription {
        source: Source::Entity {
            entity_key: EntityKey::try_from("order-1".to_owned()).unwrap(),
        },
        ..without(
            |webhook| {
                webhook.headers = WebhookHeaders::default();
                webhook.origin = None;
            },
            "entity",
        )
    };
    let all = [
        subscription("held"),
        subscription("retrying"),
        disabled,
        entity,
    ];
    for subscription in &all {
        subscriptions
            .create(subscription, &LIMITS, Vec::new())
            .await
            .unwrap();
    }
    // A lease that is held while another message requests a later version.
    subscriptions
        .acquire_lease(sid("held"), acquire("m1", 3, 0))
        .await
        .unwrap();
    subscriptions
        .acquire_lease(sid("held"), acquire("m2", 4, 1))
        .await
        .unwrap();
    // A subscription that waits for a retry.
    let held = subscriptions.acquire_lease(sid("retrying"), acquire("m1", 3, 0));
    let Acquisition::Held(mut held) = held.await.unwrap() else {
        panic!("a lease");
    };
    let session = Session::begin(&held.subscription.progress)
        .acknowledged(2)
        .failed();
    let ending = Ending::Failed {
        retry_at: Some(90_000),
    };
    subscriptions
        .release_lease(&mut held, session, ending, NOW, WEEK)
        .await
        .unwrap();
    subscriptions
        .acquire_lease(sid("retrying"), acquire("m2", 4, 1))
        .await
        .unwrap();
    subscriptions
        .begin_replay(sid("entity"), "r1", NOW)
        .await
        .unwrap();
    let ended = subscription("ended");
    subscriptions
        .create(&ended, &LIMITS, Vec::new())
        .await
        .unwrap();
    subscriptions.expire(&ended, NOW, NOW).await.unwrap();
    insta::assert_snapshot!("subscriptions", items(&db, TABLE).await);
    insta::assert_snapshot!("members", items(&db, "members").await);
}

#[tokio::test]
async fn events() {
    let db = support::table(&["source", "key"], None).await;
    let events = Events::new(db.clone(), TABLE.to_owned(), WEEK);
    let event = Event {
        event_id: EventId::new("e1"),
        accepted_at: NOW,
        payload: Payload::Inline(r#"{"n":1}"#.to_owned()),
    };
    let source = EventSource::of_topic(tid("topic"), Shards::ONE);
    events.record(&source, &event, NOW).await.unwrap();
    let key: EntityKey = serde_json::from_str("\"entity\"").unwrap();
    let of_entity = EventSource::of_entity(&key);
    events.record(&of_entity, &event, NOW).await.unwrap();
    let once = Event {
        event_id: EventId::new("e2"),
        payload: Payload::Stored("events-45/e2".to_owned()),
        ..event.clone()
    };
    events.record_once(&source, &once, NOW).await.unwrap();
    let version = |number| Version {
        version: number,
        accepted_at: NOW,
        snapshot: Payload::Stored(format!("documents/{number}")),
        patch: Some(Payload::Inline("[]".to_owned())),
        confirmed_at: None,
    };
    for number in 1..=2 {
        let previous = (number > 1).then_some(number - 1);
        let publication = format!("p{number}");
        events
            .commit(
                tid("document"),
                &publication,
                &version(number),
                previous,
                NOW,
            )
            .await
            .unwrap();
    }
    events
        .note_unchanged(tid("document"), "p3", NOW)
        .await
        .unwrap();
    events
        .confirm(tid("document"), 2, NOW + WEEK)
        .await
        .unwrap();
    events
        .commit(tid("deleted"), "p1", &version(1), None, NOW)
        .await
        .unwrap();
    events
        .end_document(tid("deleted"), Some(&version(1)), NOW)
        .await
        .unwrap();
    insta::assert_snapshot!(items(&db, TABLE).await);
}

#[tokio::test]
async fn queries() {
    let db = support::table(&["execution_id"], None).await;
    let queries = Queries::new(db.clone(), TABLE.to_owned());
    let id = |text: &str| ExecutionId::parse(text).unwrap();
    queries
        .record_owner(&id("q1"), &client_id(), true, NOW)
        .await
        .unwrap();
    let end = End {
        state: QueryState::Failed,
        at: NOW,
        reason: Some("SYNTAX_ERROR"),
    };
    queries.record_end(&id("q1"), end, NOW).await.unwrap();
    queries.mark_notified(&id("q1"), NOW).await.unwrap();
    queries
        .acquire_rendering_lease(&id("q1"), NOW)
        .await
        .unwrap();
    queries
        .record_progress(&id("q2"), QueryState::Running, 3, NOW)
        .await
        .unwrap();
    let limits = Concurrency {
        queries: 5,
        waiting: 5,
    };
    let request = |token: &str| Request {
        token: token.to_owned(),
        waits_as: Some("w1".to_owned()),
    };
    let known = queries.running(&client_id()).await.unwrap();
    let next = RunningQueries::default()
        .taken(&request("a"), limits, NOW)
        .unwrap();
    let next = next
        .started("a", id("q3"), NOW)
        .taken(&request("b"), limits, NOW);
    queries
        .replace_running(&client_id(), &known, next.unwrap(), NOW)
        .await
        .unwrap()
        .unwrap();
    insta::assert_snapshot!(items(&db, TABLE).await);
}

#[tokio::test]
async fn attempts() {
    let db = support::table(&["subscription_id", "exchange_id"], None).await;
    let subscriptions = Subscriptions::new(db.clone(), "none".to_owned(), "none".to_owned());
    let attempts = Attempts::new(db.clone(), TABLE.to_owned(), WEEK);
    let deliveries = Deliveries::new(attempts, "none".to_owned(), WEEK, subscriptions);
    let key = DeliveryKey {
        subscription_id: SubscriptionId::new("s1"),
        accepted_at: NOW,
        event_id: EventId::new("e1"),
        shard: Shard::default(),
    };
    let first = FinishedAttempt {
        subscription_id: SubscriptionId::new("s1"),
        delivery_id: key.id(),
        key: Some(key),
        first: true,
        arrived: true,
        sent_at: NOW + Duration::milliseconds(20),
        content: Content {
            event_type: "event".to_owned(),
            duration_ms: 12,
            url: "https://example.com/hook".to_owned(),
            signature: "v1,c2ln".to_owned(),
            header_names: vec!["x-key".to_owned()],
            authorized: true,
            origin: Some("api.example.com".to_owned()),
            status: Some(200),
            response_headers: vec![("server".to_owned(), "x".to_owned())],
            response_body: Some("ok".to_owned()),
            response_bytes: Some(2),
            ..Content::default()
        },
    };
    let retry = FinishedAttempt {
        first: false,
        arrived: false,
        content: Content {
            event_id: Some(EventId::new("e1")),
            failures: 2,
            retries: 7,
            version: Some(3),
            base_version: Some(2),
            error: Some("no answer within 3 s".to_owned()),
            request_body: Some("{}".to_owned()),
            next_attempt: Some(1_767_225_600_000),
            ..Content::default()
        },
        ..first.clone()
    };
    assert!(deliveries.record(&[first, retry], NOW).await.is_empty());
    insta::assert_snapshot!(items(&db, TABLE).await);
}

#[tokio::test]
async fn answers() {
    let db = support::table(&["request_id"], None).await;
    let answers = Answers::new(db.clone(), TABLE.to_owned());
    let request = RepeatableRequest::new("cl_a", "key", &["POST", "/topics", "{}"]);
    let answer = Answer {
        status: 201,
        body: r#"{"id":"t1"}"#.to_owned(),
    };
    answers.keep(&request, answer, NOW).await.unwrap();
    insta::assert_snapshot!(items(&db, TABLE).await);
}
