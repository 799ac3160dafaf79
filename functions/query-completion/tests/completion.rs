//! Who is notified of a query's end, when AWS fails, and when the function is killed.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use bellwire_domain::{ClientId, ExecutionId};
use bellwire_doubles::{Aws, Effect, Fault};
use query_completion::QueryCompletionFunction;
use serde_json::{Value, json};

const TABLES: [&str; 2] = ["QueriesTable", "ClientsTable"];
const QUERY: &str = "694e7d20-076a-404a-8adf-d5c58a194a13";

fn function(aws: &Aws) -> QueryCompletionFunction {
    QueryCompletionFunction::new(&aws.app("QueryCompletion", &[])).unwrap()
}

fn event(state: &str, number: &str) -> Value {
    json!({
        "source": "aws.athena",
        "detail-type": "Athena Query State Change",
        "time": "2020-01-17T22:04:24Z",
        "detail": {"queryExecutionId": QUERY, "currentState": state, "sequenceNumber": number},
    })
}

/// An account with a client that has a topic, and owns the query.
async fn owned() -> (Aws, ClientId) {
    let aws = Aws::with_tables(&TABLES).await;
    let app = aws.app("QueryCompletion", &[]);
    let owner = aws.add_client("owner", false).await;
    aws.create_topic(&format!("bellwire-{owner}"));
    let id = ExecutionId::parse(QUERY).unwrap();
    let completions = app.completions().unwrap();
    completions.record_owner(&id, &owner, true).await.unwrap();
    aws.calls();
    (aws, owner)
}

/// The notifications that were published to the client's topic.
fn published(aws: &Aws, owner: &ClientId) -> Vec<Value> {
    let arn = format!("arn:aws:sns:us-east-1:123456789012:bellwire-{owner}");
    let published = aws.topics()[&arn].published.clone().into_iter();
    published
        .map(|text| serde_json::from_str(&text).unwrap())
        .collect()
}

/// Lets the lease to publish expire.
async fn expire_lease(aws: &Aws) {
    let key = [("execution_id", QUERY)];
    aws.set_number("QueriesTable", &key, "turn_until", 0).await;
}

#[tokio::test]
async fn an_owner_is_notified_once_wherever_the_function_is_killed_but_between_sns_and_the_mark() {
    for effect in [Effect::None, Effect::Done] {
        for n in 1.. {
            let (aws, owner) = owned().await;
            let ended = aws
                .killed_at(n, effect, function(&aws).handle(event("SUCCEEDED", "3")))
                .await;
            let calls = aws.calls();
            if ended.is_none()
                && function(&aws)
                    .handle(event("SUCCEEDED", "3"))
                    .await
                    .is_err()
            {
                // The lease of the one that was killed: Lambda tries again later.
                expire_lease(&aws).await;
                function(&aws)
                    .handle(event("SUCCEEDED", "3"))
                    .await
                    .unwrap();
            }
            let times = published(&aws, &owner).len();
            let last = calls.last().map(String::as_str);
            // SNS has accepted the first one, and that was not recorded.
            let unmarked = matches!((last, effect), (Some("Publish"), Effect::Done))
                || (calls.iter().any(|it| it == "Publish")
                    && effect == Effect::None
                    && last == Some("UpdateItem"));
            let expected = if ended.is_none() && unmarked { 2 } else { 1 };
            assert_eq!(times, expected, "{n} {effect:?}: {calls:?}");
            if ended.is_some() {
                assert!(n > 3, "only {n} calls");
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_repeated_event_and_an_older_one_change_nothing() {
    let (aws, owner) = owned().await;
    for event in [
        event("SUCCEEDED", "3"),
        event("SUCCEEDED", "3"),
        event("RUNNING", "2"),
        event("FAILED", "4"),
    ] {
        function(&aws).handle(event).await.unwrap();
    }
    let published = published(&aws, &owner);
    assert_eq!(published.len(), 1, "{published:?}");
    assert_eq!(published[0]["status"], "SUCCEEDED");
}

#[tokio::test]
async fn throttling_and_lost_answers_are_repeated() {
    for operation in ["UpdateItem", "GetItem", "Publish"] {
        for fault in [Fault::Throttled, Fault::LostAnswer] {
            let (aws, owner) = owned().await;
            aws.fail(operation, fault, 1);
            if function(&aws).handle(event("FAILED", "3")).await.is_err() {
                // The answer that was lost had granted the lease.
                assert_eq!((operation, fault), ("UpdateItem", Fault::LostAnswer));
                expire_lease(&aws).await;
                function(&aws).handle(event("FAILED", "3")).await.unwrap();
            }
            let times = published(&aws, &owner).len();
            let expected = if (operation, fault) == ("Publish", Fault::LostAnswer) {
                2
            } else {
                1
            };
            assert_eq!(times, expected, "{operation} {fault:?}");
        }
    }
}

#[tokio::test]
async fn sns_that_fails_is_an_error_and_holds_nothing_up() {
    let (aws, owner) = owned().await;
    aws.fail("Publish", Fault::Throttled, 3);
    function(&aws)
        .handle(event("SUCCEEDED", "3"))
        .await
        .unwrap_err();
    // The lease was released: the next attempt need not wait.
    function(&aws)
        .handle(event("SUCCEEDED", "3"))
        .await
        .unwrap();
    assert_eq!(published(&aws, &owner).len(), 1);
}

#[tokio::test]
async fn what_is_no_event_of_athena_is_an_error_and_writes_nothing() {
    let (aws, _) = owned().await;
    let before = aws.items("QueriesTable").await;
    for other in [
        json!({}),
        json!([]),
        event("SLEEPING", "1"),
        json!({"source": "aws.s3"}),
    ] {
        function(&aws).handle(other).await.unwrap_err();
    }
    assert_eq!(aws.items("QueriesTable").await, before);
}
