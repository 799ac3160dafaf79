//! Which URLs a test notification reaches, and what becomes of it when SNS fails, or the function is killed.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use bellwire_doubles::{Aws, Effect, Fault, request};
use lambda_http::http::StatusCode;
use lambda_http::{Body, Request};
use serde_json::{Value, json};
use subscribe::SubscribeFunction;

const TABLES: [&str; 2] = ["ClientsTable", "CallbacksTable"];

/// An account with a client whose key is `key`.
async fn account() -> Aws {
    let aws = Aws::with_tables(&TABLES).await;
    aws.add_client("key", false).await;
    aws
}

fn to(method: &str, path: &str, body: &Value) -> Request {
    request(method, path, path, Some("key"), body)
}

/// The status and the body of the response to a request; of a failure only its status.
async fn answer(aws: &Aws, request: Request) -> (StatusCode, Value) {
    let function = SubscribeFunction::new(&aws.app("Subscribe", &[])).unwrap();
    match function.handle(request).await {
        Ok(response) => {
            let body = serde_json::from_slice(response.body().as_ref()).unwrap();
            (response.status(), body)
        }
        Err(failure) => (failure.status(), Value::Null),
    }
}

async fn publish(aws: &Aws) -> (StatusCode, Value) {
    answer(aws, to("POST", "/v1/publish", &json!({}))).await
}

/// Registers a URL, and confirms it if so wanted.
async fn register(aws: &Aws, url: &str, statuses: &[&str], confirmed: bool) {
    let body = json!({"callbackUrl": url, "statuses": statuses});
    answer(aws, to("POST", "/v1/subscribe", &body)).await;
    if confirmed {
        let topics = aws.topics();
        let mut subscriptions = topics.values().flat_map(|it| it.subscriptions.values());
        let found = subscriptions.find(|it| it.endpoint == url).unwrap();
        let confirm = json!({"token": found.token});
        let (status, _) = answer(aws, to("POST", "/v1/subscribe", &confirm)).await;
        assert_eq!(status, StatusCode::CREATED);
    }
}

/// What was delivered to a URL.
fn received(aws: &Aws, url: &str) -> Vec<Value> {
    let topics = aws.topics();
    let mut subscriptions = topics.values().flat_map(|it| it.subscriptions.values());
    let found = subscriptions.find(|it| it.endpoint == url).unwrap();
    let messages = found.received.iter();
    messages
        .map(|text| serde_json::from_str(text).unwrap())
        .collect()
}

#[tokio::test]
async fn a_test_reaches_every_confirmed_url_whatever_its_statuses() {
    let aws = account().await;
    let confirmed = [
        ("https://a.example.com/", ["SUCCEEDED"]),
        ("https://b.example.com/", ["FAILED"]),
        ("https://c.example.com/", ["CANCELLED"]),
    ];
    for (url, statuses) in &confirmed {
        register(&aws, url, statuses, true).await;
    }
    let pending = "https://d.example.com/";
    register(&aws, pending, &["SUCCEEDED"], false).await;
    let (status, body) = publish(&aws).await;
    assert_eq!((status, &body["published"]), (StatusCode::OK, &json!(3)));
    assert!(body["message"].is_string(), "{body}");
    for (url, _) in &confirmed {
        let [notification] = &received(&aws, url)[..] else {
            panic!("not one notification at {url}");
        };
        assert_eq!(notification["status"], "TEST");
        assert_eq!(notification.as_object().unwrap().len(), 3, "{notification}");
        let id = notification["QueryExecutionId"].as_str().unwrap();
        assert_eq!(id.len(), 36, "{id}");
        let at = notification["time_completed"].as_str().unwrap();
        assert_eq!(at.len(), "2020-01-17 22:04:24.089113".len(), "{at}");
    }
    assert_eq!(received(&aws, pending), Vec::<Value>::new());
    // Another request sends another one.
    publish(&aws).await;
    let both = received(&aws, confirmed[0].0);
    assert_ne!(both[0]["QueryExecutionId"], both[1]["QueryExecutionId"]);
}

#[tokio::test]
async fn without_a_confirmed_url_there_is_nobody_to_send_it_to() {
    let aws = account().await;
    assert_eq!(publish(&aws).await.0, StatusCode::CONFLICT);
    register(&aws, "https://a.example.com/", &["SUCCEEDED"], false).await;
    assert_eq!(publish(&aws).await.0, StatusCode::CONFLICT);
    assert!(aws.topics().values().all(|it| it.published.is_empty()));
}

#[tokio::test]
async fn the_body_is_empty() {
    let aws = account().await;
    register(&aws, "https://a.example.com/", &["SUCCEEDED"], true).await;
    let without = to("POST", "/v1/publish", &Value::Null);
    assert_eq!(answer(&aws, without).await.0, StatusCode::OK);
    for (text, expected) in [
        ("{}", StatusCode::OK),
        (" { } ", StatusCode::OK),
        (
            "{\"callbackUrl\": \"https://a.example.com/\"}",
            StatusCode::BAD_REQUEST,
        ),
        ("[]", StatusCode::BAD_REQUEST),
        ("null", StatusCode::BAD_REQUEST),
        ("{} {}", StatusCode::BAD_REQUEST),
        ("no JSON", StatusCode::BAD_REQUEST),
    ] {
        let mut request = to("POST", "/v1/publish", &json!({}));
        *request.body_mut() = Body::Text(text.to_owned());
        assert_eq!(answer(&aws, request).await.0, expected, "{text}");
    }
    assert_eq!(received(&aws, "https://a.example.com/").len(), 3);
}

#[tokio::test]
async fn throttling_is_no_matter_of_the_customer_and_an_outage_is_a_500() {
    let aws = account().await;
    register(&aws, "https://a.example.com/", &["SUCCEEDED"], true).await;
    for operation in ["Publish", "ListSubscriptionsByTopic"] {
        aws.fail(operation, Fault::Throttled, 2);
        assert_eq!(publish(&aws).await.0, StatusCode::OK, "{operation}");
        aws.fail(operation, Fault::Throttled, usize::MAX);
        let (status, _) = publish(&aws).await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR, "{operation}");
        aws.heal();
    }
}

#[tokio::test]
async fn a_test_that_is_cut_off_is_sent_by_its_repetition() {
    for effect in [Effect::None, Effect::Done] {
        for n in 1.. {
            let aws = account().await;
            register(&aws, "https://a.example.com/", &["SUCCEEDED"], true).await;
            let ended = aws.killed_at(n, effect, publish(&aws)).await;
            let before = received(&aws, "https://a.example.com/").len();
            assert_eq!(publish(&aws).await.0, StatusCode::OK, "{n} {effect:?}");
            let after = received(&aws, "https://a.example.com/").len();
            assert_eq!(after, before + 1, "{n} {effect:?}");
            if ended.is_some() {
                assert!(n > 3, "only {n} calls");
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_key_is_known_by_whom_it_is_of() {
    let aws = account().await;
    let (status, body) = answer(&aws, to("GET", "/v1/hello", &Value::Null)).await;
    assert_eq!(
        (status, &body["message"]),
        (StatusCode::OK, &json!("hello"))
    );
    assert!(
        body["client_id"].as_str().unwrap().starts_with("cl_"),
        "{body}"
    );
    let nobody = request("GET", "/v1/hello", "/v1/hello", Some("other"), &Value::Null);
    assert_eq!(answer(&aws, nobody).await.0, StatusCode::UNAUTHORIZED);
}
