//! Completing the steps that a client's state asks for: those of disabling, of enabling, or of its deletion.

use bellwire_domain::ClientId;
use bellwire_queues::{ClientTask, Hops, Message};
use bellwire_runtime::deadline::Steps;
use lambda_runtime::Error;

use crate::ClientTasksFunction;

/// In how many messages the steps of one change are made, at most: in a day or more.
const MOST_MESSAGES: u32 = 2000;

impl ClientTasksFunction {
    /// Makes the steps that are left, and leaves those that there is no time for to another message. Steps that don't come
    /// to an end are dead-lettered.
    ///
    /// # Errors
    /// When a table, SNS or a queue fails. A part of the steps may have been made.
    pub(crate) async fn complete_change(
        &self,
        client_id: ClientId,
        hops: Hops,
    ) -> Result<(), Error> {
        let steps = self.lifecycle.complete(&client_id, &|_, _| {}).await?;
        tracing::info!(client = %client_id, ?steps, "state of a client");
        if steps == Steps::Done {
            return Ok(());
        }
        let next = hops.next(MOST_MESSAGES);
        let rest = ClientTask::StateChanged {
            client_id,
            hops: next.clone().unwrap_or_default(),
        };
        match next {
            Ok(_) => self.tasks.send(Message::new(&rest)?).await?,
            // If it is redriven, it continues from there.
            Err(reason) => {
                tracing::error!(reason, "dead letter");
                let body = serde_json::to_string(&rest)?;
                let dead_letters = &self.dead_letters;
                dead_letters.dead_letter(&body, &reason, None, None).await?;
            }
        }
        Ok(())
    }
}
