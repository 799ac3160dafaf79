//! A client's endpoints, whatever they are subscribed to, as lists show them.

use bellwire_web::api::Api;
use bellwire_web::{Call, Trouble, Visit, When};
use time::OffsetDateTime;

use crate::model::{
    CallbackUrl, CallbackUrls, Entities, Entity, Envelope, Items, Webhook, of_millis,
};

/// The most subscriptions that are read of a kind.
const MOST: &str = "1000";
/// The most subscriptions to entities, of which a page has no more.
const MOST_ENTITIES: &str = "100";

/// Whether an endpoint works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Nothing is sent to it.
    Disabled,
    /// Its attempts fail.
    Failing,
    /// Its URL is not confirmed.
    Pending,
    /// It works, as far as is known.
    Active,
}

impl State {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Failing => "failing",
            Self::Pending => "not confirmed",
            Self::Active => "active",
        }
    }

    /// The class of its colour.
    pub fn class(self) -> &'static str {
        match self {
            Self::Disabled | Self::Failing => "bad",
            Self::Pending => "warn",
            Self::Active => "good",
        }
    }
}

/// An endpoint.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// The subscription's id; empty for callback URLs of query notifications.
    pub id: String,
    /// The URL.
    pub url: String,
    /// What it is subscribed to: `orders`.
    pub source: String,
    /// The kind of that: `topic`.
    pub kind: &'static str,
    /// Its page, relative to the console.
    pub page: String,
    /// Whether it works.
    pub state: State,
    /// Why and since when it is as it is.
    pub since: Option<When>,
    /// When it was created.
    pub created: Option<When>,
}

impl Endpoint {
    /// That of a subscription to a topic.
    pub fn of_webhook<A: Api>(webhook: &Webhook, visit: &Visit<'_, A>) -> Self {
        let (state, since) = if webhook.status == "disabled" {
            (State::Disabled, webhook.disabled_timestamp)
        } else {
            failing(webhook.failing_since)
        };
        Self {
            id: webhook.id.clone(),
            url: webhook.webhook_url.clone(),
            source: webhook
                .topic_name
                .clone()
                .unwrap_or_else(|| webhook.topic_id.clone()),
            kind: "topic",
            page: format!("subscriptions/{}", webhook.id),
            state,
            since: since.map(|at| visit.when(at)),
            created: Some(visit.when(webhook.create_timestamp)),
        }
    }

    /// That of a subscription to an entity.
    pub fn of_entity<A: Api>(entity: &Entity, visit: &Visit<'_, A>) -> Self {
        let (state, since) = match entity.date_disabled {
            Some(at) => (State::Disabled, of_millis(at)),
            None => failing(entity.date_failing_since.and_then(of_millis)),
        };
        Self {
            id: entity.key.clone(),
            url: entity.callback.clone(),
            source: entity.entity_key.clone(),
            kind: "entity",
            page: format!("entities/{}", entity.key),
            state,
            since: since.map(|at| visit.when(at)),
            created: of_millis(entity.date_created).map(|at| visit.when(at)),
        }
    }

    /// That of a callback URL of query notifications.
    pub fn of_callback<A: Api>(callback: &CallbackUrl, visit: &Visit<'_, A>) -> Self {
        let state = match callback.status.as_str() {
            "CONFIRMED" => State::Active,
            _ => State::Pending,
        };
        Self {
            id: String::new(),
            url: callback.url.clone(),
            source: callback.statuses.join(", ").to_lowercase(),
            kind: "queries",
            page: "callbacks".to_owned(),
            state,
            since: None,
            created: Some(visit.when(callback.created_at)),
        }
    }
}

fn failing(since: Option<OffsetDateTime>) -> (State, Option<OffsetDateTime>) {
    match since {
        Some(since) => (State::Failing, Some(since)),
        None => (State::Active, None),
    }
}

/// The first subscriptions to topics, and whether there are more.
pub async fn webhooks<A: Api>(visit: &Visit<'_, A>) -> Result<(Vec<Endpoint>, bool), Trouble> {
    let call = Call::get("/subscribers/webhook/subscriptions").query("pageSize", MOST);
    let found: Items<Webhook> = visit.read(call).await?;
    let more = found.links.next.is_some();
    let found = found.items.iter();
    Ok((
        found.map(|it| Endpoint::of_webhook(it, visit)).collect(),
        more,
    ))
}

/// The first subscriptions to entities, and whether there are more.
pub async fn entities<A: Api>(visit: &Visit<'_, A>) -> Result<(Vec<Endpoint>, bool), Trouble> {
    let call = Call::get("/subscriptions").query("limit", MOST_ENTITIES);
    let found: Envelope<Entities> = visit.read(call).await?;
    let more = found.pagination.is_some_and(|it| it.next.is_some());
    let found = found.data.subscriptions.iter();
    Ok((
        found.map(|it| Endpoint::of_entity(it, visit)).collect(),
        more,
    ))
}

/// All callback URLs of query notifications.
pub async fn callbacks<A: Api>(visit: &Visit<'_, A>) -> Result<Vec<Endpoint>, Trouble> {
    let found: CallbackUrls = visit.read(Call::get("/v1/subscribe")).await?;
    Ok(found
        .subscriptions
        .iter()
        .map(|it| Endpoint::of_callback(it, visit))
        .collect())
}
