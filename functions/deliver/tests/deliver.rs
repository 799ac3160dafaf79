//! What becomes of deliveries when AWS or an endpoint fails, and how often AWS is called.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use bellwire_domain::ids::{EventId, SubscriptionId};
use bellwire_domain::topic::modes::SubscriptionMode;
use bellwire_doubles::Fault;
use bellwire_queues::{Delivery, DeliveryKind};
use support::{arrived, deliver, delivery, event, ids, subscribed};

#[tokio::test]
async fn keys_and_items_that_dynamodb_leaves_out_are_asked_for_again() {
    for operation in ["BatchGetItem", "BatchWriteItem"] {
        for fault in [Fault::Partial, Fault::Throttled, Fault::LostAnswer] {
            let (aws, endpoint) = subscribed(SubscriptionMode::Event).await;
            aws.fail(operation, fault, 2);
            let failed = deliver(&aws, &[event("e1"), event("e2"), event("e3")]).await;
            assert!(failed.is_empty(), "{operation} {fault:?}: {failed:?}");
            assert_eq!(endpoint.received().len(), 3, "{operation} {fault:?}");
            assert_eq!(
                aws.items("ExchangesTable").await.len(),
                3,
                "{operation} {fault:?}"
            );
            assert_eq!(arrived(&aws).await, 3, "{operation} {fault:?}");
        }
    }
}

#[tokio::test]
async fn without_the_subscriptions_nothing_is_sent_and_everything_comes_again() {
    let (aws, endpoint) = subscribed(SubscriptionMode::Event).await;
    aws.fail("BatchGetItem", Fault::Throttled, usize::MAX);
    assert_eq!(deliver(&aws, &[event("e1"), event("e2")]).await, ["0", "1"]);
    assert!(endpoint.received().is_empty());
}

#[tokio::test]
async fn the_schedule_leads_over_sqs_and_scheduler_to_the_dead_letters() {
    let (aws, endpoint) = subscribed(SubscriptionMode::Event).await;
    endpoint.answer(&[500; 3]);
    assert!(deliver(&aws, &[event("e1")]).await.is_empty());
    let retries: Vec<Delivery> = aws.messages("RetriesQueue");
    assert_eq!((retries.len(), retries[0].attempt), (1, 1));
    assert!((4..=6).contains(&aws.sent("RetriesQueue")[0].delay));
    assert_eq!(aws.sent("RetriesQueue")[0].group.as_deref(), Some("c1"));
    // The second retry is due in two hours: SQS can't hold it back so long.
    assert!(deliver(&aws, &retries).await.is_empty());
    let schedules: Vec<_> = aws.schedules().into_values().collect();
    assert_eq!(schedules.len(), 1);
    let last: Delivery =
        serde_json::from_str(schedules[0].input["MessageBody"].as_str().unwrap()).unwrap();
    assert_eq!(last.attempt, 2);
    // The same message once more finds the same schedule.
    endpoint.answer(&[500]);
    assert!(deliver(&aws, &retries).await.is_empty());
    assert_eq!(aws.schedules().len(), 1);
    // It is the last one.
    assert!(deliver(&aws, &[last]).await.is_empty());
    let dead = aws.sent("DeadDeliveriesQueue");
    assert_eq!(dead.len(), 1);
    assert!(
        dead[0].reason.as_deref().unwrap().contains("500"),
        "{dead:?}"
    );
}

#[tokio::test]
async fn events_accepted_after_the_end_of_their_topic_are_dropped_and_earlier_ones_delivered() {
    let (aws, endpoint) = subscribed(SubscriptionMode::Event).await;
    let (before, after) = (event("before"), event("after"));
    let end = Delivery {
        accepted_at: before.accepted_at + time::Duration::microseconds(1),
        ..delivery(DeliveryKind::TopicDeleted {
            event_id: EventId::new("end"),
        })
    };
    let after = Delivery {
        accepted_at: end.accepted_at + time::Duration::microseconds(1),
        ..after
    };
    assert!(deliver(&aws, &[end]).await.is_empty());
    assert!(deliver(&aws, &[after, before]).await.is_empty());
    let received = endpoint.received().into_iter();
    let types: Vec<String> = received
        .map(|request| {
            request
                .header("x-axway-streams-event-id")
                .unwrap()
                .to_owned()
        })
        .collect();
    assert_eq!(types, ["end", "before"]);
}

#[tokio::test]
async fn a_delivery_that_arrives_at_once_is_one_write() {
    let (aws, _) = subscribed(SubscriptionMode::Event).await;
    assert!(deliver(&aws, &[event("e1"), event("e2")]).await.is_empty());
    assert_eq!(aws.calls(), ["BatchGetItem", "BatchWriteItem"]);
    assert_eq!(aws.items("ExchangesTable").await.len(), 2);
}

#[tokio::test]
async fn a_subscription_that_is_not_found_may_be_new_and_is_looked_for_once_more() {
    let (aws, endpoint) = subscribed(SubscriptionMode::Event).await;
    let unknown = Delivery {
        subscription_id: SubscriptionId::new("another"),
        ..event("e1")
    };
    assert!(deliver(&aws, &[unknown]).await.is_empty());
    assert_eq!(aws.calls(), ["BatchGetItem", "BatchGetItem"]);
    assert!(endpoint.received().is_empty());
}

#[tokio::test]
async fn a_subscription_that_gets_nothing_may_have_been_enabled_and_is_looked_up_once_more() {
    let (aws, endpoint) = subscribed(SubscriptionMode::Event).await;
    let (id, now) = (SubscriptionId::new("s1"), time::OffsetDateTime::now_utc());
    aws.subscriptions().disable_client(&id, now).await.unwrap();
    aws.calls();
    assert!(deliver(&aws, &[event("e1")]).await.is_empty());
    assert_eq!(aws.calls(), ["BatchGetItem", "BatchGetItem"]);
    assert!(endpoint.received().is_empty());
}

#[tokio::test]
async fn a_success_after_a_failure_is_noted_though_the_failure_may_not_be_seen() {
    let (aws, _) = subscribed(SubscriptionMode::Event).await;
    let retry = Delivery {
        attempt: 1,
        ..event("e1")
    };
    assert!(deliver(&aws, &[retry]).await.is_empty());
    let calls = aws.calls();
    // That the endpoint is not failing, and that the delivery has arrived.
    let updates = calls.iter().filter(|call| *call == "UpdateItem").count();
    assert_eq!(updates, 2, "{calls:?}");
}

#[tokio::test]
async fn an_arrival_that_cannot_be_recorded_is_left_to_a_message_and_nothing_is_sent_again() {
    let (aws, endpoint) = subscribed(SubscriptionMode::Event).await;
    aws.fail("BatchWriteItem", Fault::Throttled, usize::MAX);
    assert!(deliver(&aws, &[event("e1")]).await.is_empty());
    aws.heal();
    assert_eq!(arrived(&aws).await, 0);
    let left: Vec<Delivery> = aws.messages("RetriesQueue");
    assert!(
        matches!(left[0].kind, DeliveryKind::Arrived { .. }),
        "{left:?}"
    );
    // The message comes in one batch with a copy of the delivery's.
    let repeated = Delivery {
        accepted_at: left[0].accepted_at,
        ..event("e1")
    };
    assert!(deliver(&aws, &left).await.is_empty());
    assert!(deliver(&aws, &[left[0].clone(), repeated]).await.is_empty());
    assert_eq!((arrived(&aws).await, endpoint.received().len()), (1, 1));
    // If the table fails, the message comes again.
    aws.fail("UpdateItem", Fault::Throttled, usize::MAX);
    assert_eq!(deliver(&aws, &left).await, ["0"]);
}

#[tokio::test]
async fn a_deployment_over_a_running_stack_loses_nothing_and_repeats_nothing() {
    let (aws, endpoint) = subscribed(SubscriptionMode::Event).await;
    // Messages of the version before, of which one has arrived and is marked in the other table.
    let earlier = |id: &str| Delivery {
        dated: false,
        ..event(id)
    };
    let (marked, waiting) = (earlier("marked"), earlier("waiting"));
    let id = marked.id().unwrap();
    aws.put_item("DeliveriesTable", &[("delivery_id", id.as_str())])
        .await;
    assert!(
        deliver(&aws, &[marked.clone(), waiting.clone()])
            .await
            .is_empty()
    );
    // The one that was waiting keeps its id, and is known to have arrived.
    assert_eq!(ids(&endpoint), [waiting.id().unwrap().to_string()]);
    assert!(
        deliver(&aws, std::slice::from_ref(&waiting))
            .await
            .is_empty()
    );
    // Replays find both: the one that was delivered by this version, and, as long after the acceptance as a replay
    // comes, the one that was delivered by the version before.
    let now = Delivery {
        dated: true,
        ..waiting
    };
    let later = Delivery {
        dated: true,
        accepted_at: marked.accepted_at - time::Duration::hours(1),
        ..marked
    };
    assert!(deliver(&aws, &[now, later]).await.is_empty());
    assert_eq!(endpoint.received().len(), 1);
}
