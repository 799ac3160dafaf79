//! What becomes of events when a partition of their topic takes no more.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use bellwire_domain::ids::{EventId, TopicId};
use bellwire_domain::topic::modes::SubscriptionMode;
use bellwire_domain::topic::shards::Shards;
use bellwire_doubles::{Aws, Fault};
use bellwire_queues::Delivery;
use bellwire_store::topics::Found;
use lambda_http::http::StatusCode;
use serde_json::{Value, json};
use support::{TOPIC, URL, account, delivered, publish, publish_batch};

/// The topic's number of shards.
async fn shards(aws: &Aws) -> u16 {
    let topics = aws.app("Publish", &[]).topics().unwrap();
    match topics.get(&TopicId::new(TOPIC)).await.unwrap() {
        Found::Live(topic) => topic.shards.count(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_topic_whose_partition_takes_no_more_gets_more_shards() {
    let aws = account("event").await;
    aws.subscribe("s1", TOPIC, SubscriptionMode::Event, URL)
        .await;
    // The SDK calls three times before it gives up; of the calls for the new shard, the first is refused as well.
    aws.fail("PutItem", Fault::HotPartition, 4);
    let (status, id) = publish(&aws, None, &json!({"n": 1})).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    assert_eq!(shards(&aws).await, 2);
    let sent = aws.messages::<Delivery>("DeliveriesQueue");
    assert_eq!(sent.len(), 1);
    let two = Shards::try_from(2).unwrap();
    assert_eq!(sent[0].shard, two.new_half_of(&EventId::new(id)));
}

#[tokio::test]
async fn events_of_a_batch_that_find_the_partition_hot_grow_the_topic_once() {
    let aws = account("event").await;
    aws.subscribe("s1", TOPIC, SubscriptionMode::Event, URL)
        .await;
    aws.fail("PutItem", Fault::HotPartition, 16 * 3);
    let events: Vec<Value> = (0..40).map(|n| json!({"payload": {"n": n}})).collect();
    let (status, outcomes) = publish_batch(&aws, &json!(events)).await;
    assert_eq!(status, StatusCode::MULTI_STATUS);
    assert!(
        outcomes.iter().all(|it| it["status"] == 202),
        "{outcomes:?}"
    );
    assert_eq!(delivered(&aws).len(), 40);
    assert_eq!(shards(&aws).await, 2);
}

#[tokio::test]
async fn a_topic_with_as_many_shards_as_can_be_refuses_what_they_do_not_take() {
    let aws = account("event").await;
    let topics = aws.app("Publish", &[]).topics().unwrap();
    let most = Shards::try_from(64).unwrap();
    topics.grow(&TopicId::new(TOPIC), most).await.unwrap();
    // Another shard is tried before that.
    aws.fail("PutItem", Fault::HotPartition, 3);
    let (status, _) = publish(&aws, None, &json!({})).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    aws.fail("PutItem", Fault::HotPartition, 100);
    let (status, _) = publish(&aws, None, &json!({})).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(shards(&aws).await, 64);
}
