//! `PUT` and `PATCH`, and the revisions of topics.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use lambda_http::http::StatusCode;
use serde_json::{Value, json};
use support::{account, create, definition, of, send, with};

#[tokio::test]
async fn a_put_takes_what_a_get_returned_and_writes_nothing_then() {
    let aws = account().await;
    let made = create(&aws, &definition("orders")).await;
    let id = made.id();
    let got = send(&aws, of("GET", Some(&id), &Value::Null)).await;
    assert_eq!((&got.body, &got.tag), (&made.body, &made.tag));
    aws.calls();
    let put = send(&aws, of("PUT", Some(&id), &got.body)).await;
    assert_eq!(put, got);
    assert!(!aws.calls().contains(&"TransactWriteItems".to_owned()));

    let mut changed = got.body.clone();
    changed["name"] = json!("invoices");
    // The same time, in the form of another program.
    let time = changed["createTimestamp"].as_str().unwrap();
    changed["createTimestamp"] = json!(time.replace('Z', "+00:00"));
    let put = send(&aws, of("PUT", Some(&id), &changed)).await;
    assert_eq!(put.status, StatusCode::OK, "{put:?}");
    assert_eq!(put.tag.as_deref(), Some("\"2\""));
    assert_eq!(put.body["createTimestamp"], got.body["createTimestamp"]);
    let got = send(&aws, of("GET", Some(&id), &Value::Null)).await;
    assert_eq!((put.body, put.tag), (got.body, got.tag));
}

#[tokio::test]
async fn what_can_not_change_is_named() {
    let aws = account().await;
    let made = create(&aws, &definition("orders")).await;
    let id = made.id();
    for (field, values) in [
        ("id", vec![json!("other"), json!(""), json!(5), json!(null)]),
        (
            "createTimestamp",
            vec![json!("2020-01-01T00:00:00Z"), json!("yesterday"), json!(5)],
        ),
        (
            "modifyTimestamp",
            vec![json!("2020-01-01T00:00:00Z"), json!(null), json!([])],
        ),
    ] {
        for value in values {
            let mut body = made.body.clone();
            body[field] = value;
            let put = send(&aws, of("PUT", Some(&id), &body)).await;
            assert_eq!(put.status, StatusCode::BAD_REQUEST, "{body}");
            assert!(put.body.as_str().unwrap().contains(field), "{put:?}");
            if body[field].is_string() {
                let patch = json!({ field: body[field] });
                let patched = send(&aws, of("PATCH", Some(&id), &patch)).await;
                assert_eq!(patched.status, StatusCode::BAD_REQUEST, "{patch}");
            }
        }
    }
    let got = send(&aws, of("GET", Some(&id), &Value::Null)).await;
    assert_eq!(got.body, made.body);
}

#[tokio::test]
async fn a_patch_changes_what_it_names() {
    let aws = account().await;
    let mut first = definition("orders");
    first["publisher"]["alwaysOn"] = json!(false);
    first["publisher"]["config"] = json!({"a": 1, "b": {"c": 2}});
    first["subscribers"] = json!({"webhook": {}, "sse": {"config": {"x": 1}}});
    let id = create(&aws, &first).await.id();
    let patch = json!({
        "name": "invoices",
        "publisher": {"alwaysOn": null, "config": {"b": {"c": null, "d": 3}}},
        "subscribers": {"sse": null, "kafka": {}},
    });
    let request = with(
        of("PATCH", Some("orders"), &patch),
        "content-type",
        "application/merge-patch+json",
    );
    let patched = send(&aws, request).await;
    assert_eq!(patched.status, StatusCode::OK, "{patched:?}");
    let body = &patched.body;
    assert_eq!(body["name"], "invoices");
    assert_eq!(body["id"], json!(id));
    assert_eq!(
        body["publisher"],
        json!({"type": "http-post", "config": {"a": 1, "b": {"d": 3}}, "payload": {"type": "snapshot"}})
    );
    assert_eq!(body["subscribers"], json!({"webhook": {}, "kafka": {}}));
    let got = send(&aws, of("GET", Some("invoices"), &Value::Null)).await;
    assert_eq!((&got.body, &got.tag), (body, &patched.tag));
    // Once more, it changes nothing.
    let again = send(&aws, of("PATCH", Some(&id), &patch)).await;
    assert_eq!(again, patched);
    let nothing = send(&aws, of("PATCH", Some(&id), &json!({}))).await;
    assert_eq!(nothing, patched);
}

#[tokio::test]
async fn a_patch_that_comes_to_no_topic_is_refused() {
    let aws = account().await;
    let made = create(&aws, &definition("orders")).await;
    create(&aws, &definition("taken")).await;
    let id = made.id();
    for (patch, status) in [
        (json!([]), 400),
        (json!(5), 400),
        (json!({"name": null}), 400),
        (json!({"name": ""}), 400),
        (json!({"name": id}), 400),
        (json!({"name": 5}), 400),
        (json!({"publisher": null}), 400),
        (json!({"publisher": []}), 400),
        (json!({"publisher": {"type": "kafka"}}), 400),
        (json!({"subscribers": [{"type": "mail"}]}), 400),
        (json!({"more": 1}), 400),
        (json!({"name": "taken"}), 409),
        (json!({"publisher": {"payload": {"type": "event"}}}), 409),
    ] {
        let answer = send(&aws, of("PATCH", Some(&id), &patch)).await;
        assert_eq!(answer.status.as_u16(), status, "{patch} {answer:?}");
    }
    let request = with(
        of("PATCH", Some(&id), &json!({})),
        "content-type",
        "text/plain",
    );
    let answer = send(&aws, request).await;
    assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let unknown = send(&aws, of("PATCH", Some("unknown"), &json!({}))).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    let got = send(&aws, of("GET", Some(&id), &Value::Null)).await;
    assert_eq!((got.body, got.tag), (made.body, made.tag));
}

#[tokio::test]
async fn who_edits_an_older_revision_is_told() {
    let aws = account().await;
    let made = create(&aws, &definition("orders")).await;
    let (id, first) = (made.id(), made.tag.unwrap());
    let patch = |tag: &str, name: &str| {
        let request = of("PATCH", Some(&id), &json!({ "name": name }));
        with(request, "if-match", tag)
    };
    let second = send(&aws, patch(&first, "invoices")).await;
    assert_eq!(second.status, StatusCode::OK);
    let second = second.tag.unwrap();
    assert_ne!(first, second);
    for method in ["PUT", "PATCH", "DELETE"] {
        let request = of(method, Some(&id), &definition("customers"));
        let answer = send(&aws, with(request, "if-match", &first)).await;
        assert_eq!(answer.status, StatusCode::PRECONDITION_FAILED, "{method}");
    }
    assert!(aws.sent("PublicationsQueue").is_empty());
    assert_eq!(
        send(&aws, patch("*", "customers")).await.status,
        StatusCode::OK
    );
    let got = send(&aws, of("GET", Some(&id), &Value::Null)).await;
    assert_eq!(got.body["name"], "customers");
    let request = of("DELETE", Some(&id), &Value::Null);
    let answer = send(&aws, with(request, "if-match", &got.tag.unwrap())).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
}
