//! What `commit` makes of publications when AWS fails, and when it is killed.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};

use bellwire_domain::ids::{EventId, MessageId, SubscriptionId, TopicId};
use bellwire_domain::topic::modes::SubscriptionMode;
use bellwire_domain::topic::payload::{Payload, compress};
use bellwire_doubles::{Aws, Effect, Fault, received};
use bellwire_queues::{Delivery, DeliveryKind, Publication, Received, Work};
use commit::CommitFunction;
use serde_json::Value;
use time::OffsetDateTime;

const TABLES: [&str; 4] = [
    "EventsTable",
    "MembersTable",
    "SubscriptionsTable",
    "TopicsTable",
];

fn function(aws: &Aws) -> CommitFunction {
    CommitFunction::new(&aws.app("Commit", &[])).unwrap()
}

fn publication(id: &str, topic: &str, work: Work) -> Received<Publication> {
    let publication = Publication {
        event_id: EventId::new(id),
        topic_id: TopicId::new(topic),
        accepted_at: OffsetDateTime::now_utc(),
        redriven: false,
        restricted: false,
        work,
    };
    received(&format!("message-{id}"), topic, publication)
}

fn document(id: &str, topic: &str, json: &str) -> Received<Publication> {
    let payload = Payload::inline(&compress(json.as_bytes()));
    publication(id, topic, Work::Document { payload })
}

fn event(id: &str, topic: &str) -> Received<Publication> {
    let payload = Payload::inline(&compress(b"{}"));
    let work = Work::Event {
        payload,
        repeatable: false,
    };
    publication(id, topic, work)
}

/// The versions of which deliveries were created for a subscription.
fn versions(aws: &Aws, subscription: &str) -> BTreeSet<u64> {
    let id = SubscriptionId::new(subscription);
    let deliveries = aws.messages::<Delivery>("DeliveriesQueue").into_iter();
    let of_it = deliveries.filter(|delivery| delivery.subscription_id == id);
    of_it
        .map(|delivery| match delivery.kind {
            DeliveryKind::Document { version } => version,
            other => panic!("{other:?}"),
        })
        .collect()
}

/// The documents on record, oldest first.
async fn documents(aws: &Aws) -> Vec<String> {
    let items = aws.items("EventsTable").await.into_iter();
    let mut versions: Vec<(u64, String)> = items
        .filter_map(|item| {
            let snapshot: Payload = serde_json::from_value(item["snapshot"].clone()).ok()?;
            let Payload::Inline(base64) = snapshot else {
                return None;
            };
            let bytes = Payload::unpack(&base64).unwrap();
            Some((item["version"].as_u64()?, String::from_utf8(bytes).unwrap()))
        })
        .collect();
    versions.sort();
    versions.into_iter().map(|(_, document)| document).collect()
}

#[tokio::test]
async fn a_publication_is_one_version_wherever_the_function_is_killed() {
    for effect in [Effect::None, Effect::Done] {
        let mut n = 0;
        loop {
            n += 1;
            let aws = Aws::with_tables(&TABLES).await;
            aws.subscribe(
                "s1",
                "t1",
                SubscriptionMode::SnapshotPatch,
                "https://example.com/",
            )
            .await;
            let batch = || {
                vec![
                    document("p1", "t1", r#"{"a":1}"#),
                    document("p2", "t1", r#"{"a":2}"#),
                ]
            };
            let ended = aws
                .killed_at(n, effect, function(&aws).handle(batch()))
                .await;
            if ended.is_none() {
                let failed = function(&aws).handle(batch()).await;
                assert!(failed.is_empty(), "{n} {effect:?}: {failed:?}");
            }
            assert_eq!(
                documents(&aws).await,
                [r#"{"a":1}"#, r#"{"a":2}"#],
                "{n} {effect:?}"
            );
            assert_eq!(
                versions(&aws, "s1"),
                BTreeSet::from([1, 2]),
                "{n} {effect:?}"
            );
            if ended.is_some() {
                assert!(n > 6, "only {n} calls");
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_version_has_its_change_unless_that_is_much_longer() {
    let aws = Aws::with_tables(&TABLES).await;
    let long = format!(r#"{{"{}":1}}"#, "k".repeat(5_000));
    let batch = vec![
        document("p1", "t1", r#"{"a":1}"#),
        document("p2", "t1", "{}"),
        document("p3", "t1", &long),
        document("p4", "t1", "null"),
        document("p5", "t1", &long),
        document("p6", "t1", "{}"),
    ];
    assert!(function(&aws).handle(batch).await.is_empty());
    let items = aws.items("EventsTable").await.into_iter();
    let patches: BTreeMap<u64, Option<String>> = items
        .filter_map(|item| {
            let version = item["version"].as_u64()?;
            let payload = item.get("patch").map(|patch| match &patch["inline"] {
                Value::String(base64) => Payload::unpack(base64).unwrap(),
                other => panic!("{other:?}"),
            });
            let text = payload.map(|bytes| String::from_utf8(bytes).unwrap());
            Some((version, text))
        })
        .collect();
    let added = format!(
        r#"[{{"op":"add","path":"/{}","value":1}}]"#,
        "k".repeat(5_000)
    );
    assert!(added.len() > long.len());
    assert_eq!(
        patches,
        BTreeMap::from([
            (1, None),
            (2, Some(r#"[{"op":"remove","path":"/a"}]"#.to_owned())),
            (3, None),
            (
                4,
                Some(r#"[{"op":"replace","path":"","value":null}]"#.to_owned())
            ),
            (5, None),
            (6, None),
        ])
    );
}

#[tokio::test]
async fn what_sqs_leaves_out_of_a_batch_is_sent_again() {
    let aws = Aws::with_tables(&TABLES).await;
    for id in ["s1", "s2", "s3"] {
        aws.subscribe(id, "t1", SubscriptionMode::Event, "https://example.com/")
            .await;
    }
    aws.fail("SendMessageBatch", Fault::Partial, 2);
    assert!(
        function(&aws)
            .handle(vec![event("e1", "t1")])
            .await
            .is_empty()
    );
    let deliveries = aws.messages::<Delivery>("DeliveriesQueue").into_iter();
    let mut ids: Vec<String> = deliveries
        .map(|it| it.subscription_id.to_string())
        .collect();
    ids.sort();
    assert_eq!(ids, ["s1", "s2", "s3"]);
}

#[tokio::test]
async fn a_publication_that_fails_holds_back_those_behind_it_and_no_other_topics() {
    let aws = Aws::with_tables(&TABLES).await;
    aws.subscribe("s2", "t2", SubscriptionMode::Event, "https://example.com/")
        .await;
    aws.fail("TransactWriteItems", Fault::Throttled, usize::MAX);
    let batch = || {
        vec![
            document("p1", "t1", "1"),
            event("e2", "t2"),
            document("p3", "t1", "2"),
        ]
    };
    let failed = function(&aws).handle(batch()).await;
    assert_eq!(
        failed,
        [MessageId::new("message-p1"), MessageId::new("message-p3")]
    );
    assert_eq!(aws.sent("DeliveriesQueue").len(), 1);
    aws.heal();
    let rest = vec![document("p1", "t1", "1"), document("p3", "t1", "2")];
    assert!(function(&aws).handle(rest).await.is_empty());
    assert_eq!(documents(&aws).await, ["1", "2"]);
}

#[tokio::test]
async fn throttling_and_lost_answers_change_nothing() {
    for operation in ["Query", "TransactWriteItems", "SendMessageBatch", "GetItem"] {
        for fault in [Fault::Throttled, Fault::LostAnswer] {
            let aws = Aws::with_tables(&TABLES).await;
            aws.subscribe(
                "s1",
                "t1",
                SubscriptionMode::SnapshotPatch,
                "https://example.com/",
            )
            .await;
            aws.fail(operation, fault, 2);
            let batch = vec![document("p1", "t1", "1"), document("p2", "t1", "2")];
            let failed = function(&aws).handle(batch).await;
            assert!(failed.is_empty(), "{operation} {fault:?}: {failed:?}");
            assert_eq!(documents(&aws).await, ["1", "2"], "{operation} {fault:?}");
            assert_eq!(
                versions(&aws, "s1"),
                BTreeSet::from([1, 2]),
                "{operation} {fault:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_payload_that_is_gone_is_a_dead_letter_and_holds_nothing_back() {
    let aws = Aws::with_tables(&TABLES).await;
    let payload = Payload::Stored("events-45/gone".to_owned());
    let gone = publication("p1", "t1", Work::Document { payload });
    let body = gone.message.body.clone().unwrap();
    let failed = function(&aws)
        .handle(vec![gone, document("p2", "t1", "2")])
        .await;
    assert!(failed.is_empty(), "{failed:?}");
    let dead = aws.sent("DeadPublicationsQueue");
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].body, body);
    assert_eq!(
        dead[0].reason.as_deref(),
        Some("the payload is not kept any more")
    );
    assert_eq!(documents(&aws).await, ["2"]);
}

#[tokio::test]
async fn the_same_document_again_is_no_version_and_no_delivery() {
    let aws = Aws::with_tables(&TABLES).await;
    aws.subscribe(
        "s1",
        "t1",
        SubscriptionMode::SnapshotPatch,
        "https://example.com/",
    )
    .await;
    let same = vec![
        document("p1", "t1", r#"{"a":1}"#),
        document("p2", "t1", r#"{ "a": 1 }"#),
    ];
    assert!(function(&aws).handle(same).await.is_empty());
    assert_eq!(versions(&aws, "s1"), BTreeSet::from([1]));
    assert_eq!(documents(&aws).await.len(), 1);
}
