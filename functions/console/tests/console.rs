//! Pages, and what forms come to, with an API that answers what a test says.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use lambda_http::http::header::COOKIE;
use serde_json::{Value, json};
use support::{Canned, form, get, get_with, post, request, shown};

const ONE: &str = "/subscribers/webhook/subscriptions/{subscriptionId}";

fn webhook() -> Value {
    json!({
        "id": "s1", "topicId": "t1", "topicName": "orders", "webhookUrl": "https://example.com/<b>",
        "webhookHeaders": {"X-A": "[redacted]"}, "subscriptionMode": "event", "status": "active",
        "subscriptionStatus": "active", "createTimestamp": "2026-11-29T10:00:00.000000Z",
    })
}

fn stats() -> Value {
    json!({
        "delivered": 1, "failed": 1, "retried": 0, "latency": {"p50": 5, "p99": 10}, "hours": [],
        "subscriptions": [],
    })
}

/// An API with one subscription to a topic of events.
fn api() -> Canned {
    let api = Canned::default();
    let topic = json!({"id": "t1", "name": "orders", "publisher": {"payload": {"type": "event"}}});
    api.answer(&format!("GET {ONE}"), 200, webhook())
        .answer(&format!("GET {ONE}/stats"), 200, stats())
        .answer("GET /topics/{topicId}", 200, topic.clone())
        .answer("GET /topics", 200, json!({"items": [topic]}))
        .answer("GET /v1/stats", 200, stats())
        .answer(
            "GET /subscribers/webhook/subscriptions",
            200,
            json!({"items": [webhook()]}),
        )
        .answer(
            "GET /subscriptions",
            200,
            json!({"data": {"subscriptions": []}, "pagination": {"next": null}}),
        )
        .answer("GET /v1/subscribe", 200, json!({"subscriptions": []}));
    api
}

#[tokio::test]
async fn whoever_is_not_signed_in_is_asked_to_and_led_back() {
    let api = api();
    for (page, location) in [
        ("overview", "sign-in?to=overview"),
        ("subscriptions/s1", "../sign-in?to=subscriptions%2Fs1"),
        (
            "subscriptions/s1/deliveries",
            "../../sign-in?to=subscriptions%2Fs1%2Fdeliveries",
        ),
    ] {
        let mut request = request("GET", page, &[], None);
        request.headers_mut().remove(COOKIE);
        let answer = shown(&api, request).await;
        assert_eq!((answer.status, answer.location.as_str()), (303, location));
    }
    assert_eq!(api.asked(), []);
    // So is whose session has ended, who learns that.
    api.answer(&format!("GET {ONE}"), 401, json!({"message": "x"}));
    let answer = get(&api, "subscriptions/s1").await;
    assert_eq!(
        answer.location,
        "../sign-in?ended=yes&to=subscriptions%2Fs1"
    );
    let answer = get_with(
        &api,
        "sign-in",
        &[("ended", "yes"), ("to", "subscriptions/s1")],
    )
    .await;
    assert!(answer.text.contains("Your session has ended"));
    // A link of another site to this page ends nothing.
    assert!(answer.cookies.is_empty());
}

#[tokio::test]
async fn signing_in_leads_to_a_page_of_the_console_and_nowhere_else() {
    let api = Canned::default();
    let session = json!({"token": "bwt_new", "name": "Acme", "operator": false});
    api.answer("POST /sessions", 201, session);
    for (to, location) in [
        ("", "overview"),
        ("subscriptions/s1", "subscriptions/s1"),
        ("//evil.example", "overview"),
        ("https://evil.example", "overview"),
    ] {
        let answer = post(&api, "sign-in", &[("api_key", " bwk_x "), ("to", to)]).await;
        assert_eq!((answer.status, answer.location.as_str()), (303, location));
        assert!(
            answer.cookies[0]
                .starts_with("bellwire-session=bwt_new; Max-Age=28800; HttpOnly; Secure")
        );
    }
    assert_eq!(api.asked()[0].1, json!({"api_key": "bwk_x"}));
    // A form of another site is not one of ours.
    let mut foreign = request("POST", "sign-in", &[], Some("api_key=bwk_x"));
    foreign
        .headers_mut()
        .insert("sec-fetch-site", "cross-site".parse().unwrap());
    assert_eq!(shown(&api, foreign).await.status, 403);
    assert_eq!(api.asked(), []);
}

#[tokio::test]
async fn a_wrong_key_and_too_many_of_them_are_explained() {
    let api = Canned::default();
    api.answer("POST /sessions", 401, json!({"message": "x"}));
    let answer = post(&api, "sign-in", &[("api_key", "x")]).await;
    assert_eq!(answer.status, 401);
    assert!(answer.text.contains("no API key that works") && answer.cookies.is_empty());
    api.answer(
        "POST /sessions",
        422,
        json!({"message": "too many wrong keys"}),
    );
    let answer = post(&api, "sign-in", &[("api_key", "x")]).await;
    assert!(answer.text.contains("Too many wrong keys."));
}

#[tokio::test]
async fn the_key_of_an_operator_opens_no_console_of_a_customer() {
    let api = Canned::default();
    api.answer(
        "POST /sessions",
        201,
        json!({"token": "bwt_op", "name": "op", "operator": true}),
    )
    .answer("DELETE /sessions/current", 204, Value::Null);
    let answer = post(&api, "sign-in", &[("api_key", "x")]).await;
    assert_eq!(answer.status, 403);
    assert!(answer.cookies.is_empty());
    // The session that was begun is not left behind.
    let calls = api.calls.lock().unwrap();
    assert_eq!(calls[1].0.as_deref(), Some("bwt_op"));
}

#[tokio::test]
async fn a_form_is_of_its_session_or_does_nothing() {
    let api = api();
    let stranger = form(&[]).replace("form_token=", "form_token=0");
    for body in ["", "form_token=", stranger.as_str()] {
        for page in [
            "subscriptions/s1/delete",
            "subscriptions/s1/rotate",
            "subscriptions/new",
            "callbacks/delete",
            "sign-out",
        ] {
            let answer = shown(&api, request("POST", page, &[], Some(body))).await;
            assert_eq!(answer.status, 403, "{page}");
        }
    }
    assert_eq!(api.asked(), []);
}

#[tokio::test]
async fn each_form_is_a_call_of_the_api() {
    let api = api();
    for call in [
        "POST {ONE}/test",
        "POST {ONE}/enable",
        "POST {ONE}/disable",
        "POST {ONE}/replay",
        "PATCH {ONE}",
        "DELETE {ONE}",
    ] {
        api.answer(&call.replace("{ONE}", ONE), 200, json!({}));
    }
    let times = [
        ("start", "2026-11-29T10:00"),
        ("end", "2026-11-29T11:00"),
        ("zone", "-60"),
    ];
    let stretch =
        json!({"start": "2026-11-29T09:00:00.000000Z", "end": "2026-11-29T10:00:00.000000Z"});
    let s1 = "/subscribers/webhook/subscriptions/s1";
    for (action, fields, method, body, location) in [
        (
            "test",
            &[("test", "{\"a\":1}")][..],
            "POST",
            json!({"a": 1}),
            "../s1?done=tested",
        ),
        ("enable", &[], "POST", Value::Null, "../s1?done=enabled"),
        ("disable", &[], "POST", Value::Null, "../s1?done=disabled"),
        ("replay", &times[..], "POST", stretch, "../s1?done=replayed"),
        (
            "edit",
            &[("url", "https://b.example")],
            "PATCH",
            json!({"webhookUrl": "https://b.example"}),
            "../s1?done=saved",
        ),
        (
            "delete",
            &[],
            "DELETE",
            Value::Null,
            "../../subscriptions?done=deleted",
        ),
    ] {
        let answer = post(&api, &format!("subscriptions/s1/{action}"), fields).await;
        assert_eq!((answer.status, answer.location.as_str()), (303, location));
        let path = if matches!(method, "POST") {
            format!("POST {s1}/{action}")
        } else {
            format!("{method} {s1}")
        };
        assert_eq!(api.asked(), [(path, body)]);
    }
}

#[tokio::test]
async fn what_the_api_refuses_stands_on_the_page_with_what_was_written() {
    let api = api();
    api.answer(
        &format!("PATCH {ONE}"),
        400,
        json!({"message": "webhookUrl: must be https", "field": "webhookUrl"}),
    );
    let answer = post(
        &api,
        "subscriptions/s1/edit",
        &[("url", "ftp://\"x"), ("new_headers", "X-B: <c>")],
    )
    .await;
    assert_eq!(answer.status, 400);
    assert!(answer.text.contains("WebhookUrl: must be https."));
    assert!(
        answer.text.contains("value=\"ftp://&#34;x\"") && answer.text.contains("X-B: &#60;c&#62;")
    );
    for (action, field, problem) in [
        ("edit", ("new_headers", "no colon"), "Line 1 of the headers"),
        ("test", ("test", "{"), "The test is not JSON"),
        ("replay", ("start", "yesterday"), "needs a time"),
    ] {
        let answer = post(&api, &format!("subscriptions/s1/{action}"), &[field]).await;
        assert_eq!(answer.status, 400);
        assert!(answer.text.contains(problem), "{action}");
    }
}

#[tokio::test]
async fn a_new_secret_is_shown_once_and_a_form_sent_twice_makes_one() {
    let api = api();
    api.answer(
        &format!("POST {ONE}/secret/rotate"),
        200,
        json!({"secret": "whsec_new"}),
    );
    let page = get(&api, "subscriptions/s1").await.text;
    let once = page
        .split("name=\"once\" value=\"")
        .nth(3)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    assert!(once.ends_with("-rotate"));
    for _ in 0..2 {
        let answer = post(&api, "subscriptions/s1/rotate", &[("once", once)]).await;
        assert!(answer.text.contains("whsec_new"));
    }
    let calls = api.calls.lock().unwrap();
    let keys: Vec<_> = calls
        .iter()
        .filter_map(|(_, call)| call.once.as_deref())
        .collect();
    assert_eq!(keys, [once, once]);
}

#[tokio::test]
async fn what_comes_from_outside_is_text() {
    let api = api();
    let evil = "<script>alert(1)</script>";
    let attempt = json!({
        "attempt": 1, "requestDatetime": "2026-11-29T10:00:00.000000Z", "requestDuration": "PT0.1S", "requestUrl": evil,
        "requestHeaders": {evil: evil}, "responseCode": 500, "responseHeaders": {evil: "\"><img src=x>"},
        "responseBody": evil, "responseSize": evil, "errorMessage": evil,
    });
    let delivery =
        json!({"id": "d/1\"", "eventType": evil, "state": "failed", "attempts": [attempt]});
    api.answer(
        &format!("GET {ONE}/deliveries"),
        200,
        json!({"items": [delivery], "links": {"next": "/x?cursor=%22%3E%3Cb%3E"}}),
    )
    .answer(
        &format!("GET {ONE}/deliveries/{{deliveryId}}"),
        200,
        delivery,
    );
    for page in [
        "overview",
        "subscriptions",
        "subscriptions/s1",
        "subscriptions/s1/deliveries",
        "subscriptions/s1/deliveries/x",
    ] {
        let answer = get_with(
            &api,
            page,
            &[("search", "<b>"), ("code", "\"><b>"), ("done", "<b>")],
        )
        .await;
        assert!(answer.status < 500, "{page}");
        assert!(
            !answer.text.contains(evil)
                && !answer.text.contains("<img src=x")
                && !answer.text.contains("<b>"),
            "{page}"
        );
    }
    let list = get(&api, "subscriptions/s1/deliveries").await.text;
    assert!(list.contains("/deliveries/d%2F1%22\"") && list.contains("cursor=%22%3E%3Cb%3E\""));
}

#[tokio::test]
async fn what_goes_wrong_is_a_page() {
    let api = api();
    for (status, page, text) in [
        (404, 404, "There is no such page"),
        (429, 503, "Please try again in a moment"),
        (500, 500, "Something went wrong"),
        (0, 500, "Something went wrong"),
        (403, 403, "That isn&#39;t possible"),
    ] {
        api.answer(
            &format!("GET {ONE}"),
            status,
            json!({"message": "secret detail"}),
        );
        let answer = get(&api, "subscriptions/s1").await;
        assert_eq!(answer.status, page);
        assert!(answer.text.contains(text), "{status}: {}", answer.text);
    }
    for page in ["nothing", "subscriptions/a/b/c/d/e", "..", "console-x.css"] {
        assert_eq!(get(&api, page).await.status, 404, "{page}");
    }
    assert_eq!(post(&api, "overview", &[]).await.status, 404);
}

#[tokio::test]
async fn a_page_number_that_is_not_there_is_the_last_one() {
    let api = api();
    let many: Vec<Value> = (0..120)
        .map(|n| {
            let mut it = webhook();
            it["id"] = json!(format!("s{n}"));
            it
        })
        .collect();
    api.answer(
        "GET /subscribers/webhook/subscriptions",
        200,
        json!({ "items": many }),
    );
    for (number, links) in [
        ("1", (false, true)),
        ("2", (true, true)),
        ("9", (true, false)),
        ("x", (false, true)),
        ("-1", (false, true)),
    ] {
        let answer = get_with(&api, "subscriptions", &[("page", number)]).await;
        let found = (
            answer.text.contains("rel=\"prev\""),
            answer.text.contains("rel=\"next\""),
        );
        assert_eq!((answer.status, found), (200, links), "{number}");
        assert!(answer.text.contains("120 in all"));
    }
    let answer = get_with(&api, "subscriptions", &[("search", "S119")]).await;
    assert!(answer.text.contains("1 in all"));
}
