//! `PUT` and `PATCH /topics/{topicId}`: replace a topic's definition. The type of its payload can't change, since
//! its subscriptions depend on it.

use bellwire_api::Failure;
use bellwire_domain::topic::Topic;
use bellwire_queues::{ClientTask, Message, Queue};
use bellwire_store::Topics;
use bellwire_store::topics::{StoredTopic, Written};
use time::OffsetDateTime;

use crate::failures::{changed_meanwhile, name_taken, refused};
use crate::replacement::Replacement;

/// Replaces the definition of the topic that was read as `known`. Returns the topic with its revision. Writes nothing
/// when the definition is the same. When it changes who may see the topic, the function `client-tasks` settles its
/// subscriptions.
///
/// # Errors
/// 400 for a definition that is refused; 409 when the payload would change, another topic has the name,
/// or another request changes the same topic or name; 500 when the table or the queue fails.
pub async fn change(
    topics: &Topics,
    client_tasks: &Queue,
    known: StoredTopic,
    replacement: Replacement,
) -> Result<(Topic, u64), Failure> {
    let definition = replacement.of(&known.topic)?;
    definition.check(Some(&known.topic)).map_err(refused)?;
    if definition.publisher.payload != known.topic.publisher.payload {
        return Err(Failure::conflicting_field(
            "publisher.payload.type",
            "can't change once the topic is made",
        ));
    }
    if known.topic.is_defined_by(&definition) {
        let revision = known.revision();
        if known.access_is_unsettled() {
            // The request before this one was cut off when it had changed the topic.
            settle(topics, client_tasks, &known.topic, revision).await?;
        }
        return Ok((known.topic, revision));
    }
    let changed = known.topic.changed(definition, OffsetDateTime::now_utc());
    let access = (&changed.access, &changed.publishers);
    let changes_access = access != (&known.topic.access, &known.topic.publishers);
    match topics.update(&known, &changed).await? {
        Written::Done => {
            let revision = known.next_revision();
            if changes_access || known.access_is_unsettled() {
                settle(topics, client_tasks, &changed, revision).await?;
            }
            Ok((changed, revision))
        }
        Written::NameTaken => Err(name_taken()),
        Written::Changed | Written::InTheWay => Err(changed_meanwhile()),
    }
}

/// Has the topic's subscriptions suspended whose clients may not see it any more, and those resumed whose clients may
/// again.
async fn settle(
    topics: &Topics,
    client_tasks: &Queue,
    topic: &Topic,
    revision: u64,
) -> Result<(), Failure> {
    let task = ClientTask::AccessChanged {
        topic_id: topic.id.clone(),
        segment: None,
    };
    client_tasks.send(Message::new(&task)?).await?;
    Ok(topics.note_access_queued(&topic.id, revision).await?)
}
