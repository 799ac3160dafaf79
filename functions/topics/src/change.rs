//! `PUT` and `PATCH /topics/{topicId}`: replace a topic's definition. The type of its payload can't change, since
//! its subscriptions depend on it.

use bellwire_api::Failure;
use bellwire_domain::topic::Topic;
use bellwire_store::Topics;
use bellwire_store::topics::{StoredTopic, Written};
use time::OffsetDateTime;

use crate::failures::{changed_meanwhile, name_taken, refused};
use crate::replacement::Replacement;

/// Replaces the definition of the topic that was read as `known`. Returns the topic with its revision. Writes nothing
/// when the definition is the same.
///
/// # Errors
/// 400 for a definition that is refused; 409 when the payload would change, another topic has the name,
/// or another request changes the same topic or name; 500 when the table fails.
pub async fn change(
    topics: &Topics,
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
        return Ok((known.topic, revision));
    }
    let changed = known.topic.changed(definition, OffsetDateTime::now_utc());
    match topics.update(&known, &changed).await? {
        Written::Done => Ok((changed, known.next_revision())),
        Written::NameTaken => Err(name_taken()),
        Written::Changed | Written::InTheWay => Err(changed_meanwhile()),
    }
}
