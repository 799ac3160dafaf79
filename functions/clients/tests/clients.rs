//! Clients that are created, shown, listed and changed.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use bellwire_doubles::{Aws, Fault, request};
use bellwire_queues::ClientTask;
use serde_json::{Value, json};
use support::{ID, account, answered, call, customer, function, id_of, is_off};
use tokio::join;

const ACME: &str = "/v1/clients/acme";

async fn patch(aws: &Aws, body: Value) -> (u16, Value) {
    call(aws, "PATCH", ACME, body).await
}

#[tokio::test]
async fn a_put_creates_a_client_and_the_next_one_changes_what_it_names() {
    let aws = account().await;
    let body = json!({"name": "Acme Inc.", "labels": ["plan:gold", "eu"]});
    let path = "/v1/clients/acme";
    let put = request("PUT", ID, path, Some("op"), &body);
    let response = function(&aws).handle(put).await.unwrap();
    assert_eq!(response.headers()["location"], "/v1/clients/acme");
    let (status, made) = answered(Ok(response));
    assert_eq!(status, 201);
    let created_at = &made["created_at"];
    let expected = json!({
        "client_id": id_of("acme"), "external_id": "acme", "name": "Acme Inc.", "labels": ["eu", "plan:gold"],
        "publisher": false, "operator": false, "disabled": false, "created_at": created_at, "keys": [],
    });
    assert_eq!(made, expected);
    for (body, change) in [
        (json!({}), json!({})),
        (json!({"name": "Acme"}), json!({"name": "Acme"})),
        (json!({"labels": []}), json!({"labels": []})),
    ] {
        let mut expected = expected.clone();
        // What an earlier round has changed stays.
        if body != json!({}) {
            expected["name"] = json!("Acme");
        }
        expected
            .as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        assert_eq!(call(&aws, "PUT", path, body).await, (200, expected.clone()));
        for path in [
            "/v1/clients/acme".to_owned(),
            format!("/v1/clients/{}", id_of("acme")),
        ] {
            assert_eq!(
                call(&aws, "GET", &path, Value::Null).await,
                (200, expected.clone())
            );
        }
    }
    let (_, unnamed) = call(&aws, "PUT", "/v1/clients/a%3Ab", json!({})).await;
    assert_eq!(
        (&unnamed["name"], &unnamed["external_id"]),
        (&json!("a:b"), &json!("a:b"))
    );
}

#[tokio::test]
async fn only_an_operator_may_do_anything() {
    let aws = account().await;
    aws.add_client("pub", true).await;
    aws.add_client("customer", false).await;
    for (key, status) in [
        (Some("pub"), 403),
        (Some("customer"), 403),
        (Some("x"), 401),
        (None, 401),
    ] {
        for (method, resource, path) in [
            ("GET", "/v1/clients", "/v1/clients"),
            ("GET", ID, ACME),
            ("PUT", ID, ACME),
            ("PATCH", ID, ACME),
            ("DELETE", ID, ACME),
            (
                "POST",
                "/v1/clients/{clientId}/keys",
                "/v1/clients/acme/keys",
            ),
            (
                "DELETE",
                "/v1/clients/{clientId}/keys/{keyId}",
                "/v1/clients/acme/keys/k",
            ),
            (
                "POST",
                "/v1/clients/{clientId}/secret/rotate",
                "/v1/clients/acme/secret/rotate",
            ),
        ] {
            let request = request(method, resource, path, key, &json!({}));
            let answer = answered(function(&aws).handle(request).await);
            assert_eq!(answer.0, status, "{method} {path} {key:?}");
        }
    }
    assert_eq!(aws.items("ClientsTable").await.len(), 3);
}

#[tokio::test]
async fn an_operator_can_be_read_and_not_changed() {
    let aws = account().await;
    let other = aws.add_operator("other").await;
    let before = aws.items("ClientsTable").await;
    let path = format!("/v1/clients/{other}");
    let (status, found) = call(&aws, "GET", &path, Value::Null).await;
    assert_eq!((status, &found["operator"]), (200, &json!(true)));
    let key = format!("{path}/keys/{}", found["keys"][0]["id"].as_str().unwrap());
    for (method, path) in [
        ("PATCH", path.clone()),
        ("DELETE", path.clone()),
        ("POST", format!("{path}/keys")),
        ("DELETE", key),
        ("POST", format!("{path}/secret/rotate")),
    ] {
        let (status, why) = call(&aws, method, &path, json!({})).await;
        assert_eq!(status, 403, "{method} {path}");
        assert!(why.to_string().contains("bellwire clients"), "{why}");
    }
    assert_eq!(aws.items("ClientsTable").await, before);
    // A publisher can be.
    let publisher = aws.add_client("pub", true).await;
    let path = format!("/v1/clients/{publisher}");
    assert_eq!(
        call(&aws, "PATCH", &path, json!({"disabled": true}))
            .await
            .0,
        200
    );
    assert!(is_off(&aws, &publisher).await);
}

#[tokio::test]
async fn each_bad_field_is_named() {
    let aws = account().await;
    customer(&aws, "acme").await;
    let internal = aws.add_client("unnamed", false).await;
    let many: Vec<String> = (0..21).map(|n| format!("l{n}")).collect();
    for (method, body, field) in [
        ("PUT", json!({"name": ""}), "name"),
        ("PUT", json!({"name": "  "}), "name"),
        ("PUT", json!({"name": null}), "name"),
        ("PUT", json!({"name": 1}), "name"),
        ("PUT", json!({"name": "x".repeat(129)}), "name"),
        ("PUT", json!({"name": "a\nb"}), "name"),
        ("PUT", json!({"labels": null}), "labels"),
        ("PUT", json!({"labels": "eu"}), "labels"),
        ("PUT", json!({"labels": ["EU"]}), "labels[0]"),
        ("PUT", json!({"labels": [1]}), "labels[0]"),
        ("PUT", json!({"labels": many}), "labels"),
        ("PUT", json!({"disabled": true}), "disabled"),
        ("PUT", json!({"operator": true}), "operator"),
        ("PUT", json!({"publisher": true}), "publisher"),
        ("PATCH", json!({"name": ""}), "name"),
        ("PATCH", json!({"labels": ["a b"]}), "labels[0]"),
        ("PATCH", json!({"disabled": null}), "disabled"),
        ("PATCH", json!({"disabled": "yes"}), "disabled"),
        ("PATCH", json!({"operator": true}), "operator"),
        ("PATCH", json!({"external_id": "b"}), "external_id"),
    ] {
        let before = aws.items("ClientsTable").await;
        let (status, why) = call(&aws, method, ACME, body.clone()).await;
        assert_eq!(status, 400, "{method} {body} {why}");
        assert!(
            why.to_string().contains(&format!("{field}: ")),
            "{method} {body} {why}"
        );
        assert_eq!(aws.items("ClientsTable").await, before);
    }
    for id in ["a%20b", "%2e%2e", "ä", internal.as_str(), &"x".repeat(129)] {
        let (status, why) = call(&aws, "PUT", &format!("/v1/clients/{id}"), json!({})).await;
        assert_eq!(status, 400, "{id} {why}");
        assert!(why.to_string().contains("clientId: "), "{why}");
    }
    for id in ["a%20b", "nobody", "cl_aaaaaaaaaaaaaaaaaaaaaaaa"] {
        for method in ["GET", "PATCH", "DELETE"] {
            let answer = call(&aws, method, &format!("/v1/clients/{id}"), json!({})).await;
            assert_eq!(answer.0, 404, "{method} {id}");
        }
    }
    // It has no external id to be called by.
    let path = format!("/v1/clients/{internal}");
    let (status, why) = call(&aws, "PATCH", &path, json!({"name": null})).await;
    assert_eq!(status, 400, "{why}");
}

#[tokio::test]
async fn a_patch_changes_what_it_names_and_null_takes_away() {
    let aws = account().await;
    call(
        &aws,
        "PUT",
        ACME,
        json!({"name": "Acme Inc.", "labels": ["eu"]}),
    )
    .await;
    let (_, before) = call(&aws, "GET", ACME, Value::Null).await;
    assert_eq!(patch(&aws, json!({})).await, (200, before));
    let (status, after) = patch(
        &aws,
        json!({"name": "A", "labels": ["b", "a", "b"], "disabled": true}),
    )
    .await;
    assert_eq!(
        (status, &after["name"], &after["labels"]),
        (200, &json!("A"), &json!(["a", "b"]))
    );
    assert_eq!(after["disabled"], json!(true));
    // It stays disabled since the first time.
    let (_, again) = patch(&aws, json!({"disabled": true})).await;
    assert_eq!(again, after);
    let (_, after) = patch(
        &aws,
        json!({"name": null, "labels": null, "disabled": false}),
    )
    .await;
    assert_eq!(
        (&after["name"], &after["labels"]),
        (&json!("acme"), &json!([]))
    );
    assert_eq!(
        (&after["disabled"], &after["disabled_at"]),
        (&json!(false), &Value::Null)
    );
}

#[tokio::test]
async fn labels_that_are_named_have_access_looked_at() {
    let aws = account().await;
    let of_labels = |aws: &Aws| {
        let tasks = aws.messages::<ClientTask>("ClientTasksQueue").into_iter();
        tasks
            .filter(|task| matches!(task, ClientTask::LabelsChanged { .. }))
            .count()
    };
    call(&aws, "PUT", ACME, json!({"labels": ["eu"]})).await;
    assert_eq!(of_labels(&aws), 0);
    for (n, body) in [json!({"labels": ["eu"]}), json!({"labels": null})]
        .into_iter()
        .enumerate()
    {
        patch(&aws, body).await;
        assert_eq!(of_labels(&aws), n + 1);
    }
    call(&aws, "PUT", ACME, json!({"labels": []})).await;
    assert_eq!(of_labels(&aws), 3);
    patch(&aws, json!({"name": "A"})).await;
    assert_eq!(of_labels(&aws), 3);
    // If the message can't be sent, nobody is told that it is done.
    aws.fail("SendMessage", Fault::Throttled, 10);
    assert_eq!(patch(&aws, json!({"labels": ["us"]})).await.0, 500);
}

#[tokio::test]
async fn the_list_has_pages_and_is_searched_and_sorted() {
    let aws = account().await;
    for n in 0..30 {
        let body = json!({"labels": [if n % 2 == 0 { "even" } else { "odd" }]});
        call(&aws, "PUT", &format!("/v1/clients/customer-{n:02}"), body).await;
    }
    let list = async |query: &[(&str, &str)]| {
        use lambda_http::RequestExt;
        let request = request(
            "GET",
            "/v1/clients",
            "/v1/clients",
            Some("op"),
            &Value::Null,
        );
        let query: std::collections::HashMap<String, String> = query
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        answered(
            function(&aws)
                .handle(request.with_query_string_parameters(query))
                .await,
        )
    };
    let mut found = Vec::new();
    for page in ["1", "2", "3", "4"] {
        let (status, body) = list(&[("page", page), ("pageSize", "10")]).await;
        assert_eq!(status, 200);
        found.extend(body["items"].as_array().unwrap().clone());
    }
    // The operator is among them.
    assert_eq!(found.len(), 31);
    assert!(found.iter().all(|it| it.get("keys").is_none()));
    let names = |body: &Value| -> Vec<String> {
        let items = body["items"].as_array().unwrap().iter();
        items
            .map(|it| it["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let (_, body) = list(&[
        ("search", "labels:even"),
        ("sort", "name,DESC"),
        ("pageSize", "2"),
    ])
    .await;
    assert_eq!(names(&body), ["customer-28", "customer-26"]);
    let (_, body) = list(&[("search", "external_id:customer-07")]).await;
    assert_eq!(names(&body), ["customer-07"]);
    for (name, value) in [
        ("page", "0"),
        ("pageSize", "x"),
        ("sort", "labels,ASC"),
        ("search", "("),
    ] {
        assert_eq!(list(&[(name, value)]).await.0, 400, "{name}");
    }
}

#[tokio::test]
async fn of_puts_at_once_one_creates_and_all_succeed() {
    let aws = account().await;
    let function = &function(&aws);
    let put = |name: &str| {
        let body = json!({"name": name});
        let request = request("PUT", ID, ACME, Some("op"), &body);
        async move { answered(function.handle(request).await).0 }
    };
    let (a, b, c) = join!(put("a"), put("b"), put("c"));
    let mut statuses = [a, b, c];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 201]);
    assert_eq!(aws.items("ClientsTable").await.len(), 2);
}

#[tokio::test]
async fn a_put_whose_answer_from_the_table_is_lost_has_created_the_client() {
    let aws = account().await;
    aws.fail("TransactWriteItems", Fault::LostAnswer, 1);
    assert_eq!(call(&aws, "PUT", ACME, json!({})).await.0, 201);
    assert_eq!(call(&aws, "PUT", ACME, json!({})).await.0, 200);
}
