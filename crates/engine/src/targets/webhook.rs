//! Webhooks: an attempt is a signed POST, its outcome the status of the answer, and its record both.

use std::time::{Duration, SystemTime};

use bellwire_domain::delivery::key::event_of;
use bellwire_domain::delivery::outcome::{AttemptOutcome, outcome, status_message};
use bellwire_domain::delivery::own_headers::{OwnHeaders, StreamsHeaders};
use bellwire_domain::ids::DeliveryId;
use bellwire_domain::timestamp::millis;
use bellwire_outbound::{Answer, Exchange, Sender};
use bellwire_store::Subscription;
use bellwire_store::attempt_record::Content;
use bellwire_store::subscription::Webhook;
use http::header::{AUTHORIZATION, CONTENT_LENGTH};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use time::OffsetDateTime;

use crate::Error;
use crate::rendered::Rendered;
use crate::targets::access_token::{AccessTokens, TokenRefused};

/// What a request for an access token that ends by its own limit has left to say so.
const MOMENT: Duration = Duration::from_secs(1);
/// The most headers of an answer that are recorded, and the most characters of each.
const MAX_HEADERS: usize = 64;
const MAX_HEADER_NAME: usize = 128;
const MAX_HEADER_LENGTH: usize = 1024;

/// An attempt that was made.
#[derive(Debug)]
pub struct AttemptResult {
    /// What it means for the delivery.
    pub outcome: AttemptOutcome,
    /// The id of the delivery.
    pub delivery_id: DeliveryId,
    /// When the request was sent.
    pub sent_at: OffsetDateTime,
    /// What is recorded of it.
    pub content: Content,
}

/// Sends deliveries to webhooks.
#[derive(Debug)]
pub struct WebhookSender {
    sender: Sender,
    access_tokens: AccessTokens,
    retries: usize,
}

impl WebhookSender {
    /// `exchange` is how long the sender gives a request and its answer; `retries` how many retries a
    /// delivery has, which records show.
    pub fn new(sender: Sender, exchange: Duration, retries: usize) -> Self {
        Self {
            access_tokens: AccessTokens::new(sender.clone(), exchange + MOMENT),
            sender,
            retries,
        }
    }

    /// Attempts a delivery after so many attempts that failed.
    ///
    /// # Errors
    /// When the request can't be written: a damaged item, or a defect. Everything that an endpoint does is
    /// an outcome.
    pub async fn attempt(
        &self,
        subscription: &Subscription,
        webhook: &Webhook,
        rendered: Rendered,
        failures: usize,
    ) -> Result<AttemptResult, Error> {
        let sent_at = OffsetDateTime::now_utc();
        let signature = sign(webhook, &rendered, sent_at)?;
        let mut headers = own_headers(
            subscription,
            webhook,
            &rendered,
            failures,
            sent_at,
            &signature,
        )?;
        for (name, value) in webhook.headers.expose() {
            let name = HeaderName::from_bytes(name.as_bytes())?;
            headers.insert(name, HeaderValue::from_str(value)?);
        }
        let delivery_id = rendered.delivery_id.clone();
        let mut content = self.content(webhook, &rendered, failures, signature);
        let mut token = None;
        if let Some(authorization) = &webhook.authorization {
            match self.access_tokens.get(authorization).await {
                Ok(header) => {
                    headers.insert(AUTHORIZATION, header.clone());
                    token = Some((authorization, header));
                }
                Err(TokenRefused(reason)) => {
                    content.error = Some(format!("no access token: {reason}"));
                    return Ok(AttemptResult {
                        outcome: AttemptOutcome::Failed { leave_alone: None },
                        delivery_id,
                        sent_at,
                        content,
                    });
                }
            }
        }
        let url = &webhook.url;
        let exchange = self.sender.post(url, headers, rendered.body).await;
        if let (Ok(answer), Some((authorization, header))) = (&exchange.outcome, &token)
            && matches!(
                answer.status,
                http::StatusCode::UNAUTHORIZED | http::StatusCode::FORBIDDEN
            )
        {
            self.access_tokens.forget(authorization, header).await;
        }
        Ok(AttemptResult {
            outcome: outcome_of(&exchange),
            delivery_id,
            sent_at,
            content: complete(content, exchange),
        })
    }

    /// What is recorded of a request that is about to be sent.
    fn content(
        &self,
        webhook: &Webhook,
        rendered: &Rendered,
        failures: usize,
        signature: String,
    ) -> Content {
        let names = webhook.headers.expose();
        let own_id = rendered.version.is_some() || event_of(&rendered.delivery_id).is_some();
        Content {
            event_type: rendered.event_type.to_owned(),
            url: webhook.url.clone(),
            signature,
            header_names: names.map(|(name, _)| name.to_owned()).collect(),
            authorized: webhook.authorization.is_some(),
            origin: webhook.origin.clone(),
            event_id: (!own_id).then(|| rendered.event_id.clone()),
            version: rendered.version,
            base_version: rendered.base_version,
            failures,
            retries: if failures > 0 { self.retries } else { 0 },
            request_body: rendered
                .records_body
                .then(|| String::from_utf8_lossy(&rendered.body).into_owned()),
            ..Content::default()
        }
    }
}

impl AttemptResult {
    /// Has the record say when the delivery is retried, if the protocol shows that.
    pub fn retried_in(&mut self, pause: Duration) {
        if self.content.request_body.is_some() {
            self.content.next_attempt = Some(millis(OffsetDateTime::now_utc() + pause));
        }
    }

    /// Why it is no success; empty when it is one.
    pub fn reason(&self) -> String {
        let status = self
            .content
            .status
            .and_then(|code| StatusCode::from_u16(code).ok());
        match (&self.content.error, status) {
            (Some(error), _) => error.clone(),
            (None, Some(status)) if !status.is_success() => status_message(status),
            _ => String::new(),
        }
    }
}

/// The signature, or several, of what is about to be sent.
pub(crate) fn sign(
    webhook: &Webhook,
    rendered: &Rendered,
    sent_at: OffsetDateTime,
) -> Result<String, Error> {
    let id = rendered.delivery_id.as_str();
    Ok(webhook.secrets.sign(id, sent_at, &rendered.body)?)
}

/// The headers that are ours.
pub(crate) fn own_headers(
    subscription: &Subscription,
    webhook: &Webhook,
    rendered: &Rendered,
    failures: usize,
    sent_at: OffsetDateTime,
    signature: &str,
) -> Result<HeaderMap, Error> {
    let topic_id = subscription.topic().map(|(id, _)| id);
    let own = OwnHeaders {
        delivery_id: &rendered.delivery_id,
        sent_at,
        failures,
        signature,
        origin: webhook.origin.as_deref(),
        streams: topic_id.map(|topic_id| StreamsHeaders {
            subscription_id: &subscription.subscription_id,
            topic_id,
            event_id: &rendered.event_id,
            event_type: rendered.event_type,
            version: rendered.version,
            base_version: rendered.base_version,
        }),
    };
    let mut headers = HeaderMap::new();
    for (name, value) in own.all() {
        headers.insert(HeaderName::from_static(name), HeaderValue::try_from(value)?);
    }
    Ok(headers)
}

/// What the status of an answer means; no answer is a failure.
fn outcome_of(exchange: &Exchange) -> AttemptOutcome {
    match &exchange.outcome {
        Ok(answer) => outcome(answer.status, &answer.headers, SystemTime::now()),
        Err(_) => AttemptOutcome::Failed { leave_alone: None },
    }
}

/// The content with what came of the request.
fn complete(content: Content, exchange: Exchange) -> Content {
    let duration_ms = u32::try_from(exchange.duration.as_millis()).unwrap_or(u32::MAX);
    match exchange.outcome {
        Err(failure) => Content {
            duration_ms,
            error: Some(failure.to_string()),
            ..content
        },
        Ok(answer) => Content {
            duration_ms,
            status: Some(answer.status.as_u16()),
            response_bytes: size(&answer).and_then(|bytes| u64::try_from(bytes).ok()),
            response_headers: answer
                .headers
                .iter()
                .take(MAX_HEADERS)
                .map(recorded_header)
                .collect(),
            response_body: Some(String::from_utf8_lossy(&answer.body).into_owned())
                .filter(|body| !body.is_empty()),
            ..content
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

fn recorded_header((name, value): (&HeaderName, &HeaderValue)) -> (String, String) {
    let value = String::from_utf8_lossy(value.as_bytes());
    (
        name.as_str().chars().take(MAX_HEADER_NAME).collect(),
        value.chars().take(MAX_HEADER_LENGTH).collect(),
    )
}
