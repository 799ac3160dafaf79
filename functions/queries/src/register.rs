//! `POST {"QueryExecutionId", "client_id"}`, by a publisher: the execution that it
//! started belongs to this client, who is to be told when it has ended. If it has
//! ended already, the client is told now.

use bellwire_edge::Failure;
use bellwire_notifications::{Completions, NotifyError, Outcome};
use bellwire_rules::{ClientId, ExecutionId};
use bellwire_store::Clients;
use serde::{Deserialize, Serialize};

/// The body, as it was sent.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegisterRequest {
    #[serde(rename = "QueryExecutionId")]
    execution_id: String,
    client_id: String,
}

/// The answer.
#[derive(Serialize)]
pub struct OnRecord {
    #[serde(rename = "QueryExecutionId")]
    execution_id: ExecutionId,
}

/// Puts the execution on record. Again for the same client: the same answer.
pub async fn register(
    clients: &Clients,
    completions: &Completions,
    wish: RegisterRequest,
) -> Result<OnRecord, Failure> {
    let id = ExecutionId::parse(&wish.execution_id)
        .map_err(|bad| Failure::field("QueryExecutionId", bad))?;
    let owner = existing_client(clients, &wish.client_id).await?;
    let outcome = completions
        .record_owner(&id, &owner)
        .await
        .map_err(|error| match error {
            NotifyError::TurnTaken => Failure::try_again(
                "this query is being announced right now; please try again in a few seconds",
            ),
            other => Failure::internal(other),
        })?;
    tracing::info!(
        query = id.as_str(),
        owner = owner.as_str(),
        ?outcome,
        "query put on record"
    );
    match outcome {
        Outcome::SomebodyElses => Err(Failure::conflict(
            "QueryExecutionId: this query is on record for another client",
        )),
        Outcome::Notified | Outcome::NobodyToTell | Outcome::Recorded => {
            Ok(OnRecord { execution_id: id })
        }
    }
}

async fn existing_client(clients: &Clients, client_id: &str) -> Result<ClientId, Failure> {
    let no_such_client =
        || Failure::field("client_id", "there is no such client, or it is disabled");
    let client_id = ClientId::parse(client_id).ok_or_else(no_such_client)?;
    clients
        .get(&client_id)
        .await?
        .filter(|client| client.disabled_at.is_none())
        .map(|client| client.client_id)
        .ok_or_else(no_such_client)
}
