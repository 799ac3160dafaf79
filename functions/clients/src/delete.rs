//! `DELETE /v1/clients/{clientId}`: deletes a client, with all that belongs to it.

use bellwire_api::{Failure, accepted, no_content};
use bellwire_runtime::deadline::Steps;
use bellwire_store::Client;
use lambda_http::Body;
use lambda_http::http::Response;

use crate::ClientsFunction;
use crate::failures::no_such_client;
use crate::view::ListedClient;

impl ClientsFunction {
    /// Deletes a client as far as the request's time goes: 204 when all of it is gone, 202 when the rest is left to
    /// `client-tasks`. A repeated request goes on.
    ///
    /// # Errors
    /// 404 when it is deleted meanwhile; 500 when a table, SNS or a queue fails.
    pub(crate) async fn delete(&self, client: &Client) -> Result<Response<Body>, Failure> {
        let deleted = self.lifecycle.delete(client, &|_, _| {}).await;
        match deleted.map_err(Failure::internal)? {
            Some(Steps::Done) => no_content(),
            Some(Steps::OutOfTime) => match self.clients.get(&client.client_id).await? {
                Some(client) => accepted(&ListedClient::from(&client)),
                None => no_content(),
            },
            None => Err(no_such_client()),
        }
    }
}
