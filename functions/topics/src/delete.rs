//! `DELETE /topics/{topicId}`: deletes a topic.
//!
//! With the first write the topic is deleted. Then its deletion is queued, behind everything that was
//! published before: the topic's audience receives it, and the subscriptions end. If the function dies
//! in between, it is on record that the deletion is yet to be queued, and the same request completes
//! it. A request that names the topic by its name finds it again because the name is given up last.

use bellwire_api::{Caller, Failure, TopicPermissions, etag};
use bellwire_domain::ids::EventId;
use bellwire_domain::topic::{Topic, TopicReference};
use bellwire_queues::{Message, Publication, Queue, Work};
use bellwire_store::Topics;
use bellwire_store::topics::{Found, Written};
use lambda_http::Request;
use time::OffsetDateTime;

use crate::failures::{changed_meanwhile, no_such_topic};

/// Deletes the topic that the request refers to; its name is free again.
///
/// # Errors
/// 404 when there is no such topic, or its deletion is queued already; 409 when another request changes
/// it at the same time; 412 when the request's `If-Match` has another revision; 500 when the table or the queue fails.
pub async fn delete(
    topics: &Topics,
    (permissions, caller): (&TopicPermissions, &Caller),
    publications: &Queue,
    reference: &TopicReference,
    request: &Request,
) -> Result<(), Failure> {
    let now = OffsetDateTime::now_utc();
    let (id, kept_name) = match topics.find(reference).await? {
        Found::Live(known) => {
            permitted(permissions, caller, &known.topic).await?;
            etag::must_match(request, known.revision())?;
            let (written, kept_name) = match reference {
                TopicReference::Id(_) => (topics.delete(&known, now).await?, None),
                TopicReference::Name(_) => (
                    topics.delete_keeping_name(&known, now).await?,
                    Some(known.topic.name),
                ),
            };
            match written {
                Written::Done => (known.topic.id, kept_name),
                Written::NameTaken | Written::Changed | Written::InTheWay => {
                    return Err(changed_meanwhile());
                }
            }
        }
        Found::Deleted {
            topic,
            deletion_unqueued: true,
            ..
        } => {
            permitted(permissions, caller, &topic).await?;
            (topic.id, Some(topic.name))
        }
        Found::Deleted {
            deletion_unqueued: false,
            ..
        }
        | Found::Unknown => return Err(no_such_topic()),
    };
    tracing::Span::current().record("topic", id.as_str());
    let deletion = Publication {
        // The same in a repeated request, so that the deletion is delivered once.
        event_id: EventId::new(format!("deleted-{id}")),
        topic_id: id.clone(),
        accepted_at: now,
        redriven: false,
        restricted: false,
        work: Work::TopicDeleted,
    };
    publications.send(Message::publication(&deletion)?).await?;
    if let Some(name) = kept_name {
        topics.free_name(&id, &name).await?;
    }
    Ok(topics.note_deletion_queued(&id).await?)
}

/// Checks that the caller may delete a topic: 404 if it may not even see it, 403 if it has other publishers.
async fn permitted(
    permissions: &TopicPermissions,
    caller: &Caller,
    topic: &Topic,
) -> Result<(), Failure> {
    if !permissions.may_see(caller, topic).await? {
        return Err(no_such_topic());
    }
    TopicPermissions::must_change(caller, topic)
}
