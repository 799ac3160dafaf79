//! Who may publish to a topic, and who receives what is published.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use bellwire_domain::ClientId;
use bellwire_domain::endpoint::DisabledReason;
use bellwire_domain::ids::SubscriptionId;
use bellwire_domain::topic::modes::SubscriptionMode;
use bellwire_doubles::{Aws, Fault, request};
use bellwire_queues::{Delivery, Publication};
use lambda_http::http::StatusCode;
use serde_json::{Value, json};

use crate::support::{TOPIC, URL, account, function, publish};

/// A topic with this access, a client `in` with the label `gold`, one `out` without, and a subscription of each.
async fn parties(payload: &str, access: impl Fn(&ClientId) -> Value) -> (Aws, ClientId) {
    let aws = account("event").await;
    let (inside, outside) = (
        aws.add_client("in", false).await,
        aws.add_client("out", false).await,
    );
    aws.label(&inside, &["gold"]).await;
    let publisher = json!({"type": "http-post", "payload": {"type": payload}});
    let definition =
        json!({"name": "restricted", "publisher": publisher, "access": access(&inside)});
    aws.add_topic(RESTRICTED, definition).await;
    for (id, client) in [("s-in", &inside), ("s-out", &outside)] {
        let mode = SubscriptionMode::Event;
        aws.subscribe_client(id, client.as_str(), RESTRICTED, mode, URL)
            .await;
    }
    aws.calls();
    (aws, inside)
}

const RESTRICTED: &str = "7f1a8c9e-3b1d-4c7a-9a55-0d5f6f1f2a11";

async fn publish_restricted(aws: &Aws) -> StatusCode {
    support::publish_to(&function(aws), RESTRICTED, None, &json!({"n": 1}))
        .await
        .0
}

/// The subscriptions for which deliveries were created.
fn told(aws: &Aws) -> Vec<String> {
    let deliveries = aws.messages::<Delivery>("DeliveriesQueue").into_iter();
    deliveries
        .map(|delivery| {
            assert!(delivery.restricted);
            delivery.subscription_id.to_string()
        })
        .collect()
}

async fn is_suspended(aws: &Aws, id: &str) -> bool {
    let found = aws.subscriptions().get(&SubscriptionId::new(id)).await;
    let disabled = found.unwrap().unwrap().disabled;
    disabled.is_some_and(|it| it.reason == DisabledReason::Access)
}

#[tokio::test]
async fn who_may_not_see_a_topic_receives_nothing_and_is_suspended() {
    for labelled in [false, true] {
        let access = |inside: &ClientId| match labelled {
            true => json!({"labels": ["gold"]}),
            false => json!({"clients": [inside.as_str()]}),
        };
        let (aws, _) = parties("event", access).await;
        for _ in 0..2 {
            assert_eq!(publish_restricted(&aws).await, StatusCode::ACCEPTED);
            assert_eq!(told(&aws), ["s-in"]);
            assert!(is_suspended(&aws, "s-out").await);
            assert!(!is_suspended(&aws, "s-in").await);
            aws.empty_queues();
        }
    }
}

#[tokio::test]
async fn labels_that_dynamodb_leaves_out_are_asked_for_again() {
    let (aws, _) = parties("event", |_| json!({"labels": ["gold"]})).await;
    // Of the topic and its segments, and of the labels.
    aws.fail("BatchGetItem", Fault::Partial, 2);
    assert_eq!(publish_restricted(&aws).await, StatusCode::ACCEPTED);
    assert_eq!(told(&aws), ["s-in"]);
}

#[tokio::test]
async fn without_its_labels_no_client_is_told_and_the_fan_out_is_left_to_another_function() {
    let (aws, inside) = parties("event", |_| json!({"labels": ["gold"]})).await;
    let judged = aws.app("Publish", &[]).access_judge().unwrap();
    // Its own suspension failing doesn't keep anyone from receiving it.
    aws.fail("TransactWriteItems", Fault::Throttled, 20);
    assert_eq!(publish_restricted(&aws).await, StatusCode::ACCEPTED);
    assert_eq!(told(&aws), ["s-in"]);
    assert!(!is_suspended(&aws, "s-out").await);
    aws.heal();
    aws.label(&inside, &[]).await;
    aws.empty_queues();
    assert_eq!(publish_restricted(&aws).await, StatusCode::ACCEPTED);
    assert!(told(&aws).is_empty());
    for id in ["s-in", "s-out"] {
        assert!(is_suspended(&aws, id).await, "{id}");
    }
    // Given back, and taken away again, in whatever order.
    for has in [true, false, true] {
        let labels: &[&str] = if has { &["gold"] } else { &[] };
        aws.label(&inside, labels).await;
        judged.settle(&SubscriptionId::new("s-in")).await.unwrap();
        assert_eq!(is_suspended(&aws, "s-in").await, !has);
    }
}

#[tokio::test]
async fn a_document_says_that_its_topic_is_restricted() {
    let (aws, _) = parties("snapshot", |_| json!({"labels": ["gold"]})).await;
    publish_restricted(&aws).await;
    let [publication] = aws
        .messages::<Publication>("PublicationsQueue")
        .try_into()
        .unwrap();
    assert!(publication.restricted);
}

#[tokio::test]
async fn a_topic_for_everyone_costs_nothing_more() {
    let aws = account("event").await;
    let client = aws.add_client("c", false).await;
    let mode = SubscriptionMode::Event;
    aws.subscribe_client("s1", client.as_str(), TOPIC, mode, URL)
        .await;
    publish(&aws, None, &json!({"n": 1})).await;
    aws.calls();
    publish(&aws, None, &json!({"n": 2})).await;
    // The key, the topic with its segments, the event, the members, the deliveries.
    let calls = [
        "GetItem",
        "BatchGetItem",
        "PutItem",
        "Query",
        "SendMessageBatch",
    ];
    assert_eq!(aws.calls(), calls);
    let body = aws.sent("DeliveriesQueue").remove(0).body;
    assert!(!body.contains("restricted"), "{body}");
}

/// The status of a publication with this key.
async fn status(aws: &Aws, key: &str) -> u16 {
    let path = "/publishers/http-post/topics/";
    let (resource, path) = (format!("{path}{{topicId}}"), format!("{path}{RESTRICTED}"));
    let request = request("POST", &resource, &path, Some(key), &json!({}));
    match function(aws).handle(request).await {
        Ok(response) => response.status().as_u16(),
        Err(failure) => failure.status().as_u16(),
    }
}

#[tokio::test]
async fn who_may_not_publish_to_a_topic_learns_of_it_only_if_it_may_see_it() {
    let aws = account("event").await;
    let mine = aws.add_client("mine", true).await;
    let reader = aws.add_client("reader", true).await;
    aws.add_client("stranger", true).await;
    aws.add_operator("op").await;
    let definition = json!({
        "name": "restricted",
        "publisher": {"type": "http-post", "payload": {"type": "event"}},
        "access": {"clients": [reader.as_str()]},
        "publishers": {"clients": [mine.as_str()]},
    });
    aws.add_topic(RESTRICTED, definition).await;
    for (key, expected) in [
        ("mine", 202),
        ("op", 202),
        ("reader", 403),
        ("stranger", 404),
    ] {
        assert_eq!(status(&aws, key).await, expected, "{key}");
    }
    let topics = aws.app("Topics", &[]).topics().unwrap();
    let id = bellwire_domain::ids::TopicId::new(RESTRICTED);
    let bellwire_store::topics::Found::Live(known) = topics.get(&id).await.unwrap() else {
        panic!("no topic");
    };
    let now = time::OffsetDateTime::now_utc();
    topics.delete(&known, now).await.unwrap();
    for (key, expected) in [
        ("mine", 410),
        ("op", 410),
        ("reader", 403),
        ("stranger", 404),
    ] {
        assert_eq!(status(&aws, key).await, expected, "{key}");
    }
}
