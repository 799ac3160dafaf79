//! What becomes of events that are published when AWS fails, and when the function is killed.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::collections::BTreeSet;

use bellwire_domain::topic::modes::SubscriptionMode;
use bellwire_doubles::{Aws, Effect, Fault};
use bellwire_queues::{FanOut, Publication};
use lambda_http::http::StatusCode;
use serde_json::{Value, json};
use support::{TOPIC, URL, account, delivered, function, publish, publish_batch, publish_by};

/// The bodies of the deliveries.
fn bodies(aws: &Aws) -> BTreeSet<String> {
    let sent = aws.sent("DeliveriesQueue").into_iter();
    let payloads = sent.map(|it| {
        serde_json::from_str::<Value>(&it.body).unwrap()["told"]["event"]["payload"].to_string()
    });
    payloads.collect()
}

#[tokio::test]
async fn an_event_of_a_small_topic_is_delivered_by_who_accepts_it_in_few_calls() {
    let aws = account("event").await;
    aws.subscribe("s1", TOPIC, SubscriptionMode::Event, URL)
        .await;
    let function = function(&aws);
    publish_by(&function, None, &json!({"n": 0})).await;
    aws.calls();
    aws.empty_queues();
    let (status, id) = publish_by(&function, None, &json!({"n": 1})).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    assert_eq!(delivered(&aws), BTreeSet::from([("s1".to_owned(), id)]));
    // The client is remembered; there is nothing in a queue but the delivery.
    assert_eq!(
        aws.calls(),
        ["BatchGetItem", "PutItem", "Query", "SendMessageBatch"]
    );
    assert!(aws.sent("PublicationsQueue").is_empty() && aws.sent("FanOutsQueue").is_empty());
}

#[tokio::test]
async fn a_large_topic_is_fanned_out_by_segments_and_so_are_large_events() {
    let aws = account("event").await;
    for n in 0..101 {
        aws.subscribe(&format!("s{n}"), TOPIC, SubscriptionMode::Event, URL)
            .await;
    }
    publish(&aws, None, &json!({})).await;
    let messages: Vec<FanOut> = aws.messages("FanOutsQueue");
    assert!(
        matches!(messages[..], [FanOut::Segment { segment: 0, .. }]),
        "{messages:?}"
    );
    assert!(aws.sent("DeliveriesQueue").is_empty());

    let aws = account("event").await;
    for n in 0..40 {
        aws.subscribe(&format!("s{n}"), TOPIC, SubscriptionMode::Event, URL)
            .await;
    }
    // Digits that don't compress: some 30 KB for each of the messages, more than 1 MiB in all.
    let mut number: u64 = 1;
    let digits = std::iter::repeat_with(|| {
        number = number
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        number.to_string()
    });
    let text: String = digits.take(3_000).collect();
    publish(&aws, None, &json!({"text": text})).await;
    assert_eq!(
        (
            aws.sent("FanOutsQueue").len(),
            aws.sent("DeliveriesQueue").len()
        ),
        (1, 0)
    );
}

#[tokio::test]
async fn when_the_fan_out_fails_the_event_is_accepted_and_left_to_another_function() {
    for operation in ["Query", "SendMessageBatch"] {
        let aws = account("event").await;
        aws.subscribe("s1", TOPIC, SubscriptionMode::Event, URL)
            .await;
        let function = function(&aws);
        publish_by(&function, None, &json!({"n": 0})).await;
        // The client is remembered: its look-up is a query too.
        aws.fail(operation, Fault::Throttled, usize::MAX);
        let (status, id) = publish_by(&function, None, &json!({"n": 1})).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{operation}");
        let messages: Vec<FanOut> = aws.messages("FanOutsQueue");
        let [FanOut::Audience { topic_id, event }] = &messages[..] else {
            panic!("{messages:?}");
        };
        assert_eq!(
            (topic_id.as_str(), event.kind.event_id().unwrap().as_str()),
            (TOPIC, id.as_str())
        );
        assert_eq!(aws.items("EventsTable").await.len(), 2);
    }
    // What can be left to nobody is not accepted.
    let aws = account("event").await;
    aws.subscribe("s1", TOPIC, SubscriptionMode::Event, URL)
        .await;
    aws.fail("SendMessageBatch", Fault::Throttled, usize::MAX);
    aws.fail("SendMessage", Fault::Throttled, usize::MAX);
    let (status, _) = publish(&aws, None, &json!({"n": 1})).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test(start_paused = true)]
async fn a_repetition_with_the_same_key_completes_what_was_cut_off_with_the_first_payload() {
    for effect in [Effect::None, Effect::Done] {
        for n in 1.. {
            let aws = account("event").await;
            aws.subscribe("s1", TOPIC, SubscriptionMode::Event, URL)
                .await;
            let first = aws
                .killed_at(n, effect, publish(&aws, Some("k"), &json!({"n": 1})))
                .await;
            let recorded = aws.items("EventsTable").await.len() == 2;
            // It is repeated with another body: if the first is on record, that counts.
            let (status, id) = publish(&aws, Some("k"), &json!({"n": 2})).await;
            assert_eq!(status, StatusCode::ACCEPTED, "{n} {effect:?}");
            assert_eq!(
                delivered(&aws),
                BTreeSet::from([("s1".to_owned(), id)]),
                "{n} {effect:?}"
            );
            assert_eq!(bodies(&aws).len(), 1, "{n} {effect:?}");
            assert_eq!(aws.items("EventsTable").await.len(), 2, "{n} {effect:?}");
            // Once it is complete, nothing is sent any more.
            let before = aws.sent("DeliveriesQueue").len();
            publish(&aws, Some("k"), &json!({"n": 3})).await;
            assert_eq!(aws.sent("DeliveriesQueue").len(), before, "{n} {effect:?}");
            if first.is_some() {
                assert!(recorded && before == 1);
                assert!(n > 6, "only {n} calls");
                break;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_repeated_is_not_for_those_who_subscribed_since() {
    let aws = account("event").await;
    aws.subscribe("s1", TOPIC, SubscriptionMode::Event, URL)
        .await;
    aws.fail("SendMessageBatch", Fault::Throttled, usize::MAX);
    aws.fail("SendMessage", Fault::Throttled, usize::MAX);
    publish(&aws, Some("k"), &json!({})).await;
    aws.heal();
    let event = &aws.items("EventsTable").await;
    let accepted = event
        .iter()
        .find_map(|it| it["accepted_at"].as_str())
        .unwrap();
    aws.subscribe("s2", TOPIC, SubscriptionMode::Event, URL)
        .await;
    // An hour later, as far as its record says.
    aws.set_text(
        "MembersTable",
        &[
            ("audience_segment", &format!("{TOPIC}#0")),
            ("subscription_id", "s2"),
        ],
        "created_at",
        "2999-01-01T00:00:00Z",
    )
    .await;
    let (_, id) = publish(&aws, Some("k"), &json!({})).await;
    assert_eq!(delivered(&aws), BTreeSet::from([("s1".to_owned(), id)]));
    let deliveries: Vec<Value> = aws.messages("DeliveriesQueue");
    assert_eq!(deliveries[0]["accepted_at"].as_str(), Some(accepted));
}

#[tokio::test]
async fn documents_keep_their_order_in_their_queue() {
    let aws = account("snapshot").await;
    let (status, id) = publish(&aws, None, &json!({"n": 1})).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let messages: Vec<Publication> = aws.messages("PublicationsQueue");
    assert_eq!(messages[0].event_id.as_str(), id);
    assert_eq!(
        aws.sent("PublicationsQueue")[0].group.as_deref(),
        Some(TOPIC)
    );
    assert!(aws.items("EventsTable").await.is_empty());
}

#[tokio::test]
async fn of_a_batch_each_event_is_accepted_or_refused_by_itself() {
    let aws = account("event").await;
    for id in ["s1", "s2"] {
        aws.subscribe(id, TOPIC, SubscriptionMode::Event, URL).await;
    }
    let batch = json!([
        {"payload": {"n": 0}},
        {"payload": {"n": 1}, "idempotencyKey": "k"},
        {"paylod": 1},
        {"payload": {"n": 3}, "idempotencyKey": "k"},
        {"payload": 4, "idempotencyKey": ""},
        5,
    ]);
    let (status, results) = publish_batch(&aws, &batch).await;
    assert_eq!(status, StatusCode::MULTI_STATUS);
    let statuses: Vec<u64> = results
        .iter()
        .map(|it| it["status"].as_u64().unwrap())
        .collect();
    assert_eq!(statuses, [202, 202, 400, 400, 400, 400], "{results:?}");
    let fields: Vec<&str> = results[2..]
        .iter()
        .map(|it| it["field"].as_str().unwrap())
        .collect();
    let [second, fourth] = [3, 4].map(|n| format!("events[{n}].idempotencyKey"));
    assert_eq!(fields, ["events[2].paylod", &second, &fourth, "events[5]"]);
    // Two events to two subscriptions, created in one call, by one look at the members.
    assert_eq!(delivered(&aws).len(), 4);
    assert_eq!(bodies(&aws).len(), 2);
    let calls = aws.calls();
    for (operation, times) in [("SendMessageBatch", 1), ("BatchGetItem", 1)] {
        let found = calls.iter().filter(|it| *it == operation).count();
        assert_eq!(found, times, "{calls:?}");
    }
    // The keyed event once more, alone: it is the same, and nothing is sent.
    aws.empty_queues();
    let (_, id) = publish(&aws, Some("k"), &json!({"n": 9})).await;
    assert_eq!(results[1]["id"], json!(id));
    assert!(delivered(&aws).is_empty());
}

#[tokio::test]
async fn a_batch_that_can_neither_be_fanned_out_nor_left_is_not_accepted() {
    let aws = account("event").await;
    aws.subscribe("s1", TOPIC, SubscriptionMode::Event, URL)
        .await;
    let batch = json!([{"payload": 1}, {"payload": 2}]);
    aws.fail("SendMessageBatch", Fault::Throttled, usize::MAX);
    let (status, results) = publish_batch(&aws, &batch).await;
    assert_eq!(status, StatusCode::MULTI_STATUS);
    assert!(results.iter().all(|it| it["status"] == 500), "{results:?}");
}

#[tokio::test]
async fn documents_and_batches_without_events_are_refused_as_a_whole() {
    let aws = account("snapshot").await;
    let (status, _) = publish_batch(&aws, &json!([{"payload": 1}])).await;
    assert_eq!(status, StatusCode::CONFLICT);
    let aws = account("event").await;
    let many: Vec<Value> = (0..101).map(|n| json!({"payload": n})).collect();
    for events in [json!([]), json!(many), json!({}), json!(null)] {
        let (status, _) = publish_batch(&aws, &events).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
    }
    assert!(aws.items("EventsTable").await.is_empty());
}
