//! `PUT /topics/{topicId}`: replaces a topic's definition. The type of its payload can't change, since
//! its subscriptions depend on it.

use bellwire_api::Failure;
use bellwire_domain::topic::{Topic, TopicDefinition};
use bellwire_store::Topics;
use bellwire_store::topics::{StoredTopic, Written};
use time::OffsetDateTime;

use crate::failures::{changed_meanwhile, name_taken, refused};

/// Replaces the definition of the topic that was read as `known`.
///
/// # Errors
/// 400 for a definition that is refused; 409 when the payload would change, another topic has the name,
/// or another request changes the same topic or name; 500 when the table fails.
pub async fn change(
    topics: &Topics,
    known: StoredTopic,
    definition: TopicDefinition,
) -> Result<Topic, Failure> {
    definition.check().map_err(refused)?;
    if definition.publisher.payload != known.topic.publisher.payload {
        return Err(Failure::conflict(
            "publisher.payload.type: can't change once the topic is made",
        ));
    }
    let changed = known.topic.changed(definition, OffsetDateTime::now_utc());
    match topics.update(&known, &changed).await? {
        Written::Done => Ok(changed),
        Written::NameTaken => Err(name_taken()),
        Written::Changed | Written::InTheWay => Err(changed_meanwhile()),
    }
}
