//! Clients that are disabled and enabled, with all that belongs to them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::pin::pin;
use std::time::SystemTime;

use bellwire_client_lifecycle::ClientLifecycle;
use bellwire_doubles::{Aws, Effect};
use bellwire_queues::ClientTask;
use bellwire_runtime::deadline::{self, Steps};
use serde_json::{Value, json};
use support::{account, belongings, call, customer, is_disabled, is_off, lifecycle, publish};
use support::{stands_still, subscribe};

async fn patch(aws: &Aws, body: Value) -> (u16, Value) {
    call(aws, "PATCH", "/v1/clients/acme", body).await
}

/// What becomes of the messages that were sent.
async fn complete(aws: &Aws, lifecycle: &ClientLifecycle) {
    for task in aws.messages::<ClientTask>("ClientTasksQueue") {
        if let ClientTask::StateChanged { client_id, .. } = task {
            let steps = lifecycle.complete(&client_id, &|_, _| {}).await.unwrap();
            assert_eq!(steps, Steps::Done);
        }
    }
}

#[tokio::test]
async fn a_client_is_disabled_and_enabled_with_all_that_belongs_to_it() {
    let aws = account().await;
    let (id, other) = (customer(&aws, "acme").await, customer(&aws, "other").await);
    belongings(&aws, &id).await;
    belongings(&aws, &other).await;
    for (disabled, _) in [(true, 0), (true, 1), (false, 2), (false, 3)] {
        assert_eq!(patch(&aws, json!({"disabled": disabled})).await.0, 200);
        assert_eq!(is_disabled(&aws, &id).await, disabled);
        assert!(!is_disabled(&aws, &other).await);
    }
    // The messages find nothing to do.
    complete(&aws, &lifecycle(&aws)).await;
    assert!(!is_disabled(&aws, &id).await);
}

#[tokio::test]
async fn what_a_request_leaves_is_completed_by_its_message_wherever_it_was_killed() {
    for disabled in [true, false] {
        for effect in [Effect::None, Effect::Done] {
            for n in 1.. {
                let aws = account().await;
                let id = customer(&aws, "acme").await;
                belongings(&aws, &id).await;
                if !disabled {
                    patch(&aws, json!({"disabled": true})).await;
                    aws.empty_queues();
                }
                let killed = aws
                    .killed_at(n, effect, patch(&aws, json!({"disabled": disabled})))
                    .await;
                complete(&aws, &lifecycle(&aws)).await;
                // Whatever is on record counts for everything.
                let found = is_disabled(&aws, &id).await;
                assert_eq!(found, is_off(&aws, &id).await, "{n}");
                patch(&aws, json!({"disabled": disabled})).await;
                assert_eq!(is_disabled(&aws, &id).await, disabled);
                if killed.is_some() {
                    break;
                }
            }
        }
    }
}

#[tokio::test]
async fn of_opposite_changes_at_once_one_counts_for_everything() {
    for first in [true, false] {
        // A request of the first kind is cut off at each of its calls, and the other one follows.
        for n in 1.. {
            let aws = account().await;
            let id = customer(&aws, "acme").await;
            belongings(&aws, &id).await;
            patch(&aws, json!({"disabled": !first})).await;
            let cut_off = patch(&aws, json!({"disabled": first}));
            let killed = aws.killed_at(n, Effect::Done, cut_off).await;
            assert_eq!(patch(&aws, json!({"disabled": !first})).await.0, 200);
            complete(&aws, &lifecycle(&aws)).await;
            assert_eq!(is_disabled(&aws, &id).await, !first, "{n}");
            if killed.is_some() {
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_request_that_comes_late_does_not_undo_the_opposite_one() {
    for first in [true, false] {
        // It stands still after each of its calls, while the other one is carried out.
        for n in 1.. {
            let aws = account().await;
            let id = customer(&aws, "acme").await;
            belongings(&aws, &id).await;
            patch(&aws, json!({"disabled": !first})).await;
            let mut late = pin!(patch(&aws, json!({"disabled": first})));
            if !stands_still(&aws, n, late.as_mut()).await {
                break;
            }
            assert_eq!(patch(&aws, json!({"disabled": !first})).await.0, 200);
            assert_eq!(late.await.0, 200);
            let found = is_disabled(&aws, &id).await;
            assert_eq!(found, is_off(&aws, &id).await, "{first} {n}");
        }
    }
}

#[tokio::test]
async fn what_there_is_no_time_for_is_left_to_the_message() {
    let aws = account().await;
    let id = customer(&aws, "acme").await;
    belongings(&aws, &id).await;
    let in_no_time = deadline::until(SystemTime::now(), patch(&aws, json!({"disabled": true})));
    assert_eq!(in_no_time.await.0, 200);
    assert!(is_off(&aws, &id).await);
    // Not before the request must have ended.
    assert_eq!(aws.sent("ClientTasksQueue")[0].delay, 60);
    complete(&aws, &lifecycle(&aws)).await;
    assert!(is_disabled(&aws, &id).await);
}

#[tokio::test]
async fn an_enabled_client_gets_the_current_document_also_when_that_was_cut_off() {
    for n in 1.. {
        let aws = account().await;
        let id = customer(&aws, "acme").await;
        subscribe(&aws, &id, "s1").await;
        publish(&aws).await;
        patch(&aws, json!({"disabled": true})).await;
        aws.empty_queues();
        let killed = aws
            .killed_at(n, Effect::None, patch(&aws, json!({"disabled": false})))
            .await;
        patch(&aws, json!({"disabled": false})).await;
        assert!(!aws.sent("DeliveriesQueue").is_empty(), "{n}");
        if killed.is_some() {
            break;
        }
    }
}
