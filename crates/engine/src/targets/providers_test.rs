//! What comes of a provider's answer, over HTTP on loopback.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use bellwire_domain::UrlPolicy;
use bellwire_domain::endpoint::authorization::Authorization;
use bellwire_outbound::{Limits, Sender};
use serde_json::json;

use crate::targets::access_token::AccessTokens;

/// What comes of a provider that answers each request with this status line, header and body, and how
/// often it was asked for two tokens.
async fn asked_twice(status: &str, header: &str, body: &str) -> (Result<String, String>, usize) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/token", listener.local_addr().unwrap());
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status}\r\n{header}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    let (count, counted) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let mut request = String::new();
            while !request.contains("grant_type=client_credentials") {
                let mut part = [0; 4096];
                let length = connection.read(&mut part).unwrap();
                assert!(length > 0, "the request broke off");
                request.push_str(&String::from_utf8_lossy(&part[..length]));
            }
            count.send(()).unwrap();
            connection.write_all(answer.as_bytes()).unwrap();
        }
    });
    let policy = UrlPolicy {
        allow_http: true,
        open_networks: "127.0.0.0/8".parse().unwrap(),
    };
    let said = json!({"type": "oauth2", "clientId": "me", "clientSecret": "hush", "provider": url});
    let said = serde_json::from_value(said).unwrap();
    let authorization = Authorization::check(said, &policy).unwrap();
    let sender = Sender::new(policy, Limits::default()).unwrap();
    let tokens = AccessTokens::new(sender, Duration::from_secs(15));
    let _ = tokens.get(&authorization).await;
    let got = tokens.get(&authorization).await;
    let got = got.map(|header| header.to_str().unwrap().to_owned());
    (
        got.map_err(|refused| refused.to_string()),
        counted.try_iter().count(),
    )
}

#[tokio::test(flavor = "current_thread")]
async fn a_token_is_granted_however_the_provider_writes_it() {
    for (status, header, body, asked) in [
        (
            "200 OK",
            "Content-Type: application/json\r\n",
            r#"{"access_token": "t", "token_type": "BEARER", "expires_in": "3599.9"}"#,
            1,
        ),
        (
            "201 Created",
            "Content-Type: text/javascript\r\n",
            r#"{"access_token": "t", "expires_in": null, "scope": ["a", "b"]}"#,
            1,
        ),
        (
            "200 OK",
            "",
            r#"{"access_token": "t", "expires_in": -1}"#,
            1,
        ),
        (
            "200 OK",
            "",
            r#"{"access_token": "t", "expires_in": "1e99"}"#,
            1,
        ),
        (
            "200 OK",
            "",
            r#"{"access_token": "t", "expires_in": "0"}"#,
            2,
        ),
    ] {
        let got = asked_twice(status, header, body).await;
        assert_eq!(got, (Ok("Bearer t".to_owned()), asked), "{body}");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn without_a_token_the_reason_is_given() {
    for (status, body, reason) in [
        (
            "401 Unauthorized",
            r#"{"error": "invalid_client", "error_description": "Who?"}"#,
            "the provider answered 401 UNAUTHORIZED: invalid_client: Who?",
        ),
        (
            "401 Unauthorized",
            r#"{"error": "invalid_client", "error_description": "not Basic bWU6aHVzaA=="}"#,
            "the provider answered 401 UNAUTHORIZED, in words that repeat credentials",
        ),
        (
            "500 Oops",
            "<html>",
            "the provider answered 500 INTERNAL_SERVER_ERROR",
        ),
        (
            "200 OK",
            "[]",
            "the provider's answer is not that of OAuth 2.0",
        ),
        (
            "200 OK",
            "",
            "the provider's answer is not that of OAuth 2.0",
        ),
        (
            "200 OK",
            r#"{"access_token": ""}"#,
            "the provider's token is empty",
        ),
        (
            "200 OK",
            r#"{"access_token": "t", "token_type": "mac"}"#,
            "the provider's token is not of the type Bearer",
        ),
        (
            "200 OK",
            r#"{"access_token": "t\nx: y"}"#,
            "the token can't be sent in a header",
        ),
    ] {
        let got = asked_twice(status, "", body).await;
        assert_eq!(got, (Err(reason.to_owned()), 2), "{body}");
    }
}
