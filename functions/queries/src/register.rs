//! `POST {"QueryExecutionId", "client_id"}`, by a publisher: registers a query that it has started
//! itself. The query belongs to the client, who is notified when it has ended; at once if it has ended
//! already.

use bellwire_api::Failure;
use bellwire_domain::{ClientId, ExecutionId};
use serde::Serialize;

use crate::QueriesFunction;
use crate::request::RegisterQuery;

/// The body of the response.
#[derive(Serialize)]
pub struct OnRecord {
    #[serde(rename = "QueryExecutionId")]
    pub execution_id: ExecutionId,
}

impl QueriesFunction {
    /// Puts an execution on record for its owner. Idempotent.
    ///
    /// # Errors
    /// 400 when there is no such client, or it is disabled; 409 when the execution is on record for
    /// another client; 500 when AWS fails; 503 when another invocation is notifying the owner right
    /// now.
    pub(crate) async fn register(&self, query: RegisterQuery) -> Result<OnRecord, Failure> {
        let owner = self.existing_client(&query.client_id).await?;
        self.own(&query.execution_id, &owner, false).await?;
        Ok(OnRecord {
            execution_id: query.execution_id,
        })
    }

    /// The id of a client that exists and is not disabled; 400 otherwise.
    async fn existing_client(&self, client_id: &str) -> Result<ClientId, Failure> {
        let no_such_client =
            || Failure::field("client_id", "there is no such client, or it is disabled");
        let client_id = ClientId::parse(client_id).ok_or_else(no_such_client)?;
        self.clients
            .get(&client_id)
            .await?
            .filter(|client| client.disabled_at.is_none())
            .map(|client| client.client_id)
            .ok_or_else(no_such_client)
    }
}
