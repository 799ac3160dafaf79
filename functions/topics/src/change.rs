//! `PUT /topics/{topicId}`: the same topic by another definition. What it carries
//! can't change: its subscribers have counted on it.

use bellwire_edge::Failure;
use bellwire_rules::topic::{Topic, TopicDefinition};
use bellwire_store::Topics;
use bellwire_store::topics::{StoredTopic, Written};
use time::OffsetDateTime;

use crate::create::{name_taken, refused};

/// Gives the topic another definition.
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

/// 409: somebody else was faster.
pub fn changed_meanwhile() -> Failure {
    Failure::conflict(
        "another request changes the same topic or name; please look at it and try again",
    )
}
