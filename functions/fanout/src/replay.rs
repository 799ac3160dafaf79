//! A stretch of a topic's events, for one subscription again. `deliver` leaves out what
//! has arrived there.

use bellwire_queues::{Delivery, FanOut, Message, Replay, Told};
use lambda_runtime::Error;

use crate::Function;

/// How many events one step replays, at most.
const STEP: i32 = 500;

impl Function {
    /// Replays the next events, and leaves the rest to another step.
    pub async fn replay(&self, replay: Replay) -> Result<(), Error> {
        let Replay {
            subscription_id,
            client_id,
            topic_id,
            ..
        } = &replay;
        let after = replay.after.clone();
        let slice = self
            .events
            .between(topic_id, replay.start, replay.end, after, STEP)
            .await?;
        let count = slice.events.len();
        let messages = slice
            .events
            .into_iter()
            .map(|event| {
                Message::delivery(&Delivery {
                    subscription_id: subscription_id.clone(),
                    client_id: client_id.clone(),
                    attempt: 0,
                    accepted_at: event.accepted_at,
                    told: Told::Event {
                        event_id: event.event_id,
                        payload: event.payload,
                    },
                })
            })
            .collect::<Result<_, _>>()?;
        self.deliveries.send_all(messages).await?;
        tracing::info!(subscription = subscription_id, events = count, "replayed");
        if slice.more_after.is_some() {
            let rest = FanOut::Replay(Replay {
                after: slice.more_after,
                ..replay
            });
            self.fan_outs.send(Message::new(&rest)?).await?;
        }
        Ok(())
    }
}
