//! `…/deliveries`: what was sent to a subscription, with a filter; and one delivery with all its attempts.

use askama::Template;
use bellwire_domain::timestamp;
use bellwire_web::api::Api;
use bellwire_web::form::once;
use bellwire_web::laid_out::{LaidOut, laid_out};
use bellwire_web::{
    Answer, Call, Form, Notice, Shell, Trouble, Visit, page, redirect, sentence, status_page,
};
use form_urlencoded::Serializer;
use lambda_http::http::StatusCode;
use serde::Deserialize;
use time::Duration;

use crate::delivery_view::{DeliveryView, EntityDelivery, WebhookDelivery};
use crate::local_time::LocalTime;
use crate::model::Envelope;
use crate::{SUBSCRIPTIONS, done};

/// How many a page has.
const PAGE: &str = "50";
/// How long ago the list begins, unless something else is asked for.
const RECENT: Duration = Duration::hours(24);
/// The states of deliveries.
const STATES: [&str; 4] = ["delivered", "retrying", "failed", "superseded"];

/// What a subscription is to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A topic.
    Webhook,
    /// An entity.
    Entity,
}

impl Kind {
    /// The folder of its pages.
    fn folder(self) -> &'static str {
        match self {
            Self::Webhook => "subscriptions",
            Self::Entity => "entities",
        }
    }

    /// What its deliveries may be of.
    fn event_types(self) -> &'static [&'static str] {
        match self {
            Self::Webhook => &["event", "snapshot", "patch", "error"],
            Self::Entity => &[
                "entity_updated",
                "document_status_changed",
                "final_document_generated",
            ],
        }
    }

    /// The parameter of the API that filters by these.
    fn event_type_parameter(self) -> &'static str {
        match self {
            Self::Webhook => "eventType",
            Self::Entity => "callback_event",
        }
    }

    /// A call about the deliveries of a subscription.
    fn call(self, id: &str, ends: Ends<'_>) -> Call {
        match (self, ends) {
            (Self::Webhook, Ends::List) => {
                Call::get("/subscribers/webhook/subscriptions/{subscriptionId}/deliveries")
                    .at("subscriptionId", id)
            }
            (Self::Webhook, Ends::One(delivery)) => {
                Call::get("/subscribers/webhook/subscriptions/{subscriptionId}/deliveries/{deliveryId}")
                    .at("subscriptionId", id)
                    .at("deliveryId", delivery)
            }
            (Self::Webhook, Ends::Resend(delivery)) => Call::post(
                "/subscribers/webhook/subscriptions/{subscriptionId}/deliveries/{deliveryId}/resend",
            )
            .at("subscriptionId", id)
            .at("deliveryId", delivery),
            (Self::Entity, Ends::List) => Call::get("/subscriptions/{key}/deliveries").at("key", id),
            (Self::Entity, Ends::One(delivery)) => {
                Call::get("/subscriptions/{key}/deliveries/{deliveryKey}")
                    .at("key", id)
                    .at("deliveryKey", delivery)
            }
            (Self::Entity, Ends::Resend(delivery)) => {
                Call::post("/subscriptions/{key}/deliveries/{deliveryKey}/resend")
                    .at("key", id)
                    .at("deliveryKey", delivery)
            }
        }
    }
}

/// What a call is about.
#[derive(Clone, Copy, Debug)]
enum Ends<'a> {
    List,
    One(&'a str),
    Resend(&'a str),
}

#[derive(Template)]
#[template(path = "deliveries.html")]
struct ListPage {
    shell: Shell,
    /// The page of the subscription, relative to the console.
    subscription: String,
    states: Vec<(&'static str, bool)>,
    event_types: Vec<(&'static str, bool)>,
    code: String,
    start: LocalTime,
    end: LocalTime,
    rows: Vec<DeliveryView>,
    /// The query string of the next page.
    next: Option<String>,
    filtered: bool,
}

impl ListPage {
    /// Where the latest of them went.
    fn url(&self) -> Option<&str> {
        let latest = self.rows.iter().find_map(|it| it.latest());
        latest.map(|it| it.url.as_str())
    }
}

#[derive(Template)]
#[template(path = "delivery.html")]
struct DeliveryPage {
    shell: Shell,
    subscription: String,
    delivery: DeliveryView,
    /// What was sent; `None` where it isn't kept any more.
    payload: Option<LaidOut>,
    once: String,
}

/// Deliveries, and what leads to those that follow.
struct Found {
    deliveries: Vec<DeliveryView>,
    cursor: Option<String>,
}

/// The list.
pub async fn list<A: Api>(visit: &Visit<'_, A>, kind: Kind, id: &str) -> Answer {
    visit.token()?;
    let query = visit.query();
    let (found, notice, status) = match deliveries(visit, kind, id, &query).await {
        Ok(found) => (found, done(visit), StatusCode::OK),
        Err(Trouble::Refused(refusal)) => {
            let nothing = Found {
                deliveries: Vec::new(),
                cursor: None,
            };
            let notice = Notice::error(sentence(&refusal.message));
            (nothing, Some(notice), refusal.page_status())
        }
        Err(other) => return Err(other),
    };
    let zone = query.get("zone");
    let chosen = |names: &[&'static str], name: &str| {
        let chosen = query.get(name);
        names.iter().map(|it| (*it, *it == chosen)).collect()
    };
    let names = ["state", "type", "code", "start", "end"];
    let page = ListPage {
        shell: visit.shell("Deliveries").under(SUBSCRIPTIONS).with(notice),
        subscription: format!("{}/{id}", kind.folder()),
        states: chosen(&STATES, "state"),
        event_types: chosen(kind.event_types(), "type"),
        code: query.get("code").to_owned(),
        start: LocalTime::written(query.get("start"), zone, visit.now - RECENT),
        end: LocalTime {
            // Up to now, unless something else is asked for.
            text: query.get("end").to_owned(),
            zone: zone.to_owned(),
        },
        rows: found.deliveries,
        next: found.cursor.map(|cursor| next_page(&query, &cursor)),
        filtered: names.iter().any(|name| !query.get(name).is_empty()),
    };
    status_page(status, &page)
}

/// One delivery.
pub async fn show<A: Api>(visit: &Visit<'_, A>, kind: Kind, id: &str, delivery: &str) -> Answer {
    page(&shown(visit, kind, id, delivery, done(visit)).await?)
}

/// Sends a delivery once more.
pub async fn resend<A: Api>(visit: &Visit<'_, A>, kind: Kind, id: &str, delivery: &str) -> Answer {
    let form = visit.form()?;
    let call = kind.call(id, Ends::Resend(delivery)).once(form.get("once"));
    match visit.send(call).await {
        Ok(_) => redirect(&format!("../{delivery}?done=resent")),
        Err(Trouble::Refused(refusal)) => {
            let notice = Notice::error(sentence(&refusal.message));
            let page = shown(visit, kind, id, delivery, Some(notice)).await?;
            status_page(refusal.page_status(), &page)
        }
        Err(other) => Err(other),
    }
}

async fn shown<A: Api>(
    visit: &Visit<'_, A>,
    kind: Kind,
    id: &str,
    delivery: &str,
    notice: Option<Notice>,
) -> Result<DeliveryPage, Trouble> {
    #[derive(Deserialize)]
    struct One {
        delivery: EntityDelivery,
    }
    let call = kind.call(id, Ends::One(delivery));
    let (delivery, payload) = match kind {
        Kind::Webhook => {
            let (found, payload) = tokio::join!(
                visit.read::<WebhookDelivery>(call),
                payload(visit, id, delivery),
            );
            (found?.view(visit), payload?)
        }
        Kind::Entity => {
            let found = visit.read::<Envelope<One>>(call).await?;
            // Here each attempt has the body that was sent.
            (found.data.delivery.view(visit), None)
        }
    };
    Ok(DeliveryPage {
        shell: visit.shell("Delivery").under(SUBSCRIPTIONS).with(notice),
        subscription: format!("{}/{id}", kind.folder()),
        delivery,
        payload,
        once: once(),
    })
}

/// What a delivery to a topic's subscription was of, as far as it is shown; `None` where it isn't kept any more.
async fn payload<A: Api>(
    visit: &Visit<'_, A>,
    id: &str,
    delivery: &str,
) -> Result<Option<LaidOut>, Trouble> {
    let call =
        "/subscribers/webhook/subscriptions/{subscriptionId}/deliveries/{deliveryId}/payload";
    let call = Call::get(call)
        .at("subscriptionId", id)
        .at("deliveryId", delivery);
    match visit.send(call).await {
        Ok(response) => Ok(Some(laid_out(&response.body))),
        Err(Trouble::NotFound | Trouble::Refused(_)) => Ok(None),
        Err(other) => Err(other),
    }
}

async fn deliveries<A: Api>(
    visit: &Visit<'_, A>,
    kind: Kind,
    id: &str,
    query: &Form,
) -> Result<Found, Trouble> {
    #[derive(Deserialize)]
    struct Page {
        items: Vec<WebhookDelivery>,
        links: Links,
    }
    #[derive(Deserialize)]
    struct Links {
        next: Option<String>,
    }
    #[derive(Deserialize)]
    struct Data {
        deliveries: Vec<EntityDelivery>,
        cursor: Option<String>,
    }
    let zone = query.get("zone");
    let at = |name| {
        LocalTime::parse(query.get(name), zone)
            .map(timestamp::iso)
            .unwrap_or_default()
    };
    let call = kind
        .call(id, Ends::List)
        .query("limit", PAGE)
        .query("state", query.get("state"))
        .query(kind.event_type_parameter(), query.get("type"))
        .query("code", query.get("code"))
        .query("start", at("start"))
        .query("end", at("end"))
        .query("cursor", query.get("cursor"));
    Ok(match kind {
        Kind::Webhook => {
            let page: Page = visit.read(call).await?;
            let next = page
                .links
                .next
                .as_deref()
                .and_then(|link| link.split_once('?'));
            let cursor =
                next.map(|(_, query)| Form::parse(query.as_bytes()).get("cursor").to_owned());
            Found {
                deliveries: page.items.into_iter().map(|it| it.view(visit)).collect(),
                cursor,
            }
        }
        Kind::Entity => {
            let page = visit.read::<Envelope<Data>>(call).await?.data;
            Found {
                deliveries: page
                    .deliveries
                    .into_iter()
                    .map(|it| it.view(visit))
                    .collect(),
                cursor: page.cursor,
            }
        }
    })
}

/// The query string of the next page: the same filter, from another place on.
fn next_page(query: &Form, cursor: &str) -> String {
    let mut text = Serializer::new(String::new());
    for name in ["state", "type", "code", "start", "end", "zone"] {
        if !query.get(name).is_empty() {
            text.append_pair(name, query.get(name));
        }
    }
    text.append_pair("cursor", cursor);
    text.finish()
}
