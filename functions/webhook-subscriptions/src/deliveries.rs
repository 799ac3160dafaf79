//! `GET /subscribers/webhook/subscriptions/{subscriptionId}/deliveries` and `…/deliveries/{deliveryId}`: what was sent to a
//! subscription, and what has become of it.

use bellwire_api::deliveries::{DeliveryRequest, EventTypes, fitting, fitting_one};
use bellwire_api::{Failure, called_path, ok, path_parameter};
use bellwire_domain::cursor;
use bellwire_domain::ids::{DeliveryId, EventId};
use bellwire_domain::timestamp::{self, iso_serde};
use bellwire_domain::topic::shards::Shards;
use bellwire_store::delivery_record::DeliveryRecord;
use bellwire_store::subscription::Subscription;
use lambda_http::http::{HeaderValue, Response, header};
use lambda_http::{Body, Request};
use serde::Serialize;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use crate::WebhookSubscriptionsFunction;
use crate::exchange_view::ExchangeView;

/// The types of events, as the list can be filtered by them.
const TYPES: EventTypes = EventTypes {
    parameter: "eventType",
    all: &["snapshot", "patch", "event", "error"],
};

/// The view of a delivery. Times are in ISO 8601.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DeliveryView<'a> {
    id: &'a DeliveryId,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<&'a EventId>,
    /// As the latest attempt has it.
    event_type: &'a str,
    state: &'static str,
    /// When the event was accepted; missing for documents and tests.
    #[serde(with = "iso_serde::option", skip_serializing_if = "Option::is_none")]
    accepted_timestamp: Option<OffsetDateTime>,
    /// Of a document.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
    /// Newest first.
    attempts: Vec<AttemptView<'a>>,
    /// Whether there may be more attempts.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    attempts_truncated: bool,
    #[serde(with = "iso_serde::option", skip_serializing_if = "Option::is_none")]
    next_attempt_timestamp: Option<OffsetDateTime>,
}

/// An attempt, with its number from 1.
#[derive(Serialize)]
struct AttemptView<'a> {
    attempt: usize,
    #[serde(flatten)]
    exchange: ExchangeView<'a>,
}

impl WebhookSubscriptionsFunction {
    /// A page of the subscription's deliveries, newest first: `{"items": […], "links": {"self", "next"}}`, with the same
    /// links in the header `Link`. `shards` are those of the topic.
    ///
    /// # Errors
    /// 400 when a parameter is malformed; 500 when the table fails.
    pub(crate) async fn deliveries(
        &self,
        subscription: &Subscription,
        shards: Shards,
        request: &Request,
    ) -> Result<Response<Body>, Failure> {
        let now = OffsetDateTime::now_utc();
        let asked = DeliveryRequest::of(request, TYPES, now)?;
        let page = self
            .attempts
            .deliveries(subscription, shards, &asked.wanted, now, |delivery| {
                asked.matches(delivery, subscription, &self.schedule, now)
            })
            .await?;
        let show = |delivery: &DeliveryRecord| self.view(delivery, subscription, now);
        let (items, next) = fitting(page, show)?;
        let path = called_path(request);
        let this = link(
            path,
            &asked,
            asked.wanted.after.as_deref().map(cursor::encode),
        );
        let mut links = Map::from_iter([("self".to_owned(), this.as_str().into())]);
        let mut header_value = format!("<{this}>; rel=\"self\"");
        if let Some(next) = next {
            let next = link(path, &asked, Some(next));
            header_value.push_str(&format!(", <{next}>; rel=\"next\""));
            links.insert("next".to_owned(), next.into());
        }
        let mut response = ok(&json!({ "items": items, "links": links }))?;
        let value = HeaderValue::from_str(&header_value).map_err(Failure::internal)?;
        response.headers_mut().insert(header::LINK, value);
        Ok(response)
    }

    /// One delivery of the subscription, whose id is in the path.
    ///
    /// # Errors
    /// 404 when there is none, or it isn't on record any more; 500 when the table fails.
    pub(crate) async fn show_delivery(
        &self,
        subscription: &Subscription,
        shards: Shards,
        request: &Request,
    ) -> Result<Response<Body>, Failure> {
        let delivery = self.delivery(subscription, shards, request).await?;
        let now = OffsetDateTime::now_utc();
        ok(&fitting_one(delivery, |it| {
            self.view(it, subscription, now)
        })?)
    }

    /// The subscription's delivery whose id is in the path; 404 if there is none.
    pub(crate) async fn delivery(
        &self,
        subscription: &Subscription,
        shards: Shards,
        request: &Request,
    ) -> Result<DeliveryRecord, Failure> {
        let id = DeliveryId::new(path_parameter(request, "deliveryId")?);
        let now = OffsetDateTime::now_utc();
        self.attempts
            .delivery(subscription, shards, &id, now)
            .await?
            .ok_or_else(|| Failure::not_found("there is no such delivery"))
    }

    fn view(
        &self,
        delivery: &DeliveryRecord,
        subscription: &Subscription,
        now: OffsetDateTime,
    ) -> Result<Value, Failure> {
        let state = delivery.state(subscription, &self.schedule, now);
        let attempts = delivery.attempts.iter().map(|attempt| AttemptView {
            attempt: attempt.failures + 1,
            exchange: ExchangeView::of(attempt),
        });
        let view = DeliveryView {
            id: &delivery.id,
            event_id: delivery.event_id.as_ref(),
            event_type: delivery.event_type(),
            state: state.as_str(),
            accepted_timestamp: delivery.accepted_at,
            version: delivery.version(),
            attempts: attempts.collect(),
            attempts_truncated: delivery.attempts_truncated,
            next_attempt_timestamp: delivery.next_attempt(subscription, state, now),
        };
        serde_json::to_value(view).map_err(Failure::internal)
    }
}

/// The path of a page of the list at this path. Nothing in it has a character that a query string can't have.
fn link(path: &str, asked: &DeliveryRequest, cursor: Option<String>) -> String {
    let wanted = &asked.wanted;
    let mut query = vec![
        format!("start={}", timestamp::iso(wanted.start)),
        format!("end={}", timestamp::iso(wanted.end)),
        format!("limit={}", wanted.limit),
    ];
    query.extend(asked.state.map(|it| format!("state={}", it.as_str())));
    query.extend(asked.event_type.map(|it| format!("eventType={it}")));
    query.extend(asked.code.map(|it| format!("code={it}")));
    query.extend(cursor.map(|it| format!("cursor={it}")));
    format!("{path}?{}", query.join("&"))
}

#[test]
fn the_types_are_those_that_there_are() {
    use bellwire_queues::EventType;
    let all = [
        EventType::Snapshot,
        EventType::Patch,
        EventType::Event,
        EventType::Error,
    ];
    assert_eq!(TYPES.all, all.map(EventType::as_str));
}
