//! What becomes of registrations when SNS or a table fails, and when the function is killed.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use bellwire_doubles::{Aws, Effect, Fault, request};
use lambda_http::http::StatusCode;
use serde_json::{Value, json};
use subscribe::SubscribeFunction;

const TABLES: [&str; 2] = ["ClientsTable", "CallbacksTable"];
const URL: &str = "https://hooks.example.com/bellwire";

/// An account with a client whose key is `key`.
async fn account() -> Aws {
    let aws = Aws::with_tables(&TABLES).await;
    aws.add_client("key", false).await;
    aws
}

/// The status and the body of the response to a request; of a failure only its status.
async fn call(aws: &Aws, method: &str, body: &Value) -> (StatusCode, Value) {
    let function = SubscribeFunction::new(&aws.app("Subscribe", &[])).unwrap();
    let request = request(method, "/v1/subscribe", "/v1/subscribe", Some("key"), body);
    match function.handle(request).await {
        Ok(response) => {
            let body = serde_json::from_slice(response.body().as_ref()).unwrap();
            (response.status(), body)
        }
        Err(failure) => (failure.status(), Value::Null),
    }
}

/// The token that SNS has sent to the one URL.
fn token(aws: &Aws) -> String {
    let topics = aws.topics();
    let mut subscriptions = topics
        .values()
        .flat_map(|topic| topic.subscriptions.values());
    let found = subscriptions.next().unwrap().token.clone();
    assert!(subscriptions.next().is_none(), "more than one subscription");
    found
}

#[tokio::test]
async fn a_registration_that_is_cut_off_is_completed_by_its_repetition() {
    let register = json!({"callbackUrl": URL, "format": "raw"});
    for effect in [Effect::None, Effect::Done] {
        for n in 1.. {
            let aws = account().await;
            aws.calls();
            let ended = aws
                .killed_at(n, effect, call(&aws, "POST", &register))
                .await;
            let (status, body) = call(&aws, "POST", &register).await;
            assert_eq!(
                (status, &body["status"]),
                (StatusCode::CREATED, &json!("PENDING_CONFIRMATION")),
                "{n} {effect:?}"
            );
            let confirm = json!({"token": token(&aws)});
            let (status, body) = call(&aws, "POST", &confirm).await;
            assert_eq!(
                (status, &body["status"]),
                (StatusCode::CREATED, &json!("CONFIRMED")),
                "{n} {effect:?}"
            );
            let (_, listed) = call(&aws, "GET", &Value::Null).await;
            assert_eq!(
                listed["subscriptions"].as_array().unwrap().len(),
                1,
                "{n} {effect:?}: {listed}"
            );
            if ended.is_some() {
                assert!(n > 4, "only {n} calls");
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_confirmation_that_is_cut_off_is_completed_by_its_repetition() {
    for effect in [Effect::None, Effect::Done] {
        for n in 1.. {
            let aws = account().await;
            call(&aws, "POST", &json!({"callbackUrl": URL})).await;
            let confirm = json!({"token": token(&aws)});
            let ended = aws.killed_at(n, effect, call(&aws, "POST", &confirm)).await;
            let (status, body) = call(&aws, "POST", &confirm).await;
            assert_eq!(
                (status, &body["status"]),
                (StatusCode::CREATED, &json!("CONFIRMED")),
                "{n} {effect:?}"
            );
            if ended.is_some() {
                assert!(n > 3, "only {n} calls");
                break;
            }
        }
    }
}

#[tokio::test]
async fn throttling_is_no_matter_of_the_customer_and_an_outage_is_a_500() {
    for operation in ["Subscribe", "CreateTopic", "UpdateItem", "GetItem", "Query"] {
        let aws = account().await;
        aws.calls();
        aws.fail(operation, Fault::Throttled, 2);
        let (status, _) = call(&aws, "POST", &json!({"callbackUrl": URL})).await;
        assert_eq!(status, StatusCode::CREATED, "{operation}");
        assert!(
            aws.calls().iter().any(|it| it == operation),
            "{operation} isn't called"
        );
    }
    let aws = account().await;
    aws.fail("Subscribe", Fault::Throttled, usize::MAX);
    let (status, _) = call(&aws, "POST", &json!({"callbackUrl": URL})).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn a_token_of_nobody_is_the_callers_mistake() {
    let aws = account().await;
    let (status, _) = call(&aws, "POST", &json!({"token": "nobodys"})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    call(&aws, "POST", &json!({"callbackUrl": URL})).await;
    let (status, _) = call(&aws, "POST", &json!({"token": "nobodys"})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn what_is_registered_or_confirmed_is_where_it_was_posted() {
    let aws = account().await;
    let function = SubscribeFunction::new(&aws.app("Subscribe", &[])).unwrap();
    for _ in 0..2 {
        let path = "/live/v1/subscribe";
        let body = json!({"callbackUrl": URL});
        let request = request("POST", "/v1/subscribe", path, Some("key"), &body);
        let response = function.handle(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::CREATED);
        assert_eq!(response.headers()["location"], path);
        call(&aws, "POST", &json!({"token": token(&aws)})).await;
    }
}
