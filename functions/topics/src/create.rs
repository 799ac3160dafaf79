//! `POST /topics`.

use bellwire_edge::Failure;
use bellwire_rules::topic::{BadDefinition, Topic, TopicDefinition};
use bellwire_store::Topics;
use bellwire_store::topics::Written;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::change::changed_meanwhile;

/// Makes a topic of this definition.
pub async fn create(topics: &Topics, definition: TopicDefinition) -> Result<Topic, Failure> {
    definition.check().map_err(refused)?;
    let id = Uuid::new_v4().to_string();
    let topic = Topic::new(id, definition, OffsetDateTime::now_utc());
    match topics.create(&topic).await? {
        Written::Done => Ok(topic),
        Written::NameTaken => Err(name_taken()),
        Written::Changed => Err(changed_meanwhile()),
    }
}

/// 400: the definition makes no sense.
pub fn refused(bad: BadDefinition) -> Failure {
    Failure::field(bad.field, bad.problem)
}

/// 409: another topic has the name.
pub fn name_taken() -> Failure {
    Failure::conflict("name: another topic has this name already")
}
