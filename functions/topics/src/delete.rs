//! `DELETE /topics/{topicId}`.
//!
//! The topic is gone with the first write. Its subscribers are told, and lose their
//! subscriptions, behind everything that was published before. If the function dies in
//! between, the deletion is still to be announced, and the same request does that.

use bellwire_edge::Failure;
use bellwire_queues::{Message, Publication, Queue, Work};
use bellwire_store::Topics;
use bellwire_store::topics::{Found, Written};
use time::OffsetDateTime;

use crate::change::changed_meanwhile;
use crate::no_such_topic;

/// Deletes the topic; its name is free again.
pub async fn delete(topics: &Topics, publications: &Queue, id: &str) -> Result<(), Failure> {
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
        } => {}
        Found::Deleted {
            deletion_unqueued: false,
        }
        | Found::Unknown => return Err(no_such_topic()),
    }
    let deletion = Publication {
        // The same for a repeated request.
        event_id: format!("deleted-{id}"),
        topic_id: id.to_owned(),
        accepted_at: now,
        redriven: false,
        work: Work::TopicDeleted,
    };
    publications.send(Message::publication(&deletion)?).await?;
    Ok(topics.note_deletion_queued(id).await?)
}
