//! What becomes of a subscription that is changed: repeated requests, requests at the same time, lost answers, and
//! functions that are killed.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use bellwire_doubles::{Effect, Fault};
use bellwire_queues::{Delivery, DeliveryKind};
use futures_util::future::join_all;
use lambda_http::http::StatusCode;
use lambda_http::http::header::IF_MATCH;
use serde_json::{Value, json};
use support::{URL, account, call, counts, create, patch, patch_as, patch_if, show};

const ELSEWHERE: &str = "https://example.org/hook";

/// Whether these are messages for the topic's document, and nothing else.
fn are_of_the_document(deliveries: &[Delivery]) -> bool {
    let mut deliveries = deliveries.iter();
    deliveries.all(|it| matches!(it.kind, DeliveryKind::Document { version: 1 }))
}

#[tokio::test]
async fn what_is_named_changes_and_the_rest_stays() {
    let (aws, made) = account().await;
    let body = json!({"subscriptionMode": "snapshot-only", "webhookHeaders": {"X-New": "hush"}});
    let changed = patch_as(
        &aws,
        &made,
        &body,
        "application/merge-patch+json; charset=utf-8",
    )
    .await;
    assert_eq!(changed.status, StatusCode::OK);
    let mut expected = made.clone();
    expected["subscriptionMode"] = json!("snapshot-only");
    expected["webhookHeaders"]["X-New"] = json!("[redacted]");
    assert_eq!(changed.body, expected);
    // Nothing is in doubt, and nothing is sent.
    assert!(aws.sent("DeliveriesQueue").is_empty());
    let shown = show(&aws, &made).await;
    assert_eq!(
        (shown.body, shown.etag),
        (changed.body.clone(), changed.etag)
    );
    // The whole view, as it was shown.
    let before = show(&aws, &made).await;
    aws.calls();
    let same = patch(&aws, &made, &changed.body).await;
    assert_eq!(
        (same.status, same.body, same.etag),
        (before.status, before.body, before.etag)
    );
    let calls = aws.calls();
    assert!(
        !calls
            .iter()
            .any(|it| it.contains("Write") || it.contains("Update")),
        "{calls:?}"
    );
    let stored = &aws.items("SubscriptionsTable").await[0];
    assert_eq!(
        stored["webhook_headers"],
        json!({"X-Key": "hush", "X-New": "hush"})
    );
}

#[tokio::test]
async fn what_is_refused_changes_nothing() {
    let (aws, made) = account().await;
    let before = aws.items("SubscriptionsTable").await;
    for (body, status) in [
        (json!([]), 400),
        (json!({"webhookUrl": null}), 400),
        (json!({"webhookUrl": "https://10.0.0.1/"}), 400),
        (
            json!({"webhookUrl": ELSEWHERE, "webhookHeaders": {"Host": "x"}}),
            400,
        ),
        (json!({"webhookHeaders": {"X-None": "[redacted]"}}), 400),
        (json!({"webhookHeaders": {"X-Key": 1}}), 400),
        (json!({"subscriptionMode": "event"}), 400),
        (json!({"subscriptionMode": null}), 400),
        (json!({"subscriptionStatus": "disabled"}), 400),
        (json!({"subscriptionStatus": null}), 400),
        (json!({"authorization": {}}), 400),
        (json!({"id": "other"}), 400),
        (json!({"id": null}), 400),
        (json!({"status": "disabled"}), 400),
        (json!({"disabledReason": "gone"}), 400),
        (json!({"secret": "whsec_x"}), 400),
        (json!({"x": 1}), 400),
    ] {
        let refused = patch(&aws, &made, &body).await;
        assert_eq!(refused.status.as_u16(), status, "{body}");
    }
    for media_type in ["", "text/plain", "application/json-patch+json"] {
        let body = json!({"subscriptionStatus": "suspended"});
        let refused = patch_as(&aws, &made, &body, media_type).await;
        assert_eq!(refused.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    assert_eq!(aws.items("SubscriptionsTable").await, before);
    // What isn't there may be said not to be there.
    let body =
        json!({"disabledReason": null, "authorization": null, "webhookHeaders": {"X-None": null}});
    assert_eq!(patch(&aws, &made, &body).await.status, StatusCode::OK);
    assert_eq!(aws.items("SubscriptionsTable").await, before);
}

#[tokio::test]
async fn a_new_url_is_complete_wherever_the_function_is_killed() {
    for effect in [Effect::None, Effect::Done] {
        for n in 1.. {
            let (aws, made) = account().await;
            let body = json!({"webhookUrl": ELSEWHERE, "subscriptionStatus": "active"});
            let ended = aws.killed_at(n, effect, patch(&aws, &made, &body)).await;
            // All or nothing.
            let url = show(&aws, &made).await.body["webhookUrl"].clone();
            let host = if url == URL {
                "example.com"
            } else {
                "example.org"
            };
            let expected = ["topics: 1".to_owned(), format!("topics@{host}: 1")];
            assert_eq!(counts(&aws).await, expected, "{n} {effect:?}");
            if ended.is_none() {
                let repeated = patch(&aws, &made, &body).await;
                assert_eq!(repeated.status, StatusCode::OK, "{n} {effect:?}");
            }
            assert_eq!(show(&aws, &made).await.body["webhookUrl"], ELSEWHERE);
            assert_eq!(counts(&aws).await, ["topics: 1", "topics@example.org: 1"]);
            let sent: Vec<Delivery> = aws.messages("DeliveriesQueue");
            assert!(
                !sent.is_empty() && are_of_the_document(&sent),
                "{n} {effect:?}"
            );
            let stored = &aws.items("SubscriptionsTable").await[0];
            assert_eq!(stored["in_doubt"], true, "{n} {effect:?}");
            if ended.is_some() {
                assert_eq!(sent.len(), 1);
                assert!(n > 5, "only {n} calls");
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_lost_answer_is_no_conflict() {
    let (aws, made) = account().await;
    let tag = show(&aws, &made).await.etag.unwrap();
    aws.fail("TransactWriteItems", Fault::LostAnswer, 1);
    let body = json!({"webhookUrl": ELSEWHERE});
    let changed = patch_if(&aws, &made, &body, &tag).await;
    assert_eq!(changed.status, StatusCode::OK);
    assert_eq!(counts(&aws).await, ["topics: 1", "topics@example.org: 1"]);
    // Every answer is lost, and the write is found.
    aws.fail("TransactWriteItems", Fault::LostAnswer, 10);
    let body = json!({"webhookUrl": URL});
    let changed = patch(&aws, &made, &body).await;
    assert_eq!(changed.status, StatusCode::OK);
    assert_eq!(counts(&aws).await, ["topics: 1", "topics@example.com: 1"]);
    aws.heal();
    // Nothing is written: that is a failure of ours.
    aws.fail("TransactWriteItems", Fault::Throttled, usize::MAX);
    let body = json!({"webhookUrl": ELSEWHERE});
    let failed = patch(&aws, &made, &body).await;
    assert_eq!(failed.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(counts(&aws).await, ["topics: 1", "topics@example.com: 1"]);
}

#[tokio::test]
async fn changes_at_the_same_time_are_all_made() {
    let (aws, made) = account().await;
    let bodies: Vec<Value> = (0..4)
        .map(|n| json!({"webhookHeaders": {format!("X-{n}"): "x"}}))
        .collect();
    let changing = bodies.iter().map(|body| patch(&aws, &made, body));
    for changed in join_all(changing).await {
        assert_eq!(changed.status, StatusCode::OK);
    }
    let shown = show(&aws, &made).await.body;
    let names: Vec<&String> = shown["webhookHeaders"]
        .as_object()
        .unwrap()
        .keys()
        .collect();
    assert_eq!(names, ["X-0", "X-1", "X-2", "X-3", "X-Key"]);
}

#[tokio::test]
async fn of_two_who_know_the_same_revision_one_changes_it() {
    let (aws, made) = account().await;
    let tag = show(&aws, &made).await.etag.unwrap();
    let bodies: Vec<Value> = (0..2)
        .map(|n| json!({"webhookHeaders": {format!("X-{n}"): "x"}}))
        .collect();
    let changing = bodies.iter().map(|body| patch_if(&aws, &made, body, &tag));
    let changed = join_all(changing).await;
    let mut statuses: Vec<u16> = changed.iter().map(|it| it.status.as_u16()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412]);
    let delete = async |tag: &str| {
        let gone = call(&aws, "DELETE", &made, &Value::Null, &[(IF_MATCH, tag)]).await;
        gone.status
    };
    assert_eq!(delete(&tag).await, StatusCode::PRECONDITION_FAILED);
    let tag = changed.into_iter().find_map(|it| it.etag).unwrap();
    assert_eq!(delete(&tag).await, StatusCode::NO_CONTENT);
    assert_eq!(delete(&tag).await, StatusCode::NOT_FOUND);
    assert!(counts(&aws).await.is_empty());
}

#[tokio::test]
async fn suspending_and_activating_twice_is_once() {
    let (aws, made) = account().await;
    let suspend = json!({"subscriptionStatus": "suspended"});
    let suspended = patch(&aws, &made, &suspend).await;
    assert_eq!(suspended.body["subscriptionStatus"], "suspended");
    assert_eq!(suspended.body["status"], "disabled");
    assert_eq!(suspended.body["disabledReason"], "requested");
    let again = patch(&aws, &made, &suspend).await;
    assert_eq!((again.body, again.etag), (suspended.body, suspended.etag));
    assert!(aws.sent("DeliveriesQueue").is_empty());
    let activate = json!({"subscriptionStatus": "active"});
    let active = patch(&aws, &made, &activate).await;
    assert_eq!(active.body, made);
    let sent: Vec<Delivery> = aws.messages("DeliveriesQueue");
    assert!(sent.len() == 1 && are_of_the_document(&sent));
    let again = patch(&aws, &made, &activate).await;
    assert_eq!((again.body, again.etag), (active.body, active.etag));
}

#[tokio::test]
async fn a_host_takes_as_many_as_its_limit() {
    let (aws, made) = account().await;
    let other = create(&aws, &json!({"webhookUrl": ELSEWHERE})).await;
    assert_eq!(other.status, StatusCode::CREATED);
    let full = patch(&aws, &made, &json!({"webhookUrl": ELSEWHERE})).await;
    assert_eq!(full.status, StatusCode::CONFLICT);
    assert_eq!(show(&aws, &made).await.body, made);
    // Elsewhere at its own host, and away from it.
    let near = patch(&aws, &made, &json!({"webhookUrl": "https://example.com/2"})).await;
    assert_eq!(near.status, StatusCode::OK);
    let away = patch(
        &aws,
        &other.body,
        &json!({"webhookUrl": "https://example.net/"}),
    )
    .await;
    assert_eq!(away.status, StatusCode::OK);
    let free = patch(&aws, &made, &json!({"webhookUrl": ELSEWHERE})).await;
    assert_eq!(free.status, StatusCode::OK);
    let expected = [
        "topics: 2",
        "topics@example.net: 1",
        "topics@example.org: 1",
    ];
    assert_eq!(counts(&aws).await, expected);
}

#[tokio::test]
async fn what_is_created_has_a_path_and_a_revision() {
    let (aws, _) = account().await;
    let made = create(&aws, &json!({"webhookUrl": ELSEWHERE})).await;
    let id = made.body["id"].as_str().unwrap();
    let expected = format!("/subscribers/webhook/subscriptions/{id}");
    assert_eq!(made.location, Some(expected));
    assert!(made.etag.is_some());
    assert_eq!(show(&aws, &made.body).await.etag, made.etag);
}
