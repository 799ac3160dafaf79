//! Snapshots of all kinds of stored items but those of subscriptions (`stored_subscriptions.rs`). Items outlive
//! the version of the code that has written them: after a change here, the items that exist must still be readable.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use bellwire_domain::client::ExternalId;
use bellwire_domain::entity::EntityKey;
use bellwire_domain::ids::{EventId, TopicId};
use bellwire_domain::query::running_queries::{Concurrency, Request, RunningQueries};
use bellwire_domain::topic::Topic;
use bellwire_domain::topic::payload::Payload;
use bellwire_domain::topic::shards::Shards;
use bellwire_domain::{ExecutionId, Format, QueryState, Secret, Statuses};
use bellwire_store::answers::{Answer, RepeatableRequest};
use bellwire_store::callbacks::Wanted;
use bellwire_store::events::{Event, EventSource};
use bellwire_store::queries::End;
use bellwire_store::topics::Found;
use bellwire_store::versions::Version;
use bellwire_store::{Answers, Callbacks, Client, ClientChange, Clients, Events, Queries, Topics};
use support::stored::{NOW, WEEK, client_id, items};
use support::{TABLE, tid};

#[tokio::test]
async fn clients() {
    let db = support::table(&["client_id"], None).await;
    let clients = Clients::new(db.clone(), TABLE.to_owned());
    let client = Client {
        publisher: true,
        api_key_sha256: Some(Secret::new("another").hash()),
        key_rotated_at: Some(NOW),
        ..Client::new(client_id(), "acme", &Secret::new("secret").hash(), NOW)
    };
    clients.create(&client, None).await.unwrap();
    let other = Secret::new("another").hash();
    let rotated = clients.rotate_secret(&client, &other, NOW, NOW + WEEK, None);
    assert!(rotated.await.unwrap());
    let disable = ClientChange {
        disabled: Some(true),
        ..ClientChange::default()
    };
    let disabled = clients.change(&client, &disable, NOW).await.unwrap();
    assert!(disabled.is_some());
    // One that came with the provider's id, and is being deleted.
    let external_id = ExternalId::parse("customer-1").unwrap();
    let client = Client {
        labels: serde_json::from_value(serde_json::json!(["eu", "plan:gold"])).unwrap(),
        api_keys: vec![Secret::new("key").hash()],
        external_id: Some(external_id.clone()),
        ..Client::new(external_id.client_id(), "acme", &other, NOW)
    };
    clients.create(&client, None).await.unwrap();
    clients.begin_deletion(&client, NOW).await.unwrap();
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
