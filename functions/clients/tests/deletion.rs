//! Clients that are deleted, with all that belongs to them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::pin::pin;
use std::time::SystemTime;

use bellwire_doubles::{Aws, Effect, Fault};
use bellwire_runtime::deadline::{self, Steps};
use serde_json::{Value, json};
use support::{account, belongings, call, customer, left_of, lifecycle, stands_still, subscribe};
use tokio::join;

const ACME: &str = "/v1/clients/acme";

async fn delete(aws: &Aws) -> (u16, Value) {
    call(aws, "DELETE", ACME, Value::Null).await
}

#[tokio::test]
async fn a_client_is_deleted_with_all_that_belongs_to_it_and_nothing_else() {
    let aws = account().await;
    let (id, other) = (customer(&aws, "acme").await, customer(&aws, "other").await);
    belongings(&aws, &id).await;
    belongings(&aws, &other).await;
    let others = left_of(&aws, &other).await;
    assert!(left_of(&aws, &id).await.len() > 15);
    assert_eq!(delete(&aws).await, (204, Value::Null));
    assert_eq!(left_of(&aws, &id).await, Vec::<Value>::new());
    assert_eq!(left_of(&aws, &other).await.len(), others.len());
    assert_eq!(delete(&aws).await.0, 404);
    // The message comes later, and finds nothing to do.
    let steps = lifecycle(&aws).complete(&id, &|_, _| {}).await.unwrap();
    assert_eq!(steps, Steps::Done);
    // The same id is a new client.
    let (status, client) = call(&aws, "PUT", ACME, json!({})).await;
    assert_eq!((status, &client["client_id"]), (201, &json!(id)));
    assert_eq!(client["disabled"], json!(false));
}

#[tokio::test]
async fn a_deletion_that_is_killed_anywhere_is_completed_by_its_message_and_by_a_repetition() {
    for effect in [Effect::None, Effect::Done] {
        for by_message in [true, false] {
            for n in 1.. {
                let aws = account().await;
                let id = customer(&aws, "acme").await;
                belongings(&aws, &id).await;
                let killed = aws.killed_at(n, effect, delete(&aws)).await;
                let begun = aws
                    .items("ClientsTable")
                    .await
                    .iter()
                    .all(|it| it["client_id"] != json!(id) || !it["deleting_since"].is_null());
                if by_message && begun {
                    assert!(!aws.sent("ClientTasksQueue").is_empty());
                    let steps = lifecycle(&aws).complete(&id, &|_, _| {}).await.unwrap();
                    assert_eq!(steps, Steps::Done);
                } else {
                    assert!([204, 404].contains(&delete(&aws).await.0));
                }
                assert_eq!(left_of(&aws, &id).await, Vec::<Value>::new(), "{n}");
                if killed.is_some() {
                    break;
                }
            }
        }
    }
}

#[tokio::test]
async fn a_client_that_is_being_deleted_can_not_be_created_changed_or_given_anything() {
    let aws = account().await;
    let id = customer(&aws, "acme").await;
    belongings(&aws, &id).await;
    let (status, shown) = deadline::until(SystemTime::now(), delete(&aws)).await;
    assert_eq!((status, &shown["disabled"]), (202, &json!(true)));
    assert!(shown["deleting_since"].is_string(), "{shown}");
    for (method, path, body) in [
        ("PUT", ACME.to_owned(), json!({})),
        ("PUT", ACME.to_owned(), json!({"name": "A"})),
        ("PATCH", ACME.to_owned(), json!({})),
        ("PATCH", ACME.to_owned(), json!({"disabled": false})),
        ("POST", format!("{ACME}/keys"), json!({})),
        ("POST", format!("{ACME}/secret/rotate"), json!({})),
    ] {
        let (status, why) = call(&aws, method, &path, body).await;
        assert!(
            status == 409 && why.to_string().contains("being deleted"),
            "{method} {why}"
        );
    }
    // Its keys don't work, and no subscription can be made for it.
    let keys = aws.items("KeysTable").await;
    let own = keys
        .iter()
        .find(|key| key["client_id"] == json!(id))
        .unwrap();
    assert_eq!(own["client_disabled"], json!(true));
    let clients = aws.app("Clients", &[]).clients().unwrap();
    let client = clients.get(&id).await.unwrap().unwrap();
    assert!(client.disabled_at.is_some());
    assert_eq!(call(&aws, "GET", ACME, Value::Null).await.0, 200);
    assert_eq!(delete(&aws).await.0, 204);
    assert_eq!(left_of(&aws, &id).await, Vec::<Value>::new());
}

#[tokio::test]
async fn of_a_deletion_and_another_request_at_once_the_deletion_counts() {
    for body in [
        json!({"disabled": false}),
        json!({"name": "A"}),
        json!({"labels": ["eu"]}),
    ] {
        let aws = account().await;
        let id = customer(&aws, "acme").await;
        belongings(&aws, &id).await;
        let (deleted, changed) = join!(delete(&aws), call(&aws, "PATCH", ACME, body));
        assert_eq!(deleted.0, 204);
        assert!([200, 404, 409].contains(&changed.0), "{changed:?}");
        assert_eq!(left_of(&aws, &id).await, Vec::<Value>::new());
    }
    // Two deletions.
    let aws = account().await;
    let id = customer(&aws, "acme").await;
    belongings(&aws, &id).await;
    let (a, b) = join!(delete(&aws), delete(&aws));
    assert!(
        [a.0, b.0].iter().all(|it| [204, 404].contains(it)),
        "{a:?} {b:?}"
    );
    assert_eq!(left_of(&aws, &id).await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_request_that_comes_late_does_not_undo_a_deletion() {
    for n in 1.. {
        let aws = account().await;
        let id = customer(&aws, "acme").await;
        let clients = aws.app("Clients", &[]).clients().unwrap();
        let enable = json!({"disabled": false, "name": "A"});
        let mut late = pin!(call(&aws, "PATCH", ACME, enable));
        if !stands_still(&aws, n, late.as_mut()).await {
            break;
        }
        subscribe(&aws, &id, "s1").await;
        let begun = deadline::until(SystemTime::now(), delete(&aws)).await;
        assert_eq!(begun.0, 202);
        assert!([200, 409].contains(&late.await.0));
        // Whoever makes steps makes those of the deletion.
        if let Some(client) = clients.get(&id).await.unwrap() {
            assert!(client.disabled_at.is_some() && client.deleting_since.is_some());
            assert_eq!(delete(&aws).await.0, 204);
        }
        assert_eq!(left_of(&aws, &id).await, Vec::<Value>::new());
    }
}

#[tokio::test]
async fn a_put_right_after_a_deletion_is_not_undone_by_what_is_left_of_it() {
    let aws = account().await;
    let id = customer(&aws, "acme").await;
    belongings(&aws, &id).await;
    let lifecycle = lifecycle(&aws);
    let clients = aws.app("Clients", &[]).clients().unwrap();
    let begun = deadline::until(SystemTime::now(), delete(&aws)).await;
    assert_eq!(begun.0, 202);
    let before = clients.get(&id).await.unwrap().unwrap();
    assert_eq!(delete(&aws).await.0, 204);
    assert_eq!(call(&aws, "PUT", ACME, json!({})).await.0, 201);
    assert_eq!(
        call(&aws, "POST", &format!("{ACME}/keys"), json!({}))
            .await
            .0,
        201
    );
    subscribe(&aws, &id, "new").await;
    // Whoever had begun the deletion comes to its last step, and the message arrives.
    clients.end_deletion(&before).await.unwrap();
    let steps = lifecycle.complete(&id, &|_, _| {}).await.unwrap();
    assert_eq!(steps, Steps::Done);
    let (status, client) = call(&aws, "GET", ACME, Value::Null).await;
    assert_eq!((status, client["keys"].as_array().unwrap().len()), (200, 1));
    assert_eq!(aws.items("SubscriptionsTable").await.len(), 1);
}

#[tokio::test]
async fn what_the_tables_leave_out_is_removed_all_the_same() {
    let aws = account().await;
    let id = customer(&aws, "acme").await;
    belongings(&aws, &id).await;
    aws.fail("BatchWriteItem", Fault::Partial, 3);
    aws.fail("BatchWriteItem", Fault::Throttled, 2);
    aws.fail("TransactWriteItems", Fault::LostAnswer, 2);
    assert_eq!(delete(&aws).await.0, 204);
    assert_eq!(left_of(&aws, &id).await, Vec::<Value>::new());
}

#[tokio::test]
async fn without_its_message_no_deletion_begins() {
    let aws = account().await;
    customer(&aws, "acme").await;
    aws.fail("SendMessage", Fault::Throttled, 10);
    assert_eq!(delete(&aws).await.0, 500);
    let (_, client) = call(&aws, "GET", ACME, Value::Null).await;
    assert_eq!(client["disabled"], json!(false));
}
