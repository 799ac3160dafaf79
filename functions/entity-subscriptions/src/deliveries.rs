//! `GET /subscriptions/{key}/deliveries` and `…/deliveries/{deliveryKey}`: what was sent to a subscription, and what has
//! become of it.

use bellwire_api::deliveries::{DeliveryRequest, EventTypes, fitting, fitting_one};
use bellwire_api::{Failure, envelope, path_parameter};
use bellwire_domain::ids::DeliveryId;
use bellwire_domain::timestamp::millis;
use bellwire_domain::topic::shards::Shards;
use bellwire_store::Subscription;
use bellwire_store::delivery_record::DeliveryRecord;
use lambda_http::http::{Response, StatusCode};
use lambda_http::{Body, Request};
use serde::Serialize;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::EntitySubscriptionsFunction;
use crate::callbacks::Entry;

/// The types of events, as the list can be filtered by them.
const TYPES: EventTypes = EventTypes {
    parameter: "callback_event",
    all: &[
        "entity_updated",
        "document_status_changed",
        "final_document_generated",
    ],
};

#[derive(Serialize)]
struct List<'a> {
    deliveries: Vec<Value>,
    /// The cursor of the next page; missing on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<&'a str>,
}

/// The view of a delivery. Dates are in milliseconds since 1970.
#[derive(Serialize)]
struct DeliveryView<'a> {
    delivery_key: &'a DeliveryId,
    callback_event: &'a str,
    state: &'static str,
    /// When the event was accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    date_accepted: Option<i64>,
    /// Newest first.
    attempts: Vec<Entry<'a>>,
    /// Whether there may be more attempts.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    attempts_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_attempt: Option<i64>,
}

impl EntitySubscriptionsFunction {
    /// A page of the subscription's deliveries, newest first.
    ///
    /// # Errors
    /// 400 when a parameter is malformed; 500 when the table fails.
    pub(crate) async fn deliveries(
        &self,
        subscription: &Subscription,
        request: &Request,
    ) -> Result<Response<Body>, Failure> {
        let now = OffsetDateTime::now_utc();
        let asked = DeliveryRequest::of(request, TYPES, now)?;
        let page = self
            .attempts
            .deliveries(subscription, Shards::ONE, &asked.wanted, now, |delivery| {
                asked.matches(delivery, subscription, &self.schedule, now)
            })
            .await?;
        let show = |delivery: &DeliveryRecord| self.delivery_view(delivery, subscription, now);
        let (deliveries, next) = fitting(page, show)?;
        let list = List {
            deliveries,
            cursor: next.as_deref(),
        };
        envelope::page(request, &list, next.as_deref())
    }

    /// One delivery of the subscription, whose id is in the path.
    ///
    /// # Errors
    /// 404 when there is none, or it isn't on record any more; 500 when the table fails.
    pub(crate) async fn show_delivery(
        &self,
        subscription: &Subscription,
        request: &Request,
    ) -> Result<Response<Body>, Failure> {
        let delivery = self.delivery(subscription, request).await?;
        let now = OffsetDateTime::now_utc();
        let show = |delivery: &DeliveryRecord| self.delivery_view(delivery, subscription, now);
        let shown = fitting_one(delivery, show)?;
        envelope::with(StatusCode::OK, &json!({ "delivery": shown }))
    }

    /// The subscription's delivery whose id is in the path; 404 if there is none.
    pub(crate) async fn delivery(
        &self,
        subscription: &Subscription,
        request: &Request,
    ) -> Result<DeliveryRecord, Failure> {
        let id = DeliveryId::new(path_parameter(request, "deliveryKey")?);
        let now = OffsetDateTime::now_utc();
        self.attempts
            .delivery(subscription, Shards::ONE, &id, now)
            .await?
            .ok_or_else(|| Failure::not_found("there is no such delivery"))
    }

    fn delivery_view(
        &self,
        delivery: &DeliveryRecord,
        subscription: &Subscription,
        now: OffsetDateTime,
    ) -> Result<Value, Failure> {
        let state = delivery.state(subscription, &self.schedule, now);
        let next_attempt = delivery.next_attempt(subscription, state, now);
        // Of a delivery that isn't retried any more, no attempt says when it is.
        let due_after = next_attempt.map(|_| now);
        let attempts = delivery.attempts.iter();
        let view = DeliveryView {
            delivery_key: &delivery.id,
            callback_event: delivery.event_type(),
            state: state.as_str(),
            date_accepted: delivery.accepted_at.map(millis),
            attempts: attempts.map(|it| Entry::of(it, due_after)).collect(),
            attempts_truncated: delivery.attempts_truncated,
            next_attempt: next_attempt.map(millis),
        };
        serde_json::to_value(view).map_err(Failure::internal)
    }
}

#[test]
fn the_types_are_those_that_there_are() {
    use bellwire_domain::entity::CallbackEvent;
    let all = [
        CallbackEvent::EntityUpdated,
        CallbackEvent::DocumentStatusChanged,
        CallbackEvent::FinalDocumentGenerated,
    ];
    assert_eq!(TYPES.all, all.map(CallbackEvent::as_str));
}
