//! `POST /topics`: creates a topic.

use bellwire_api::idempotency::Repeatable;
use bellwire_api::{Failure, created};
use bellwire_domain::ids::{TopicId, random_id};
use bellwire_domain::topic::{Topic, TopicDefinition};
use bellwire_store::Topics;
use bellwire_store::topics::Written;
use lambda_http::Body;
use lambda_http::http::Response;
use time::OffsetDateTime;

use crate::failures::{changed_meanwhile, name_taken, refused};

/// Creates a topic with this definition. A repeated request gets the same response.
///
/// # Errors
/// 400 for a definition that is refused; 409 when another topic has the name, another request takes it
/// at the same time, or the `Idempotency-Key` came with another request; 500 when a table fails.
pub async fn create(
    topics: &Topics,
    definition: TopicDefinition,
    repeatable: &Repeatable<'_>,
) -> Result<Response<Body>, Failure> {
    if let Some(answer) = repeatable.earlier().await? {
        return Ok(answer);
    }
    definition.check().map_err(refused)?;
    let id = TopicId::new(random_id());
    let topic = Topic::new(id, definition, OffsetDateTime::now_utc());
    let answer = created(&topic)?;
    let failure = match topics.create(&topic, repeatable.record(&answer)?).await? {
        Written::Done => return Ok(answer),
        Written::NameTaken => name_taken(),
        Written::Changed | Written::InTheWay => changed_meanwhile(),
    };
    // The other request may have been this one, repeated at the same time.
    repeatable.earlier().await?.ok_or(failure)
}
