//! `DELETE /subscriptions?entity_key=…`: deletes a client's subscriptions to an entity.

use bellwire_api::{Caller, Failure, envelope};
use futures_util::future::try_join_all;
use lambda_http::http::Response;
use lambda_http::{Body, Request};

use crate::EntitySubscriptionsFunction;
use crate::list::entity_key;

impl EntitySubscriptionsFunction {
    /// Deletes all of a client's subscriptions to an entity. A request that is cut off may have deleted
    /// some of them; the same request deletes the rest.
    ///
    /// # Errors
    /// 400 when `entity_key` is missing or malformed; 404 when there is no such subscription; 500 when
    /// a table fails.
    pub(crate) async fn unsubscribe_entity(
        &self,
        client: &Caller,
        request: &Request,
    ) -> Result<Response<Body>, Failure> {
        let entity_key =
            entity_key(request)?.ok_or_else(|| Failure::field("entity_key", "is missing"))?;
        let subscriptions = self.to_entity(client, &entity_key).await?;
        if subscriptions.is_empty() {
            return Err(Failure::not_found(
                "there is no subscription to this entity",
            ));
        }
        let deleted = subscriptions
            .iter()
            .map(|subscription| self.subscriptions.delete(subscription));
        try_join_all(deleted).await?;
        envelope::done()
    }
}
