//! `POST {"QueryExecutionId", "client_id"}`, by a publisher: the execution that it
//! started belongs to this client, who is to be told when it has ended. If it has
//! ended already, the client is told now.

use bellwire_edge::Failure;
use bellwire_rules::{ClientId, ExecutionId};
use serde::Serialize;

use crate::QueriesFunction;
use crate::request::RegisterQuery;

/// The answer.
#[derive(Serialize)]
pub struct OnRecord {
    #[serde(rename = "QueryExecutionId")]
    pub execution_id: ExecutionId,
}

impl QueriesFunction {
    /// Puts the execution on record. Again for the same client: the same answer.
    pub async fn register(&self, query: RegisterQuery) -> Result<OnRecord, Failure> {
        let owner = self.existing_client(&query.client_id).await?;
        self.own(&query.execution_id, &owner, false).await?;
        Ok(OnRecord {
            execution_id: query.execution_id,
        })
    }

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
