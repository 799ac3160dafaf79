//! `DELETE /topics/{topicId}`: deletes a topic.
//!
//! With the first write the topic is deleted. Then its deletion is queued, behind everything that was
//! published before: the topic's audience receives it, and the subscriptions end. If the function dies
//! in between, it is on record that the deletion is yet to be queued, and the same request completes
//! it.

use bellwire_api::Failure;
use bellwire_domain::ids::{EventId, TopicId};
use bellwire_queues::{Message, Publication, Queue, Work};
use bellwire_store::Topics;
use bellwire_store::topics::{Found, Written};
use time::OffsetDateTime;

use crate::failures::{changed_meanwhile, no_such_topic};

/// Deletes the topic with this id; its name is free again.
///
/// # Errors
/// 404 when there is no such topic, or its deletion is queued already; 409 when another request changes
/// it at the same time; 500 when the table or the queue fails.
pub async fn delete(topics: &Topics, publications: &Queue, id: &TopicId) -> Result<(), Failure> {
    let now = OffsetDateTime::now_utc();
    match topics.get(id).await? {
        Found::Live(known) => match topics.delete(&known, now).await? {
            Written::Done => {}
            Written::NameTaken | Written::Changed | Written::InTheWay => {
                return Err(changed_meanwhile());
            }
        },
        Found::Deleted {
            deletion_unqueued: true,
            ..
        } => {}
        Found::Deleted {
            deletion_unqueued: false,
            ..
        }
        | Found::Unknown => return Err(no_such_topic()),
    }
    let deletion = Publication {
        // The same in a repeated request, so that the deletion is delivered once.
        event_id: EventId::new(format!("deleted-{id}")),
        topic_id: id.clone(),
        accepted_at: now,
        redriven: false,
        work: Work::TopicDeleted,
    };
    publications.send(Message::publication(&deletion)?).await?;
    Ok(topics.note_deletion_queued(id).await?)
}
