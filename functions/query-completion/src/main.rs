//! EventBridge's `Athena Query State Change`: records how a query ended and tells
//! its owner.
//!
//! An event that fails, for whatever reason, is an error of the function: Lambda
//! repeats it, and then puts it into the dead-letter queue.

mod event;

use bellwire_notifications::{Completions, Outcome, Publisher};
use bellwire_runtime::aws::{self, Lazy};
use bellwire_runtime::env::required;
use bellwire_runtime::logs;
use bellwire_store::queries::End;
use bellwire_store::{Clients, Queries};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;

use crate::event::{Detail, StateChange};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    logs::start();
    let completions = &completions_from_env()?;
    lambda_runtime::run(service_fn(|event: LambdaEvent<Value>| async move {
        handle(completions, event.payload)
            .await
            .inspect_err(|error| tracing::error!(%error, "event failed"))
    }))
    .await
}

fn completions_from_env() -> Result<Completions, Error> {
    let config = aws::lambda_config()?;
    let db = aws_sdk_dynamodb::Client::new(&config);
    let sns = Lazy::new(&config, aws_sdk_sns::Client::new);
    Ok(Completions::new(
        Queries::new(db.clone(), required("QUERIES_TABLE")?),
        Clients::new(db, required("CLIENTS_TABLE")?),
        Publisher::new(sns, required("TOPIC_PREFIX")?),
    ))
}

async fn handle(completions: &Completions, event: Value) -> Result<(), Error> {
    let StateChange { time, detail, .. } = StateChange::read(event)?;
    let Detail {
        execution_id: id,
        state,
        sequence_number,
        error,
    } = detail;
    let outcome = if state.is_terminal() {
        let end = End {
            state,
            at: time,
            reason: error.as_ref().and_then(|error| error.message.as_deref()),
        };
        completions.record_end(&id, end).await?
    } else {
        completions
            .record_progress(&id, state, sequence_number)
            .await?;
        Outcome::Recorded
    };
    tracing::info!(query = id.as_str(), %state, ?outcome, "state change");
    Ok(())
}
