//! `DELETE /topics/{topicId}`.

use bellwire_edge::Failure;
use bellwire_store::Topics;
use bellwire_store::topics::{StoredTopic, Written};
use time::OffsetDateTime;

use crate::change::changed_meanwhile;

/// Deletes the topic; its name is free again.
pub async fn delete(topics: &Topics, known: StoredTopic) -> Result<(), Failure> {
    match topics.delete(&known, OffsetDateTime::now_utc()).await? {
        Written::Done => Ok(()),
        Written::NameTaken | Written::Changed => Err(changed_meanwhile()),
    }
}
