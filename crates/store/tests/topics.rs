//! The Topics table against a DynamoDB emulator.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use support::tid;

use bellwire_domain::ids::TopicId;
use bellwire_domain::topic::shards::Shards;
use bellwire_domain::topic::{Topic, TopicDefinition, TopicReference};
use bellwire_store::Topics;
use bellwire_store::topics::{FIRST_REVISION, Found, StoredTopic, Written};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

const NOW: OffsetDateTime = datetime!(2026-01-01 00:00 UTC);

async fn topics() -> Topics {
    let index = ("listed", ["listed", "created_at"].as_slice());
    let db = support::table(&["topic_id"], Some(index)).await;
    Topics::new(db, support::TABLE.to_owned())
}

fn definition(name: &str) -> TopicDefinition {
    let text = format!(
        r#"{{"name": "{name}", "publisher": {{"type": "http-post", "payload": {{"type": "event"}},
            "config": {{"note": [1, {{"a": null}}]}}}}}}"#
    );
    serde_json::from_str(&text).unwrap()
}

fn topic(id: &str, name: &str) -> Topic {
    Topic::new(TopicId::new(id), definition(name), NOW)
}

async fn live(topics: &Topics, id: &str) -> StoredTopic {
    match topics.get(tid(id)).await.unwrap() {
        Found::Live(topic) => topic,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_topic_is_read_as_it_was_written() {
    let topics = topics().await;
    assert!(matches!(
        topics.get(tid("a")).await.unwrap(),
        Found::Unknown
    ));
    assert_eq!(
        topics.create(&topic("a", "orders"), None).await.unwrap(),
        Written::Done
    );
    assert_eq!(live(&topics, "a").await.topic, topic("a", "orders"));
}

#[tokio::test]
async fn a_name_is_given_once_and_is_free_again_after_it_was_given_up() {
    let topics = topics().await;
    topics.create(&topic("a", "orders"), None).await.unwrap();
    assert_eq!(
        topics.create(&topic("b", "orders"), None).await.unwrap(),
        Written::NameTaken
    );
    assert!(matches!(
        topics.get(tid("b")).await.unwrap(),
        Found::Unknown
    ));

    let known = live(&topics, "a").await;
    let renamed = known.topic.changed(definition("customers"), NOW);
    assert_eq!(
        topics.update(&known, &renamed).await.unwrap(),
        Written::Done
    );
    assert_eq!(
        topics.create(&topic("b", "orders"), None).await.unwrap(),
        Written::Done
    );
    let known = live(&topics, "b").await;
    let renamed = known.topic.changed(definition("customers"), NOW);
    assert_eq!(
        topics.update(&known, &renamed).await.unwrap(),
        Written::NameTaken
    );
    assert_eq!(live(&topics, "b").await.topic.name, "orders");
}

#[tokio::test]
async fn of_two_changes_at_once_the_second_is_told() {
    let topics = topics().await;
    topics.create(&topic("a", "orders"), None).await.unwrap();
    let known = live(&topics, "a").await;
    let later = known
        .topic
        .changed(definition("orders"), NOW + Duration::hours(1));
    assert_eq!(topics.update(&known, &later).await.unwrap(), Written::Done);
    assert_eq!(
        topics.update(&known, &later).await.unwrap(),
        Written::Changed
    );
    assert_eq!(topics.delete(&known, NOW).await.unwrap(), Written::Changed);
    assert_eq!(live(&topics, "a").await.topic, later);
}

#[tokio::test]
async fn a_deleted_topic_leaves_a_mark_and_its_name() {
    let topics = topics().await;
    topics.create(&topic("a", "orders"), None).await.unwrap();
    let known = live(&topics, "a").await;
    assert_eq!(topics.delete(&known, NOW).await.unwrap(), Written::Done);
    assert!(matches!(
        topics.get(tid("a")).await.unwrap(),
        Found::Deleted { .. }
    ));
    assert!(topics.list().await.unwrap().is_empty());
    assert_eq!(
        topics.create(&topic("b", "orders"), None).await.unwrap(),
        Written::Done
    );
}

#[tokio::test]
async fn the_list_is_complete_and_in_order_of_creation() {
    let topics = topics().await;
    for hour in (1..=15).rev() {
        let made = Topic {
            create_timestamp: NOW + Duration::hours(hour),
            ..topic(&format!("id-{hour}"), &format!("name-{hour}"))
        };
        topics.create(&made, None).await.unwrap();
    }
    let ids: Vec<_> = topics
        .list()
        .await
        .unwrap()
        .into_iter()
        .map(|it| it.id.to_string())
        .collect();
    let expected: Vec<_> = (1..=15).map(|hour| format!("id-{hour}")).collect();
    assert_eq!(ids, expected);
}

#[tokio::test]
async fn the_item_that_holds_a_name_is_no_topic() {
    let topics = topics().await;
    topics.create(&topic("a", "orders"), None).await.unwrap();
    let key = format!("name#{}", bellwire_domain::digest::sha256_hex("orders"));
    assert!(matches!(
        topics.get(tid(&key)).await.unwrap(),
        Found::Unknown
    ));
    assert_eq!(topics.list().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_topic_gets_more_shards_and_never_fewer_whatever_else_changes() {
    let topics = topics().await;
    let shards = |count: u16| Shards::try_from(count).unwrap();
    assert_eq!(topics.grow(tid("a"), shards(2)).await.unwrap(), None);
    topics.create(&topic("a", "orders"), None).await.unwrap();
    assert_eq!(live(&topics, "a").await.shards, Shards::ONE);
    let before = live(&topics, "a").await;
    assert_eq!(
        topics.grow(tid("a"), shards(4)).await.unwrap(),
        Some(shards(4))
    );
    assert_eq!(
        topics.grow(tid("a"), shards(2)).await.unwrap(),
        Some(shards(4))
    );
    // A change that was under way is refused, and made again with the new number.
    let renamed = topic("a", "invoices");
    assert_eq!(
        topics.update(&before, &renamed).await.unwrap(),
        Written::Changed
    );
    let known = live(&topics, "a").await;
    assert_eq!(
        topics.update(&known, &renamed).await.unwrap(),
        Written::Done
    );
    let known = live(&topics, "a").await;
    assert_eq!(
        (known.shards, known.topic.name.as_str()),
        (shards(4), "invoices")
    );
    topics.delete(&known, NOW).await.unwrap();
    assert_eq!(topics.grow(tid("a"), shards(8)).await.unwrap(), None);
    let found = topics.get(tid("a")).await.unwrap();
    assert!(
        matches!(found, Found::Deleted { shards: kept, .. } if kept == shards(4)),
        "{found:?}"
    );
}

fn name(text: &str) -> TopicReference {
    TopicReference::parse(text)
}

#[tokio::test]
async fn a_topic_is_found_by_its_name_and_by_its_id() {
    let topics = topics().await;
    let id = "6f1a8c9e-3b1d-4c7a-9a55-0d5f6f1f2a11";
    topics.create(&topic(id, "orders"), None).await.unwrap();
    for reference in [name("orders"), name(id)] {
        let found = topics.find(&reference).await.unwrap();
        assert!(matches!(found, Found::Live(it) if it.topic == topic(id, "orders")));
    }
    let long = "x".repeat(256);
    for unknown in ["Orders", "orders ", "", "invoices", long.as_str()] {
        assert_eq!(topics.id_of(&name(unknown)).await.unwrap(), None);
        let found = topics.find(&name(unknown)).await.unwrap();
        assert!(matches!(found, Found::Unknown), "{unknown}");
    }
    // It has one name at a time.
    let known = live(&topics, id).await;
    let renamed = known.topic.changed(definition("invoices"), NOW);
    topics.update(&known, &renamed).await.unwrap();
    assert_eq!(topics.id_of(&name("orders")).await.unwrap(), None);
    assert_eq!(
        topics.id_of(&name("invoices")).await.unwrap().as_ref(),
        Some(tid(id))
    );
}

#[tokio::test]
async fn a_topic_that_is_deleted_by_its_name_has_it_until_the_deletion_is_queued() {
    let topics = topics().await;
    topics.create(&topic("a", "orders"), None).await.unwrap();
    let known = live(&topics, "a").await;
    let deleted = topics.delete_keeping_name(&known, NOW).await.unwrap();
    assert_eq!(deleted, Written::Done);
    // The request was cut off, and is repeated.
    let found = topics.find(&name("orders")).await.unwrap();
    let Found::Deleted {
        topic: kept,
        deletion_unqueued: true,
        ..
    } = found
    else {
        panic!("{found:?}");
    };
    let id = kept.id;
    assert_eq!((id.as_str(), kept.name.as_str()), ("a", "orders"));
    let taken = topics.create(&topic("b", "orders"), None).await.unwrap();
    assert_eq!(taken, Written::NameTaken);
    for _ in 0..2 {
        topics.free_name(&id, "orders").await.unwrap();
    }
    let created = topics.create(&topic("b", "orders"), None).await.unwrap();
    assert_eq!(created, Written::Done);
    // The name is another topic's now.
    topics.free_name(&id, "orders").await.unwrap();
    assert_eq!(
        topics.id_of(&name("orders")).await.unwrap().as_ref(),
        Some(tid("b"))
    );
}

#[tokio::test]
async fn each_write_is_another_revision() {
    let topics = topics().await;
    topics.create(&topic("a", "orders"), None).await.unwrap();
    let first = live(&topics, "a").await;
    assert_eq!(first.revision(), FIRST_REVISION);
    topics.update(&first, &topic("a", "orders")).await.unwrap();
    let second = live(&topics, "a").await;
    assert_eq!(second.revision(), first.next_revision());
}
