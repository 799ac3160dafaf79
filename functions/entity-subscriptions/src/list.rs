//! `GET /subscriptions`: all of a client's subscriptions to entities, or those to one entity.

use bellwire_api::{Failure, envelope};
use bellwire_domain::cursor;
use bellwire_domain::entity::EntityKey;
use bellwire_domain::ids::entity_audience_id;
use bellwire_store::{Client, Subscription, Subscriptions};
use futures_util::future::try_join_all;
use lambda_http::http::{Response, StatusCode};
use lambda_http::{Body, Request, RequestExt};
use serde::Serialize;

use crate::EntitySubscriptionsFunction;
use crate::page::PageRequest;
use crate::view::EntitySubscriptionView;

#[derive(Serialize)]
struct Listed<'a> {
    subscriptions: Vec<EntitySubscriptionView<'a>>,
    /// The cursor of the next page; missing on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

impl EntitySubscriptionsFunction {
    /// A client's subscriptions, oldest first: with `entity_key`, all of those to that entity; without
    /// it, a page of those to any entity.
    ///
    /// # Errors
    /// 400 when a parameter is malformed; 500 when a table fails.
    pub(crate) async fn list(
        &self,
        client: &Client,
        request: &Request,
    ) -> Result<Response<Body>, Failure> {
        let (subscriptions, next_cursor) = match entity_key(request)? {
            Some(entity_key) => (self.to_entity(client, &entity_key).await?, None),
            None => {
                let page = PageRequest::of(request, Subscriptions::is_cursor)?;
                let page = self
                    .subscriptions
                    .list_entities(client.client_id.as_str(), page.after, page.limit)
                    .await?;
                (page.subscriptions, page.next_cursor)
            }
        };
        let listed = Listed {
            subscriptions: subscriptions
                .iter()
                .map(EntitySubscriptionView::of)
                .collect(),
            cursor: next_cursor.as_deref().map(cursor::encode),
        };
        envelope::with(StatusCode::OK, &listed)
    }

    /// A client's subscriptions to an entity, oldest first: the members of its audience.
    pub(crate) async fn to_entity(
        &self,
        client: &Client,
        entity_key: &EntityKey,
    ) -> Result<Vec<Subscription>, Failure> {
        let audience_id = entity_audience_id(client.client_id.as_str(), entity_key.as_str());
        let members = self.members.of(&audience_id, 0).await?;
        let gets = members
            .iter()
            .map(|member| self.subscriptions.get(&member.subscription_id));
        let mut found: Vec<_> = try_join_all(gets).await?.into_iter().flatten().collect();
        found.sort_by_key(|subscription| subscription.created_at);
        Ok(found)
    }
}

/// The key of the entity in the query string; `None` if it has none.
///
/// # Errors
/// 400 when it is empty or too long.
pub fn entity_key(request: &Request) -> Result<Option<EntityKey>, Failure> {
    let parameters = request.query_string_parameters();
    let key = parameters.first("entity_key");
    key.map(|key| EntityKey::try_from(key.to_owned()))
        .transpose()
        .map_err(|bad| Failure::field("entity_key", bad))
}
