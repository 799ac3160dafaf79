//! Before a retry it is judged again whether the client may see the topic.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use bellwire_domain::ClientId;
use bellwire_domain::ids::SubscriptionId;
use bellwire_domain::topic::modes::SubscriptionMode;
use bellwire_doubles::endpoint::Endpoint;
use bellwire_doubles::{Aws, Fault};
use bellwire_queues::{Delivery, DeliveryKind};
use serde_json::json;

use crate::support::{commit, deliver, event};

/// An account with the subscription `s1` of a client that carries the label by which it sees the topic `t1`.
async fn restricted(mode: SubscriptionMode) -> (Aws, Endpoint, ClientId) {
    let tables = [
        "ClientsTable",
        "TopicsTable",
        "SubscriptionsTable",
        "MembersTable",
        "EventsTable",
        "ExchangesTable",
        "DeliveriesTable",
    ];
    let aws = Aws::with_tables(&tables).await;
    let endpoint = Endpoint::start().await;
    let client = aws.add_client("key", false).await;
    aws.label(&client, &["gold"]).await;
    let kind = match mode {
        SubscriptionMode::Event => "event",
        _ => "snapshot",
    };
    let publisher = json!({"type": "http-post", "payload": {"type": kind}});
    let access = json!({"labels": ["gold"]});
    let definition = json!({"name": "t1", "publisher": publisher, "access": access});
    aws.add_topic("t1", definition).await;
    aws.subscribe_client("s1", client.as_str(), "t1", mode, &endpoint.url)
        .await;
    aws.calls();
    (aws, endpoint, client)
}

fn retry(first: Delivery) -> Delivery {
    Delivery {
        attempt: 1,
        restricted: true,
        ..first
    }
}

async fn is_suspended(aws: &Aws) -> bool {
    let found = aws.subscriptions().get(&SubscriptionId::new("s1")).await;
    found.unwrap().unwrap().state().is_suspended()
}

#[tokio::test]
async fn a_retry_is_sent_to_whom_may_still_see_the_topic_and_to_nobody_else() {
    let (aws, endpoint, client) = restricted(SubscriptionMode::Event).await;
    assert!(deliver(&aws, &[retry(event("e1"))]).await.is_empty());
    assert_eq!(endpoint.received().len(), 1);
    aws.label(&client, &[]).await;
    for _ in 0..2 {
        assert!(deliver(&aws, &[retry(event("e2"))]).await.is_empty());
        assert_eq!(endpoint.received().len(), 1);
        assert!(is_suspended(&aws).await);
    }
    assert!(aws.sent("DeadDeliveriesQueue").is_empty());
}

#[tokio::test]
async fn a_retry_that_cannot_be_judged_comes_again() {
    let (aws, endpoint, client) = restricted(SubscriptionMode::Event).await;
    aws.label(&client, &[]).await;
    aws.fail("GetItem", Fault::Throttled, 50);
    assert_eq!(deliver(&aws, &[retry(event("e1"))]).await, ["0"]);
    aws.heal();
    assert!(deliver(&aws, &[retry(event("e1"))]).await.is_empty());
    assert!(endpoint.received().is_empty());
}

#[tokio::test]
async fn a_document_is_not_sent_again_to_whom_may_not_see_it() {
    let (aws, endpoint, client) = restricted(SubscriptionMode::SnapshotPatch).await;
    commit(&aws, 1).await;
    let version = DeliveryKind::Document { version: 1 };
    aws.label(&client, &[]).await;
    let retried = retry(support::delivery(version));
    assert!(deliver(&aws, &[retried]).await.is_empty());
    assert!(endpoint.received().is_empty());
    assert!(is_suspended(&aws).await);
}

#[tokio::test]
async fn first_attempts_and_topics_for_everyone_are_not_judged_again() {
    let (aws, endpoint, _) = restricted(SubscriptionMode::Event).await;
    let first = Delivery {
        restricted: true,
        ..event("e1")
    };
    let open = Delivery {
        attempt: 1,
        ..event("e2")
    };
    assert!(deliver(&aws, &[first, open]).await.is_empty());
    assert_eq!(endpoint.received().len(), 2);
    let calls = aws.calls();
    assert!(!calls.iter().any(|call| call == "GetItem"), "{calls:?}");
}
