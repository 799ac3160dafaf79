//! Topics from their creation to their deletion, by id and by name.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::collections::{BTreeSet, HashMap};

use bellwire_doubles::{Aws, Effect};
use bellwire_queues::Publication;
use lambda_http::RequestExt;
use lambda_http::http::StatusCode;
use serde_json::{Value, json};
use support::{account, create, definition, of, send, with};

const ID: &str = "6f1a8c9e-3b1d-4c7a-9a55-0d5f6f1f2a11";

async fn get(aws: &Aws, topic: &str) -> StatusCode {
    send(aws, of("GET", Some(topic), &Value::Null)).await.status
}

async fn delete(aws: &Aws, topic: &str) -> StatusCode {
    let deleted = send(aws, of("DELETE", Some(topic), &Value::Null)).await;
    deleted.status
}

/// The topics whose deletion was queued.
fn ended(aws: &Aws) -> BTreeSet<String> {
    let sent = aws.messages::<Publication>("PublicationsQueue").into_iter();
    sent.map(|it| it.topic_id.to_string()).collect()
}

#[tokio::test]
async fn a_topic_says_where_it_is_and_so_does_a_repeated_answer() {
    let aws = account().await;
    let post = || {
        with(
            of("POST", None, &definition("orders")),
            "idempotency-key",
            "k",
        )
    };
    let made = send(&aws, post()).await;
    assert_eq!(made.status, StatusCode::CREATED);
    assert_eq!(made.location, Some(format!("/topics/{}", made.id())));
    assert_eq!(made.tag.as_deref(), Some("\"1\""));
    assert_eq!(send(&aws, post()).await, made);
}

#[tokio::test]
async fn what_is_left_out_of_a_publisher_is_a_snapshot() {
    let aws = account().await;
    let body = json!({"name": "orders", "publisher": {"type": "http-post"}});
    let made = create(&aws, &body).await;
    assert_eq!(
        made.body["publisher"]["payload"],
        json!({"type": "snapshot"})
    );
    assert_eq!(made.body["subscribers"], json!([]));
    assert_eq!(made.body["publisher"].get("alwaysOn"), None);
}

#[tokio::test]
async fn a_name_does_not_have_the_form_of_an_id() {
    let aws = account().await;
    for name in [ID.to_owned(), ID.to_uppercase()] {
        let refused = send(&aws, of("POST", None, &definition(&name))).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST);
        let text = refused.body.as_str().unwrap();
        assert!(text.contains("name: must not have the form"), "{text}");
    }
    // A topic that has such a name from before keeps it, and is found by its own id.
    aws.add_topic("11111111-1111-4111-8111-111111111111", definition(ID))
        .await;
    let known = "11111111-1111-4111-8111-111111111111";
    assert_eq!(get(&aws, ID).await, StatusCode::NOT_FOUND);
    let patch = json!({"publisher": {"config": {"a": 1}}});
    let patched = send(&aws, of("PATCH", Some(known), &patch)).await;
    assert_eq!(patched.status, StatusCode::OK, "{patched:?}");
    assert_eq!(patched.body["name"], ID);
}

#[tokio::test]
async fn a_topic_has_its_name_in_a_path() {
    let aws = account().await;
    let name = "Käufe & 50% mehr";
    let made = create(&aws, &definition(name)).await;
    for path in ["K%C3%A4ufe%20%26%2050%25%20mehr", name] {
        let got = send(&aws, of("GET", Some(path), &Value::Null)).await;
        assert_eq!(got.body, made.body, "{path}");
    }
    for path in [
        "k%C3%A4ufe",
        "name%23abc",
        "%00",
        "%FF",
        "x",
        &"x".repeat(300),
    ] {
        assert_eq!(get(&aws, path).await, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(delete(&aws, path).await, StatusCode::NOT_FOUND, "{path}");
    }
    // An id takes one read, a name two, beside that of the key.
    for (path, reads) in [(made.id().as_str(), 2), (name, 3)] {
        aws.calls();
        get(&aws, path).await;
        let calls = aws.calls();
        let found = calls.iter().filter(|it| *it == "GetItem").count();
        assert_eq!(found, reads, "{calls:?}");
    }
}

#[tokio::test]
async fn a_deletion_that_is_cut_off_anywhere_is_completed_by_the_same_request() {
    for by_name in [true, false] {
        for effect in [Effect::None, Effect::Done] {
            for n in 1.. {
                let aws = account().await;
                let id = create(&aws, &definition("orders")).await.id();
                let path = if by_name { "orders" } else { &id };
                let ended_first = aws.killed_at(n, effect, delete(&aws, path)).await;
                let again = delete(&aws, path).await;
                assert!(
                    [StatusCode::NO_CONTENT, StatusCode::NOT_FOUND].contains(&again),
                    "{again}"
                );
                assert_eq!(ended(&aws), BTreeSet::from([id.clone()]), "{n} {by_name}");
                assert_eq!(get(&aws, path).await, StatusCode::NOT_FOUND);
                // The name is free.
                create(&aws, &definition("orders")).await;
                assert_eq!(get(&aws, &id).await, StatusCode::NOT_FOUND);
                if ended_first.is_some() {
                    break;
                }
            }
        }
    }
}

#[tokio::test]
async fn a_deletion_by_name_that_was_cut_off_is_completed_by_id() {
    for n in 1.. {
        let aws = account().await;
        let id = create(&aws, &definition("orders")).await.id();
        let work = delete(&aws, "orders");
        let ended_first = aws.killed_at(n, Effect::Done, work).await;
        delete(&aws, &id).await;
        assert_eq!(ended(&aws), BTreeSet::from([id]), "{n}");
        create(&aws, &definition("orders")).await;
        if ended_first.is_some() {
            break;
        }
    }
}

#[tokio::test]
async fn lists_are_sorted_by_what_is_published_and_how() {
    let aws = account().await;
    for (name, payload) in [("a", "snapshot"), ("b", "event"), ("c", "snapshot")] {
        let mut body = definition(name);
        body["publisher"]["payload"]["type"] = json!(payload);
        create(&aws, &body).await;
    }
    for (sort, names) in [
        ("publisher.payload.type,ASC", ["b", "a", "c"]),
        ("publisher.payload.type,DESC", ["a", "c", "b"]),
        ("publisher.type,ASC", ["a", "b", "c"]),
    ] {
        let parameters = HashMap::from([("sort".to_owned(), sort.to_owned())]);
        let request = of("GET", None, &Value::Null).with_query_string_parameters(parameters);
        let listed = send(&aws, request).await;
        let items = listed.body["items"].as_array().unwrap().iter();
        let found: Vec<&str> = items.map(|it| it["name"].as_str().unwrap()).collect();
        assert_eq!(found, names, "{sort}");
        let link = listed.body["links"]["self"].as_str().unwrap();
        assert!(link.starts_with("/topics?page=1&"), "{link}");
    }
}
