//! What is sent of a dead letter when it is processed again.

use bellwire_queues::dead_letters::DeadLetter;
use bellwire_queues::{Delivery, FanOut, Hops, Message, Publication, Replay};

use crate::{Carried, DeadQueue, RedriveError};

/// The message that goes back into the queue that the dead letter comes from. A delivery gets a whole schedule of retries
/// again.
///
/// # Errors
/// When it can't be written.
pub fn again(
    queue: &DeadQueue,
    letter: &DeadLetter,
    carried: &Carried,
) -> Result<Message, RedriveError> {
    Ok(match carried {
        Carried::Delivery(delivery) => Message::delivery(&Delivery {
            attempt: 0,
            hops: Hops::default(),
            ..delivery.clone()
        })?,
        // SQS would drop a message with the same deduplication id within five minutes.
        Carried::Publication(publication) => Message::publication(&Publication {
            redriven: true,
            ..publication.clone()
        })?
        .once(
            publication.topic_id.to_string(),
            format!("redriven-{}", letter.id),
        ),
        Carried::FanOut(FanOut::Replay(replay)) => Message::new(&FanOut::Replay(Replay {
            hops: Hops::default(),
            ..replay.clone()
        }))?,
        // In the form that the function reads, also when the dead letter is in EventBridge's.
        Carried::FanOut(fan_out) => Message::new(fan_out)?,
        // What Lambda could not process, without what it says about that.
        Carried::Completion(event) => Message::raw(event.to_string()),
        Carried::Rendering(_)
        | Carried::ClientTask(_)
        | Carried::Notification(_)
        | Carried::Unread => {
            let message = Message::raw(letter.body.clone());
            if queue.name == "publications" {
                message.once("malformed".to_owned(), letter.id.clone())
            } else {
                message
            }
        }
    })
}
