//! `GET /subscriptions`: all of a client's subscriptions to entities, or those to one entity.

use bellwire_api::{Caller, Failure, envelope};
use bellwire_domain::cursor;
use bellwire_domain::entity::{EntityKey, Spelling};
use bellwire_domain::ids::entity_audience_id;
use bellwire_store::{Subscription, Subscriptions};
use futures_util::future::try_join_all;
use lambda_http::http::Response;
use lambda_http::{Body, Request, RequestExt};
use serde_json::Map;

use crate::EntitySubscriptionsFunction;
use crate::page::PageRequest;
use crate::view::EntitySubscriptionView;

impl EntitySubscriptionsFunction {
    /// A client's subscriptions, oldest first: with `entity_key`, all of those to that entity; without
    /// it, a page of those to any entity. The last page has no `cursor`.
    ///
    /// # Errors
    /// 400 when a parameter is malformed; 500 when a table fails.
    pub(crate) async fn list(
        &self,
        client: &Caller,
        spelling: Spelling,
        request: &Request,
    ) -> Result<Response<Body>, Failure> {
        // Those to one entity are a single page; what is malformed is refused nevertheless.
        let page = PageRequest::of(request, Subscriptions::is_cursor)?;
        let (subscriptions, next_cursor) = match entity_key(request)? {
            Some(entity_key) => (self.to_entity(client, &entity_key).await?, None),
            None => {
                let page = self
                    .subscriptions
                    .list_entities(client.client_id.as_str(), page.after, page.limit)
                    .await?;
                (page.subscriptions, page.next_cursor)
            }
        };
        let views: Vec<_> = subscriptions
            .iter()
            .map(EntitySubscriptionView::of)
            .collect();
        let mut listed = Map::new();
        let name = spelling.several().to_owned();
        listed.insert(
            name,
            serde_json::to_value(views).map_err(Failure::internal)?,
        );
        let next_cursor = next_cursor.as_deref().map(cursor::encode);
        if let Some(cursor) = &next_cursor {
            listed.insert("cursor".to_owned(), cursor.as_str().into());
        }
        envelope::page(request, &listed, next_cursor.as_deref())
    }

    /// A client's subscriptions to an entity, oldest first: the members of its audience.
    pub(crate) async fn to_entity(
        &self,
        client: &Caller,
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
