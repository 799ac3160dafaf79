//! `POST /v1/publish`: a test notification to the client's confirmed URLs, so that a receiver can be
//! tried without a query. Each request sends one.

use bellwire_api::{Failure, body};
use bellwire_domain::ClientId;
use bellwire_domain::query::notification::TestNotification;
use bellwire_query_notifications::{Audience, Publisher, Registrations};
use lambda_http::Request;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// The body of the request, which says nothing: a test is the same for all URLs.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TestRequest {}

/// The body of the response.
#[derive(Serialize)]
pub struct Sent {
    message: &'static str,
    /// The number of confirmed URLs.
    published: usize,
}

/// Checks the body: `{}`, or none.
///
/// # Errors
/// 400 for any other body; 413 for one that is too large.
pub fn check(request: &Request) -> Result<(), Failure> {
    if request.body().as_ref().is_empty() {
        return Ok(());
    }
    body::json(request).map(|TestRequest {}| ())
}

/// Sends a test notification to all confirmed URLs of the client, whatever their statuses.
///
/// # Errors
/// 409 when none is confirmed; 500 when SNS or the table fails.
pub async fn send(
    registrations: &Registrations,
    publisher: &Publisher,
    client: &ClientId,
) -> Result<Sent, Failure> {
    let registered = registrations
        .list(client)
        .await
        .map_err(Failure::internal)?;
    let published = registered.iter().filter(|it| it.is_confirmed()).count();
    if published == 0 {
        return Err(none_is_confirmed());
    }
    let test = TestNotification::at(OffsetDateTime::now_utc());
    let message = test.to_json().map_err(Failure::internal)?;
    let audience = publisher
        .publish_to_all(client, message)
        .await
        .map_err(Failure::internal)?;
    match audience {
        Audience::Topic => Ok(Sent {
            message: "A test notification is on its way to every confirmed URL.",
            published,
        }),
        // The topic has been removed since.
        Audience::Nobody => Err(none_is_confirmed()),
    }
}

/// 409: there is nobody to send a test to.
fn none_is_confirmed() -> Failure {
    Failure::conflict("no callback URL is confirmed, so that a test would reach none")
}
