//! What a query without a result gets, in each of the forms that its id may be sent in.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::HashMap;

use bellwire_domain::{ExecutionId, QueryState};
use bellwire_doubles::{Aws, request};
use bellwire_store::queries::End;
use lambda_http::http::StatusCode;
use lambda_http::{Request, RequestExt};
use results::ResultsFunction;
use serde_json::{Value, json};
use time::OffsetDateTime;

const TABLES: [&str; 2] = ["ClientsTable", "QueriesTable"];
const PATHS: [&str; 2] = ["/v1/results", "/v1/scrollResults"];
const QUERY: &str = "694e7d20-076a-404a-8adf-d5c58a194a09";

/// An account with two clients, of which the one with the key `key` owns a query that has failed.
async fn account() -> Aws {
    let aws = Aws::with_tables(&TABLES).await;
    let owner = aws.add_client("key", false).await;
    aws.add_client("other", false).await;
    let queries = aws.app("Results", &[]).queries().unwrap();
    let id = ExecutionId::parse(QUERY).unwrap();
    let at = OffsetDateTime::now_utc();
    queries.record_owner(&id, &owner, true, at).await.unwrap();
    let reason = Some("no such table");
    let state = QueryState::Failed;
    let end = End { state, at, reason };
    queries.record_end(&id, end, at).await.unwrap();
    queries.mark_notified(&id, at).await.unwrap();
    aws
}

/// The status and the body of the response to a request; of a failure the body is what it says.
async fn answer(aws: &Aws, request: Request) -> (StatusCode, Value) {
    let function = ResultsFunction::new(&aws.app("Results", &[])).unwrap();
    match function.handle(request).await {
        Ok(response) => {
            let body = serde_json::from_slice(response.body().as_ref()).unwrap();
            (response.status(), body)
        }
        Err(failure) => (failure.status(), json!(format!("{failure:?}"))),
    }
}

fn get(path: &str, key: &str, parameters: &[(&str, &[&str])]) -> Request {
    let text = |it: &&str| (*it).to_owned();
    let parameters: HashMap<String, Vec<String>> = parameters
        .iter()
        .map(|(name, values)| (text(name), values.iter().map(text).collect()))
        .collect();
    request("GET", path, path, Some(key), &Value::Null).with_query_string_parameters(parameters)
}

fn post(path: &str, body: &Value) -> Request {
    request("POST", path, path, Some("key"), body)
}

#[tokio::test]
async fn the_object_that_was_returned_will_do_and_so_will_parameters() {
    let aws = account().await;
    for path in PATHS {
        let (status, shown) = answer(&aws, post(path, &json!({"QueryExecutionId": QUERY}))).await;
        assert_eq!(status, StatusCode::OK, "{shown}");
        assert_eq!(shown["QueryExecutionId"], QUERY);
        assert_eq!(shown["Status"]["State"], "FAILED");
        assert_eq!(shown["Status"]["Message"], "no such table");
        assert_eq!(shown["Status"]["StateChangeReason"], "no such table");
        // What was returned, as it is, and with keys that only Athena has.
        let again = answer(&aws, post(path, &shown)).await;
        assert_eq!(again, (StatusCode::OK, shown.clone()), "{path}");
        let mut more = shown.clone();
        more["Query"] = json!("SELECT 1");
        more["Statistics"] = json!({"DataScannedInBytes": 5});
        more["WorkGroup"] = Value::Null;
        let again = answer(&aws, post(path, &more)).await;
        assert_eq!(again, (StatusCode::OK, shown.clone()), "{path}");
        let parameters: [(&str, &[&str]); 2] = [("QueryExecutionId", &[QUERY]), ("Query", &["x"])];
        let by_get = answer(&aws, get(path, "key", &parameters)).await;
        assert_eq!(by_get, (StatusCode::OK, shown), "{path}");
    }
}

#[tokio::test]
async fn parameters_are_checked_as_a_body_is() {
    let aws = account().await;
    let id: (&str, &[&str]) = ("QueryExecutionId", &[QUERY]);
    for path in PATHS {
        for values in [&[][..], &[""], &["a b"], &[QUERY, QUERY]] {
            let request = get(path, "key", &[("QueryExecutionId", values)]);
            let (status, said) = answer(&aws, request).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{path} {values:?}");
            assert!(
                said.as_str().unwrap().contains("QueryExecutionId"),
                "{said}"
            );
        }
        let other_case = get(path, "key", &[("queryexecutionid", &[QUERY])]);
        assert_eq!(answer(&aws, other_case).await.0, StatusCode::BAD_REQUEST);
    }
    for values in [
        &["0"][..],
        &["1001"],
        &["-1"],
        &["1.5"],
        &["ten"],
        &[""],
        &["1", "2"],
    ] {
        let request = get("/v1/scrollResults", "key", &[id, ("MaxResults", values)]);
        let (status, said) = answer(&aws, request).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{values:?}");
        assert!(said.as_str().unwrap().contains("MaxResults"), "{said}");
        // It means nothing to the other call.
        let request = get("/v1/results", "key", &[id, ("MaxResults", values)]);
        assert_eq!(answer(&aws, request).await.0, StatusCode::OK, "{values:?}");
    }
    let request = get("/v1/scrollResults", "key", &[id, ("MaxResults", &["1000"])]);
    assert_eq!(answer(&aws, request).await.0, StatusCode::OK);
    let tokens: (&str, &[&str]) = ("NextToken", &["a", "b"]);
    let request = get("/v1/scrollResults", "key", &[id, tokens]);
    assert_eq!(answer(&aws, request).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn bodies_are_checked_where_they_mean_something() {
    let aws = account().await;
    for path in PATHS {
        for body in [
            json!({}),
            json!({"QueryExecutionId": null}),
            json!({"QueryExecutionId": 5}),
            json!({"QueryExecutionId": ""}),
            json!({"Status": {"State": "FAILED"}}),
            json!([QUERY]),
        ] {
            let (status, _) = answer(&aws, post(path, &body)).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{path} {body}");
        }
    }
    let body = json!({"QueryExecutionId": QUERY, "MaxResults": "ten"});
    assert_eq!(
        answer(&aws, post("/v1/results", &body)).await.0,
        StatusCode::OK
    );
    let (status, _) = answer(&aws, post("/v1/scrollResults", &body)).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn another_clients_query_and_none_at_all_are_the_same_404() {
    let aws = account().await;
    for path in PATHS {
        let foreign = answer(&aws, get(path, "other", &[("QueryExecutionId", &[QUERY])])).await;
        let unknown = answer(&aws, get(path, "key", &[("QueryExecutionId", &["none"])])).await;
        assert_eq!(foreign.0, StatusCode::NOT_FOUND);
        assert_eq!(foreign, unknown);
    }
}
