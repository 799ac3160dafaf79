//! What becomes of deliveries that their owner asks for once more.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use bellwire_domain::ids::{EventId, SubscriptionId};
use bellwire_domain::topic::modes::SubscriptionMode;
use bellwire_domain::topic::payload::Payload;
use bellwire_doubles::{Aws, Effect, Fault};
use bellwire_queues::{Delivery, DeliveryKind};
use support::{deliver, delivery, event, ids, subscribed};

/// The resend of a delivery, after so many attempts.
fn resend(of: &Delivery, attempts: usize, id: &str) -> Delivery {
    Delivery {
        attempt: attempts,
        resend: Some(EventId::new(id)),
        ..of.clone()
    }
}

/// How many attempts are on record.
async fn attempts(aws: &Aws) -> usize {
    let items = aws.items("ExchangesTable").await.into_iter();
    items.filter(|item| item.get("content").is_some()).count()
}

async fn failing_since(aws: &Aws) -> Option<time::OffsetDateTime> {
    let found = aws.subscriptions().get(&SubscriptionId::new("s1")).await;
    found.unwrap().unwrap().failing_since
}

#[tokio::test]
async fn what_has_arrived_is_sent_once_more_and_a_copy_of_the_message_is_not() {
    let (aws, endpoint) = subscribed(SubscriptionMode::Event).await;
    let first = event("e1");
    assert!(deliver(&aws, std::slice::from_ref(&first)).await.is_empty());
    let once = resend(&first, 1, "r1");
    for messages in [vec![once.clone(), once.clone()], vec![once.clone()]] {
        assert!(deliver(&aws, &messages).await.is_empty());
        assert_eq!(ids(&endpoint), vec![first.id().unwrap().to_string(); 2]);
    }
    assert_eq!(
        endpoint.received()[1].header("x-bellwire-attempt"),
        Some("2")
    );
    assert_eq!(attempts(&aws).await, 2);
    // Another resend is another.
    assert!(deliver(&aws, &[resend(&first, 2, "r2")]).await.is_empty());
    assert_eq!(endpoint.received().len(), 3);
}

#[tokio::test]
async fn a_resend_that_arrives_ends_the_retries() {
    let (aws, endpoint) = subscribed(SubscriptionMode::Event).await;
    endpoint.answer(&[500]);
    let first = event("e1");
    assert!(deliver(&aws, std::slice::from_ref(&first)).await.is_empty());
    assert!(failing_since(&aws).await.is_some());
    let retries: Vec<Delivery> = aws.messages("RetriesQueue");
    // In one batch with the retry, of which it is no copy.
    endpoint.answer(&[500]);
    assert!(deliver(&aws, &[resend(&first, 1, "r1")]).await.is_empty());
    assert!(deliver(&aws, &[resend(&first, 2, "r2")]).await.is_empty());
    assert_eq!(endpoint.received().len(), 3);
    assert_eq!(failing_since(&aws).await, None);
    assert!(deliver(&aws, &retries).await.is_empty());
    assert_eq!(endpoint.received().len(), 3);
}

#[tokio::test]
async fn a_resend_that_fails_is_neither_retried_nor_a_dead_letter() {
    let (aws, endpoint) = subscribed(SubscriptionMode::Event).await;
    let first = event("e1");
    assert!(deliver(&aws, std::slice::from_ref(&first)).await.is_empty());
    // Behind the last of the schedule, too.
    for attempt in [1, 2, 7] {
        endpoint.answer(&[500]);
        let message = resend(&first, attempt, &format!("r{attempt}"));
        assert!(
            deliver(&aws, std::slice::from_ref(&message))
                .await
                .is_empty()
        );
        let before = endpoint.received().len();
        assert!(deliver(&aws, &[message]).await.is_empty());
        assert_eq!(endpoint.received().len(), before);
    }
    assert!(failing_since(&aws).await.is_some());
    assert!(aws.sent("RetriesQueue").is_empty() && aws.schedules().is_empty());
    assert!(aws.sent("DeadDeliveriesQueue").is_empty());
    assert_eq!(attempts(&aws).await, 4);
}

#[tokio::test]
async fn a_resend_that_is_answered_with_410_disables_the_endpoint_which_gets_no_other() {
    let (aws, endpoint) = subscribed(SubscriptionMode::Event).await;
    let first = event("e1");
    assert!(deliver(&aws, std::slice::from_ref(&first)).await.is_empty());
    endpoint.answer(&[410]);
    assert!(deliver(&aws, &[resend(&first, 1, "r1")]).await.is_empty());
    assert_eq!(aws.events().len(), 1);
    assert!(deliver(&aws, &[resend(&first, 2, "r2")]).await.is_empty());
    assert_eq!(endpoint.received().len(), 2);
    assert!(aws.sent("DeadDeliveriesQueue").is_empty());
}

#[tokio::test]
async fn without_its_payload_nothing_is_sent_and_without_the_subscription() {
    let (aws, endpoint) = subscribed(SubscriptionMode::Event).await;
    let gone = delivery(DeliveryKind::Event {
        event_id: EventId::new("e1"),
        payload: Payload::Stored("events/e1".to_owned()),
    });
    let foreign = Delivery {
        subscription_id: SubscriptionId::new("none"),
        ..event("e1")
    };
    let messages = [resend(&gone, 1, "r1"), resend(&foreign, 1, "r2")];
    assert!(deliver(&aws, &messages).await.is_empty());
    assert!(endpoint.received().is_empty());
    assert!(aws.sent("DeadDeliveriesQueue").is_empty());
}

#[tokio::test]
async fn a_resend_is_made_and_on_record_wherever_the_function_is_killed() {
    for (effect, answer) in [
        (Effect::None, 200),
        (Effect::Done, 200),
        (Effect::None, 500),
        (Effect::Done, 500),
    ] {
        for n in 1.. {
            let (aws, endpoint) = subscribed(SubscriptionMode::Event).await;
            let first = event("e1");
            assert!(deliver(&aws, std::slice::from_ref(&first)).await.is_empty());
            endpoint.answer(&[answer, answer]);
            let messages = [resend(&first, 1, "r1")];
            let ended = aws.killed_at(n, effect, deliver(&aws, &messages)).await;
            if ended.is_none() {
                assert!(deliver(&aws, &messages).await.is_empty());
            }
            let (sent, recorded) = (endpoint.received().len(), attempts(&aws).await);
            assert!((2..=3).contains(&sent), "{n} {effect:?} {answer}");
            assert!((2..=sent).contains(&recorded), "{n} {effect:?} {answer}");
            // Its mark is there.
            assert!(deliver(&aws, &messages).await.is_empty());
            assert_eq!(endpoint.received().len(), sent, "{n} {effect:?} {answer}");
            if ended.is_some() {
                assert_eq!(sent, 2);
                assert!(n > 3, "only {n} calls");
                break;
            }
        }
    }
}

#[tokio::test]
async fn what_cannot_be_recorded_is_recorded_later() {
    for answer in [200, 500] {
        let (aws, endpoint) = subscribed(SubscriptionMode::Event).await;
        let first = event("e1");
        assert!(deliver(&aws, std::slice::from_ref(&first)).await.is_empty());
        endpoint.answer(&[answer]);
        aws.fail("BatchWriteItem", Fault::Throttled, usize::MAX);
        aws.fail("UpdateItem", Fault::Throttled, usize::MAX);
        let message = [resend(&first, 1, "r1")];
        // What it says of the endpoint can't be written.
        deliver(&aws, &message).await;
        aws.heal();
        let arrivals: Vec<Delivery> = aws.messages("RetriesQueue");
        assert!(!arrivals.is_empty());
        assert!(deliver(&aws, &arrivals).await.is_empty());
        assert!(deliver(&aws, &message).await.is_empty());
        assert_eq!(endpoint.received().len(), 2, "{answer}");
    }
}
