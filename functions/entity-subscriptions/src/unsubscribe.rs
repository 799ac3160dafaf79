//! `DELETE /subscriptions?entity_key=…`.

use bellwire_edge::{Failure, envelope};
use bellwire_store::Client;
use futures_util::future::try_join_all;
use lambda_http::http::Response;
use lambda_http::{Body, Request};

use crate::EntitySubscriptionsFunction;
use crate::list::entity_key;

impl EntitySubscriptionsFunction {
    /// Removes all of a client's subscriptions to an entity. Cut off half way, it has removed
    /// some of them, and the same request removes the rest.
    pub async fn unsubscribe_entity(
        &self,
        client: &Client,
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
