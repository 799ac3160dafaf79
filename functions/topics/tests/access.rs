//! Who may see and change a topic.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use bellwire_domain::ClientId;
use bellwire_doubles::{Aws, Effect, Fault, request};
use bellwire_queues::ClientTask;
use lambda_http::http::StatusCode;
use serde_json::{Value, json};

use crate::support::{account, create, definition, function};

/// What a client gets: the status, and the body.
async fn call(aws: &Aws, key: &str, method: &str, topic: &str, body: &Value) -> (u16, Value) {
    let path = format!("/topics/{topic}");
    let request = request(method, "/topics/{topicId}", &path, Some(key), body);
    match function(aws).handle(request).await {
        Ok(response) => {
            let body = serde_json::from_slice(response.body().as_ref()).unwrap_or_default();
            (response.status().as_u16(), body)
        }
        Err(failure) => (failure.status().as_u16(), json!(format!("{failure:?}"))),
    }
}

/// The names of the topics that a client finds in its list.
async fn listed(aws: &Aws, key: &str) -> Vec<String> {
    let request = request("GET", "/topics", "/topics", Some(key), &Value::Null);
    let response = function(aws).handle(request).await.unwrap();
    let body: Value = serde_json::from_slice(response.body().as_ref()).unwrap();
    let items = body["items"].as_array().unwrap().iter();
    items
        .map(|topic| topic["name"].as_str().unwrap().to_owned())
        .collect()
}

/// A publisher `key`, another one `pub2`, an operator `op`, and customers `gold` and `plain`, of which one has a label.
async fn parties() -> (Aws, ClientId) {
    let aws = account().await;
    aws.add_client("pub2", true).await;
    aws.add_operator("op").await;
    let gold = aws.add_client("gold", false).await;
    aws.add_client("plain", false).await;
    aws.label(&gold, &["gold"]).await;
    (aws, gold)
}

fn with(name: &str, more: &Value) -> Value {
    let mut definition = definition(name);
    let more = more.as_object().unwrap().clone();
    definition.as_object_mut().unwrap().extend(more);
    definition
}

#[tokio::test]
async fn who_may_not_see_a_topic_finds_none() {
    let (aws, gold) = parties().await;
    let named = json!({"access": {"clients": [gold.as_str()]}});
    for (name, access) in [
        ("named", named),
        ("labelled", json!({"access": {"labels": ["gold"]}})),
    ] {
        let made = create(&aws, &with(name, &access)).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
        let id = made.id();
        for (key, status) in [
            ("key", 200),
            ("op", 200),
            ("gold", 200),
            ("plain", 404),
            ("pub2", 404),
        ] {
            for path in [&id, name] {
                let (got, body) = call(&aws, key, "GET", path, &Value::Null).await;
                assert_eq!(got, status, "{key}: {body}");
            }
        }
        for method in ["PUT", "PATCH", "DELETE"] {
            let (got, said) = call(&aws, "pub2", method, &id, &definition("mine")).await;
            assert_eq!(got, 404, "{method}");
            assert!(
                said.to_string().contains("there is no such topic"),
                "{said}"
            );
        }
    }
    create(&aws, &definition("open")).await;
    for (key, found) in [
        ("key", vec!["named", "labelled", "open"]),
        ("op", vec!["named", "labelled", "open"]),
        ("gold", vec!["named", "labelled", "open"]),
        ("plain", vec!["open"]),
        ("pub2", vec!["open"]),
    ] {
        assert_eq!(listed(&aws, key).await, found, "{key}");
    }
}

#[tokio::test]
async fn a_topic_is_changed_by_its_publishers_and_operators_who_alone_see_its_notes() {
    let (aws, _) = parties().await;
    let mut notes = definition("orders");
    notes["publisher"]["config"] = json!({"team": "sales"});
    let made = create(&aws, &notes).await;
    let id = made.id();
    let publishers = made.body["publishers"]["clients"].as_array().unwrap();
    assert_eq!(publishers.len(), 1);
    for (key, sees) in [
        ("key", true),
        ("op", true),
        ("gold", false),
        ("pub2", false),
    ] {
        let (_, body) = call(&aws, key, "GET", &id, &Value::Null).await;
        assert_eq!(body["publisher"].get("config").is_some(), sees, "{key}");
        assert_eq!(body.get("access").is_some(), sees, "{key}");
        assert_eq!(body.get("publishers").is_some(), sees, "{key}");
    }
    for method in ["PUT", "PATCH", "DELETE"] {
        let (status, _) = call(&aws, "pub2", method, &id, &definition("mine")).await;
        assert_eq!(status, 403, "{method}");
    }
    let everyone = json!({"publishers": "everyone"});
    let (status, body) = call(&aws, "op", "PATCH", &id, &everyone).await;
    assert_eq!((status, &body["publishers"]), (200, &json!("everyone")));
    let (status, body) = call(&aws, "pub2", "PUT", &id, &definition("renamed")).await;
    assert_eq!((status, &body["publishers"]), (200, &json!("everyone")));
    // A topic of an earlier version names nobody.
    aws.add_topic(
        "6f1a8c9e-3b1d-4c7a-9a55-0d5f6f1f2a11",
        definition("earlier"),
    )
    .await;
    let (status, _) = call(&aws, "pub2", "DELETE", "earlier", &Value::Null).await;
    assert_eq!(status, 204);
}

#[tokio::test]
async fn access_stays_as_it_is_unless_it_is_said() {
    let (aws, _) = parties().await;
    let made = create(&aws, &with("a", &json!({"access": {"labels": ["gold"]}}))).await;
    let id = made.id();
    let (_, body) = call(&aws, "key", "PUT", &id, &definition("b")).await;
    assert_eq!(body["access"], json!({"labels": ["gold"]}));
    let (_, shown) = call(&aws, "key", "GET", &id, &Value::Null).await;
    assert_eq!(call(&aws, "key", "PUT", &id, &shown).await, (200, shown));
    for bad in [
        json!({"access": null}),
        json!({"publishers": null}),
        json!({"access": "nobody"}),
        json!({"access": {"clients": []}}),
        json!({"access": {"labels": ["Gold"]}}),
        json!({"access": []}),
        json!({"publishers": {"labels": ["gold"]}}),
        json!({"publishers": ["cl_1"]}),
    ] {
        let (status, said) = call(&aws, "key", "PATCH", &id, &bad).await;
        assert_eq!(status, 400, "{bad}: {said}");
        let field = bad.as_object().unwrap().keys().next().unwrap();
        assert!(said.to_string().contains(field), "{bad}: {said}");
    }
    let (_, body) = call(&aws, "key", "PATCH", &id, &json!({"access": "everyone"})).await;
    assert_eq!(body["access"], json!("everyone"));
}

#[tokio::test]
async fn a_change_of_access_is_queued_wherever_the_function_is_killed() {
    let id = "6f1a8c9e-3b1d-4c7a-9a55-0d5f6f1f2a11";
    let change = json!({"access": {"labels": ["gold"]}});
    for effect in [Effect::None, Effect::Done] {
        for n in 1.. {
            let aws = account().await;
            aws.add_topic(id, definition("a")).await;
            aws.calls();
            let work = call(&aws, "key", "PATCH", id, &change);
            let ended = aws.killed_at(n, effect, work).await;
            let (status, body) = call(&aws, "key", "PATCH", id, &change).await;
            assert_eq!((status, &body["access"]), (200, &change["access"]));
            let queued = aws.messages::<ClientTask>("ClientTasksQueue").len();
            assert!((1..=2).contains(&queued), "{n} {effect:?}: {queued}");
            // Nothing is left to do.
            call(&aws, "key", "PATCH", id, &change).await;
            assert_eq!(aws.messages::<ClientTask>("ClientTasksQueue").len(), queued);
            if ended.is_some() {
                assert_eq!(queued, 1);
                break;
            }
        }
    }
    let aws = account().await;
    aws.add_topic(id, definition("a")).await;
    aws.fail("SendMessage", Fault::Throttled, 10);
    let (status, _) = call(&aws, "key", "PATCH", id, &change).await;
    assert_eq!(status, 500);
    aws.heal();
    assert_eq!(call(&aws, "key", "PATCH", id, &change).await.0, 200);
    assert_eq!(aws.messages::<ClientTask>("ClientTasksQueue").len(), 1);
    // What has nothing to do with access queues nothing.
    call(&aws, "key", "PATCH", id, &json!({"name": "b"})).await;
    assert_eq!(aws.messages::<ClientTask>("ClientTasksQueue").len(), 1);
}
