//! One attempt: the request, what came of it, and its record.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use bellwire_outbound::{Answer, Exchange, Sender};
use bellwire_rules::outcome::{AttemptOutcome, outcome, status_message};
use bellwire_rules::timestamp::iso_duration;
use bellwire_store::exchanges::{CallbackRecord, Exchange as Record};
use bellwire_store::subscription::Subscription;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue};
use time::OffsetDateTime;

use crate::access_token::{AccessTokens, TokenRefused};

const REDACTED: &str = "[redacted]";
/// What a request for an access token that ends by its own limit has left to say so.
const MOMENT: Duration = Duration::from_secs(1);
/// The most headers of an answer that are recorded, and the most characters of each.
const MAX_HEADERS: usize = 64;
const MAX_HEADER_NAME: usize = 128;
const MAX_HEADER_LENGTH: usize = 1024;

/// What is sent to an endpoint.
#[derive(Clone, Debug)]
pub struct WebhookRequest<'a> {
    /// To whom.
    pub subscription: &'a Subscription,
    /// The delivery.
    pub delivery_id: String,
    /// The event.
    pub event_id: String,
    /// What it is called.
    pub event_type: &'static str,
    /// The versions that a document's delivery names.
    pub versions: Option<Versions>,
    /// The body.
    pub body: Bytes,
    /// How many attempts have failed before.
    pub attempt: usize,
}

/// By which a receiver knows what is older than what it has, and what it can't apply: a request may
/// take effect after its time-out, when a later one has been acknowledged.
#[derive(Clone, Copy, Debug)]
pub struct Versions {
    /// The version that the body is, or brings about.
    pub version: u64,
    /// The version that a patch changes.
    pub base: Option<u64>,
}

/// What came of an attempt.
#[derive(Debug)]
pub struct AttemptResult {
    /// What it means.
    pub outcome: AttemptOutcome,
    /// Its record.
    pub record: Record,
}

/// Sends letters.
#[derive(Debug)]
pub struct WebhookSender {
    sender: Sender,
    access_tokens: AccessTokens,
    retries: usize,
}

/// A request can't be made as it should be: a defect of ours, or a damaged item.
#[derive(Debug, thiserror::Error)]
pub enum Unsendable {
    /// The secret.
    #[error(transparent)]
    Secret(#[from] bellwire_rules::signature::BadSigningSecret),
    /// A header's name.
    #[error(transparent)]
    Name(#[from] http::header::InvalidHeaderName),
    /// A header's value.
    #[error(transparent)]
    Value(#[from] http::header::InvalidHeaderValue),
}

impl WebhookSender {
    /// By this sender, which gives an exchange so much time, where a delivery has so many retries.
    pub fn new(sender: Sender, exchange: Duration, retries: usize) -> Self {
        Self {
            access_tokens: AccessTokens::new(sender.clone(), exchange + MOMENT),
            sender,
            retries,
        }
    }

    /// Sends a letter, once.
    pub async fn send(&self, request: WebhookRequest<'_>) -> Result<AttemptResult, Unsendable> {
        let subscription = request.subscription;
        let sent_at = OffsetDateTime::now_utc();
        let own = own_headers(&request, sent_at)?;
        let mut headers = own.clone();
        for (name, value) in subscription.webhook_headers.expose() {
            headers.insert(HeaderName::from_bytes(name.as_bytes())?, value.parse()?);
        }
        let mut record = self.record(&request, &own, sent_at);
        let mut token = None;
        if let Some(authorization) = &subscription.authorization {
            match self.access_tokens.get(authorization).await {
                Ok(header) => {
                    headers.insert(AUTHORIZATION, header.clone());
                    token = Some((authorization, header));
                }
                Err(TokenRefused(reason)) => {
                    record.error_message = Some(format!("no access token: {reason}"));
                    let outcome = AttemptOutcome::Failed { leave_alone: None };
                    return Ok(AttemptResult { outcome, record });
                }
            }
        }
        let url = &subscription.webhook_url;
        let exchange = self.sender.post(url, headers, request.body).await;
        if let (Ok(answer), Some((authorization, header))) = (&exchange.outcome, &token)
            && matches!(
                answer.status,
                http::StatusCode::UNAUTHORIZED | http::StatusCode::FORBIDDEN
            )
        {
            self.access_tokens.forget(authorization, header).await;
        }
        Ok(AttemptResult {
            outcome: judge(&exchange),
            record: complete(record, exchange),
        })
    }

    /// The record of a request that is about to be sent.
    fn record(
        &self,
        request: &WebhookRequest<'_>,
        own: &HeaderMap,
        sent_at: OffsetDateTime,
    ) -> Record {
        let subscription = request.subscription;
        let mut shown: BTreeMap<String, String> = own.iter().map(shown_header).collect();
        let secret = subscription.webhook_headers.redacted();
        shown.extend(
            secret
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        if subscription.authorization.is_some() {
            shown.insert("authorization".to_owned(), REDACTED.to_owned());
        }
        let retry = (request.attempt > 0).then_some(request.attempt);
        Record {
            subscription_id: subscription.subscription_id.clone(),
            pipeline_id: request.delivery_id.clone(),
            event_type: request.event_type.to_owned(),
            request_datetime: sent_at,
            request_duration: iso_duration(Duration::ZERO),
            request_url: subscription.webhook_url.clone(),
            request_headers: shown,
            request_retry_attempts: retry,
            request_retry_max_attempts: retry.map(|_| self.retries),
            response_code: None,
            response_headers: BTreeMap::new(),
            response_body: None,
            response_size: None,
            error_message: None,
            callback: subscription.entity().map(|_| CallbackRecord {
                body: String::from_utf8_lossy(&request.body).into_owned(),
                next_attempt: None,
            }),
        }
    }
}

impl AttemptResult {
    /// Has the record say when the delivery is tried again, if the protocol shows that.
    pub fn retried_in(&mut self, pause: Duration) {
        if let Some(callback) = &mut self.record.callback {
            callback.next_attempt = Some(OffsetDateTime::now_utc() + pause);
        }
    }
}

/// The headers that are ours.
fn own_headers(
    request: &WebhookRequest<'_>,
    sent_at: OffsetDateTime,
) -> Result<HeaderMap, Unsendable> {
    let id = &request.delivery_id;
    let signature = request
        .subscription
        .secrets
        .sign(id, sent_at, &request.body)?;
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(USER_AGENT, HeaderValue::from_static("Bellwire"));
    let (timestamp, attempt) = (sent_at.unix_timestamp(), request.attempt + 1);
    let mut add = |name, value: &str| {
        headers.insert(HeaderName::from_static(name), value.parse()?);
        Ok::<_, Unsendable>(())
    };
    add("webhook-id", id)?;
    if let Some(origin) = &request.subscription.origin {
        add("origin", origin)?;
    }
    add("webhook-timestamp", &timestamp.to_string())?;
    add("webhook-signature", &signature)?;
    add("x-bellwire-attempt", &attempt.to_string())?;
    if let Some((topic_id, _)) = request.subscription.topic() {
        let subscription_id = &request.subscription.subscription_id;
        add("x-axway-streams-subscription-id", subscription_id)?;
        add("x-axway-streams-topic-id", topic_id)?;
        add("x-axway-streams-event-id", &request.event_id)?;
        add("x-axway-streams-event-type", request.event_type)?;
    }
    if let Some(Versions { version, base }) = request.versions {
        add("x-bellwire-version", &version.to_string())?;
        if let Some(base) = base {
            add("x-bellwire-base-version", &base.to_string())?;
        }
    }
    Ok(headers)
}

fn judge(exchange: &Exchange) -> AttemptOutcome {
    match &exchange.outcome {
        Ok(answer) => outcome(answer.status, &answer.headers, SystemTime::now()),
        Err(_) => AttemptOutcome::Failed { leave_alone: None },
    }
}

/// The record with what came of the request.
fn complete(record: Record, exchange: Exchange) -> Record {
    let request_duration = iso_duration(exchange.duration);
    match exchange.outcome {
        Err(failure) => Record {
            request_duration,
            error_message: Some(failure.to_string()),
            ..record
        },
        Ok(answer) => Record {
            request_duration,
            response_code: Some(answer.status.as_u16()),
            response_size: size(&answer).map(|bytes| format!("{bytes}B")),
            response_headers: answer
                .headers
                .iter()
                .take(MAX_HEADERS)
                .map(shown_header)
                .collect(),
            response_body: Some(String::from_utf8_lossy(&answer.body).into_owned())
                .filter(|body| !body.is_empty()),
            error_message: (!answer.status.is_success()).then(|| status_message(answer.status)),
            ..record
        },
    }
}

/// How long the body of an answer is; unknown when it was cut and doesn't say.
fn size(answer: &Answer) -> Option<usize> {
    if answer.cut {
        answer
            .headers
            .get(CONTENT_LENGTH)?
            .to_str()
            .ok()?
            .parse()
            .ok()
    } else {
        Some(answer.body.len())
    }
}

fn shown_header((name, value): (&HeaderName, &HeaderValue)) -> (String, String) {
    let value = String::from_utf8_lossy(value.as_bytes());
    (
        name.as_str().chars().take(MAX_HEADER_NAME).collect(),
        value.chars().take(MAX_HEADER_LENGTH).collect(),
    )
}
