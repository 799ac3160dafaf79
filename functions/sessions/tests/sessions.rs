//! Sessions: how they begin, what they are good for, and how they end.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use bellwire_api::Failure;
use bellwire_domain::{ClientId, Secret};
use bellwire_doubles::{Aws, Effect, request};
use bellwire_store::{ApiKey, ClientChange};
use lambda_http::Body;
use lambda_http::http::Response;
use serde_json::{Value, json};
use sessions::SessionsFunction;
use time::{Duration, OffsetDateTime};

const TABLES: [&str; 2] = ["ClientsTable", "SignInsTable"];
const LINKS: &str = "/v1/portal-links";
const ALLOWED: &str = "https://app.example.com";

/// An account with an operator `op` and a customer `acme`.
async fn account() -> (Aws, ClientId) {
    let aws = Aws::with_tables(&TABLES).await;
    aws.add_operator("op").await;
    let id = aws.add_client("acme", false).await;
    (aws, id)
}

fn function(aws: &Aws) -> SessionsFunction {
    let app = aws.app("Sessions", &[("PORTAL_RETURN_ORIGINS", ALLOWED)]);
    SessionsFunction::new(&app).unwrap()
}

fn answered(result: Result<Response<Body>, Failure>) -> (u16, Value) {
    match result {
        Ok(response) => {
            let body = serde_json::from_slice(response.body().as_ref()).unwrap_or_default();
            (response.status().as_u16(), body)
        }
        Err(failure) => (failure.status().as_u16(), json!(format!("{failure:?}"))),
    }
}

/// What a process that has nothing in its memory answers.
async fn call(aws: &Aws, method: &str, path: &str, key: Option<&str>, body: Value) -> (u16, Value) {
    let request = request(method, path, path, key, &body);
    answered(function(aws).handle(request).await)
}

async fn by_key(aws: &Aws, key: &str) -> (u16, Value) {
    call(aws, "POST", "/sessions", None, json!({ "api_key": key })).await
}

async fn signed_in(aws: &Aws, key: &str) -> String {
    let (status, made) = by_key(aws, key).await;
    assert_eq!(status, 201, "{made}");
    made["token"].as_str().unwrap().to_owned()
}

/// The status that a session's token gets.
async fn shown(aws: &Aws, token: &str) -> u16 {
    call(aws, "GET", "/sessions/current", Some(token), Value::Null)
        .await
        .0
}

/// The token of a new link for a client.
async fn link(aws: &Aws, client: &str) -> String {
    let (status, made) = call(
        aws,
        "POST",
        LINKS,
        Some("op"),
        json!({ "client_id": client }),
    )
    .await;
    assert_eq!(status, 201, "{made}");
    let url = made["url"].as_str().unwrap();
    let (page, token) = url.split_once("?token=").unwrap();
    assert_eq!(page, "https://api.example.com/console/link");
    token.to_owned()
}

async fn open(aws: &Aws, link: &str) -> (u16, Value) {
    call(aws, "POST", "/sessions", None, json!({ "link": link })).await
}

async fn change(aws: &Aws, id: &ClientId, disabled: bool) {
    let clients = aws.app("Sessions", &[]).clients().unwrap();
    let known = clients.get(id).await.unwrap().unwrap();
    let change = ClientChange {
        disabled: Some(disabled),
        ..ClientChange::default()
    };
    let now = OffsetDateTime::now_utc();
    clients.change(&known, &change, now).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_key_begins_a_session_that_stands_for_its_client() {
    let (aws, id) = account().await;
    let (status, made) = by_key(&aws, " acme\n").await;
    assert_eq!((status, &made["operator"]), (201, &json!(false)));
    let token = made["token"].as_str().unwrap();
    assert!(token.starts_with("bwt_") && token.len() == 47);
    let (status, shown) = call(&aws, "GET", "/sessions/current", Some(token), Value::Null).await;
    assert_eq!(status, 200);
    assert_eq!(
        (&shown["client_id"], &shown["name"]),
        (&json!(id.as_str()), &json!("acme"))
    );
    // Its token is nowhere, only its hash; and the key's other uses are as before.
    let stored = serde_json::to_string(&aws.items("KeysTable").await).unwrap();
    assert!(!stored.contains(token));
    // A session doesn't begin another.
    assert_eq!(by_key(&aws, token).await.0, 401);
}

#[tokio::test]
async fn a_session_ends_by_signing_out() {
    let (aws, _) = account().await;
    let (one, other) = (signed_in(&aws, "acme").await, signed_in(&aws, "acme").await);
    for _ in 0..2 {
        let (status, _) = call(&aws, "DELETE", "/sessions/current", Some(&one), Value::Null).await;
        assert_eq!(status, 204);
    }
    assert_eq!(
        (shown(&aws, &one).await, shown(&aws, &other).await),
        (401, 200)
    );
    // An API key isn't removed so.
    let (status, _) = call(
        &aws,
        "DELETE",
        "/sessions/current",
        Some("acme"),
        Value::Null,
    )
    .await;
    assert_eq!((status, shown(&aws, "acme").await), (204, 200));
}

#[tokio::test]
async fn disabling_a_client_ends_its_sessions_for_good() {
    let (aws, id) = account().await;
    let token = signed_in(&aws, "acme").await;
    let pending = link(&aws, id.as_str()).await;
    change(&aws, &id, true).await;
    assert_eq!(shown(&aws, &token).await, 401);
    assert_eq!(open(&aws, &pending).await.0, 404);
    assert_eq!(by_key(&aws, "acme").await.0, 401);
    change(&aws, &id, false).await;
    assert_eq!(shown(&aws, &token).await, 401);
    assert_eq!(open(&aws, &pending).await.0, 404);
    let again = signed_in(&aws, "acme").await;
    assert_eq!(shown(&aws, &again).await, 200);
}

#[tokio::test]
async fn revoking_a_key_ends_the_sessions_that_it_began_and_no_others() {
    let (aws, id) = account().await;
    let keys = aws.app("Sessions", &[]).keys().unwrap();
    let clients = aws.app("Sessions", &[]).clients().unwrap();
    let client = clients.get(&id).await.unwrap().unwrap();
    let now = OffsetDateTime::now_utc();
    let second = ApiKey::new(&client, &Secret::new("second"), "second", now);
    keys.add(&second, None).await.unwrap();
    let (first, other) = (
        signed_in(&aws, "acme").await,
        signed_in(&aws, "second").await,
    );
    let client = clients.get(&id).await.unwrap().unwrap();
    keys.revoke(&client, &second.key_sha256).await.unwrap();
    assert_eq!(
        (shown(&aws, &first).await, shown(&aws, &other).await),
        (200, 401)
    );
}

#[tokio::test]
async fn a_session_ends_by_itself() {
    let (aws, id) = account().await;
    let clients = aws.app("Sessions", &[]).clients().unwrap();
    let client = clients.get(&id).await.unwrap().unwrap();
    let now = OffsetDateTime::now_utc();
    let token = Secret::new("bwt_x");
    let session = ApiKey::of_session(&client, &token, None, now);
    let lasts = Duration::hours(8);
    assert!(client.allows(&session, now + lasts - Duration::seconds(2)));
    assert!(!client.allows(&session, now + lasts));
    // One that has ended, and that DynamoDB hasn't removed yet.
    let keys = aws.app("Sessions", &[]).keys().unwrap();
    let ended = ApiKey::of_session(&client, &token, None, now - lasts);
    keys.begin_session(&ended).await.unwrap();
    assert_eq!(shown(&aws, "bwt_x").await, 401);
}

#[tokio::test]
async fn a_link_is_good_once() {
    let (aws, id) = account().await;
    let token = link(&aws, id.as_str()).await;
    let function = function(&aws);
    let open_at_once = |_| {
        let body = json!({ "link": token });
        function.handle(request("POST", "/sessions", "/sessions", None, &body))
    };
    let (a, b) = tokio::join!(open_at_once(1), open_at_once(2));
    let mut statuses = [answered(a).0, answered(b).0];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 404]);
    assert_eq!(open(&aws, &token).await.0, 404);
    // Neither the token of a link nor a made-up one is a key.
    for token in [token.as_str(), "bwl_x", ""] {
        assert_eq!(open(&aws, token).await.0, 404);
        assert_eq!(shown(&aws, token).await, 401);
    }
}

#[tokio::test]
async fn a_link_that_was_killed_half_way_is_used_up_with_a_session_or_not_at_all() {
    for effect in [Effect::None, Effect::Done] {
        for n in 1..=4 {
            let (aws, id) = account().await;
            let token = link(&aws, id.as_str()).await;
            let before = aws.items("KeysTable").await.len();
            let ended = aws.killed_at(n, effect, open(&aws, &token)).await;
            let sessions = aws.items("KeysTable").await.len() - before;
            let again = open(&aws, &token).await.0;
            assert_eq!(
                (sessions, again),
                if sessions == 1 { (1, 404) } else { (0, 201) }
            );
            if n == 4 {
                assert!(ended.is_some(), "the test has to reach every call");
            }
        }
    }
}

#[tokio::test]
async fn what_was_begun_for_a_client_is_not_for_another_with_its_id() {
    let (aws, id) = account().await;
    let (session, pending) = (link(&aws, id.as_str()).await, link(&aws, id.as_str()).await);
    let (_, opened) = open(&aws, &session).await;
    let token = opened["token"].as_str().unwrap();
    assert_eq!(shown(&aws, token).await, 200);
    // It is deleted, and created again.
    let later = OffsetDateTime::now_utc() + Duration::seconds(1);
    let created = bellwire_domain::timestamp::iso(later);
    aws.set_text(
        "ClientsTable",
        &[("client_id", id.as_str())],
        "created_at",
        &created,
    )
    .await;
    assert_eq!(shown(&aws, token).await, 401);
    assert_eq!(open(&aws, &pending).await.0, 404);
}

#[tokio::test]
async fn a_session_by_a_link_is_a_customer_s_alone() {
    let (aws, id) = account().await;
    let publisher = aws.add_client("publisher", true).await;
    let wanted = json!({ "client_id": publisher.as_str() });
    assert_eq!(call(&aws, "POST", LINKS, Some("op"), wanted).await.0, 409);
    // Also if the client becomes something else meanwhile.
    let clients = aws.app("Sessions", &[]).clients().unwrap();
    let mut client = clients.get(&id).await.unwrap().unwrap();
    let now = OffsetDateTime::now_utc();
    let session = ApiKey::of_session(&client, &Secret::new("bwt_x"), None, now);
    assert!(client.allows(&session, now));
    client.publisher = true;
    assert!(!client.allows(&session, now));
}

#[tokio::test]
async fn a_link_expires() {
    let (aws, id) = account().await;
    let token = link(&aws, id.as_str()).await;
    let key = format!("link#{}", Secret::new(token.as_str()).hash().as_str());
    let past = OffsetDateTime::now_utc().unix_timestamp() as u64;
    aws.set_number("SignInsTable", &[("id", &key)], "expires_at", past)
        .await;
    assert_eq!(open(&aws, &token).await.0, 404);
}

#[tokio::test]
async fn links_are_made_by_operators_for_customers() {
    let (aws, id) = account().await;
    let for_client = |client: &str| json!({ "client_id": client });
    let good =
        json!({"client_id": id.as_str(), "theme": "dark", "return_url": format!("{ALLOWED}/x")});
    let (_, made) = call(&aws, "POST", LINKS, Some("op"), good).await;
    let token = made["url"].as_str().unwrap().split_once('=').unwrap().1;
    let (_, opened) = open(&aws, token).await;
    assert_eq!(
        (&opened["theme"], &opened["return_url"]),
        (&json!("dark"), &json!(format!("{ALLOWED}/x")))
    );
    let session = signed_in(&aws, "op").await;
    assert_eq!(
        call(&aws, "POST", LINKS, Some(&session), for_client(id.as_str()))
            .await
            .0,
        201
    );
    let operator = aws.app("Sessions", &[]).clients().unwrap();
    let operator = operator
        .list()
        .await
        .unwrap()
        .into_iter()
        .find(|it| it.operator)
        .unwrap();
    for (key, body, status, field) in [
        (None, for_client(id.as_str()), 401, None),
        (Some("acme"), for_client(id.as_str()), 403, None),
        (Some("op"), for_client("nobody"), 404, None),
        (
            Some("op"),
            for_client(operator.client_id.as_str()),
            409,
            None,
        ),
        (Some("op"), for_client(""), 400, Some("client_id")),
        (Some("op"), for_client("a/b"), 400, Some("client_id")),
        (Some("op"), json!({}), 400, Some("client_id")),
        (Some("op"), json!([]), 400, None),
        (
            Some("op"),
            json!({"client_id": id.as_str(), "x": 1}),
            400,
            Some("x"),
        ),
        (
            Some("op"),
            json!({"client_id": id.as_str(), "theme": "pink"}),
            400,
            Some("theme"),
        ),
        (
            Some("op"),
            json!({"client_id": id.as_str(), "theme": null}),
            400,
            Some("theme"),
        ),
        (
            Some("op"),
            json!({"client_id": id.as_str(), "return_url": "https://x.example"}),
            400,
            Some("return_url"),
        ),
        (
            Some("op"),
            json!({"client_id": id.as_str(), "return_url": "x".repeat(3000)}),
            400,
            Some("return_url"),
        ),
    ] {
        let (found, failure) = call(&aws, "POST", LINKS, key, body.clone()).await;
        assert_eq!(found, status, "{body}");
        if let Some(field) = field {
            assert!(failure.as_str().unwrap().contains(field), "{failure}");
        }
    }
    change(&aws, &id, true).await;
    assert_eq!(
        call(&aws, "POST", LINKS, Some("op"), for_client(id.as_str()))
            .await
            .0,
        409
    );
}

#[tokio::test]
async fn wrong_keys_of_an_address_are_limited_and_right_ones_are_not() {
    let (aws, _) = account().await;
    for _ in 0..20 {
        assert_eq!(by_key(&aws, "acme").await.0, 201);
    }
    // The count may begin again in the middle of this, once.
    let mut statuses = Vec::new();
    for _ in 0..24 {
        statuses.push(by_key(&aws, "wrong").await.0);
    }
    let refused = statuses.iter().filter(|it| **it == 401).count();
    assert!((10..=20).contains(&refused), "{statuses:?}");
    assert_eq!(statuses.last(), Some(&429));
    // Not even a right key is looked at then, from this address; from another it is.
    assert_eq!(by_key(&aws, "acme").await.0, 429);
    let body = json!({"api_key": "acme"});
    let mut elsewhere = request("POST", "/sessions", "/sessions", None, &body);
    let context = elsewhere
        .extensions_mut()
        .get_mut::<lambda_http::request::RequestContext>();
    let Some(lambda_http::request::RequestContext::ApiGatewayV1(context)) = context else {
        panic!("no context");
    };
    context.identity.source_ip = Some("2001:db8::1".to_owned());
    assert_eq!(answered(function(&aws).handle(elsewhere).await).0, 201);
}

#[tokio::test]
async fn what_is_no_sign_in_is_refused() {
    let (aws, _) = account().await;
    for body in [
        Value::Null,
        json!({}),
        json!({"api_key": "acme", "link": "x"}),
        json!({"api_key": 1}),
        json!({"other": "x"}),
    ] {
        let (status, _) = call(&aws, "POST", "/sessions", None, body.clone()).await;
        assert_eq!(status, 400, "{body}");
    }
    for key in ["", " ", "bwk_nobody", &"x".repeat(1000)] {
        assert_eq!(by_key(&aws, key).await.0, 401, "{key}");
    }
}
