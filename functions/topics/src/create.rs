//! `POST /topics`: creates a topic.

use bellwire_api::idempotency::Repeatable;
use bellwire_api::{Caller, Failure, TopicPermissions, created, etag, located};
use bellwire_domain::ids::{TopicId, random_id};
use bellwire_domain::topic::{Topic, TopicDefinition, TopicPublishers};
use bellwire_store::Topics;
use bellwire_store::topics::{FIRST_REVISION, Written};
use lambda_http::Body;
use lambda_http::http::Response;
use serde::Deserialize;
use time::OffsetDateTime;

use crate::failures::{changed_meanwhile, name_taken, refused};

/// Creates a topic with this definition, whose only publisher is the caller if it doesn't say otherwise. `path` is the one of all topics, as it was called. A repeated request gets the
/// same response.
///
/// # Errors
/// 400 for a definition that is refused; 409 when another topic has the name, another request takes it
/// at the same time, or the `Idempotency-Key` came with another request; 500 when a table fails.
pub async fn create(
    topics: &Topics,
    caller: &Caller,
    definition: TopicDefinition,
    path: &str,
    repeatable: &Repeatable<'_>,
) -> Result<Response<Body>, Failure> {
    if let Some(answer) = repeatable.earlier().await? {
        return with_headers(answer, path);
    }
    definition.check(None).map_err(refused)?;
    let id = TopicId::new(random_id());
    let publishers = TopicPublishers::only(caller.client_id.clone());
    let definition = TopicDefinition {
        publishers: definition.publishers.or(Some(publishers)),
        ..definition
    };
    let topic = Topic::new(id, definition, OffsetDateTime::now_utc());
    let answer = created(&TopicPermissions::view(caller, &topic))?;
    let failure = match topics.create(&topic, repeatable.record(&answer)?).await? {
        Written::Done => return with_headers(answer, path),
        Written::NameTaken => name_taken(),
        Written::Changed | Written::InTheWay => changed_meanwhile(),
    };
    // The other request may have been this one, repeated at the same time.
    let answer = repeatable.earlier().await?.ok_or(failure)?;
    with_headers(answer, path)
}

/// The response with what isn't on record of it: where the topic is, and its entity tag when it was created.
fn with_headers(answer: Response<Body>, path: &str) -> Result<Response<Body>, Failure> {
    #[derive(Deserialize)]
    struct Created {
        id: TopicId,
    }
    let body = answer.body().as_ref();
    let Created { id } = serde_json::from_slice(body).map_err(Failure::internal)?;
    let location = format!("{}/{id}", path.trim_end_matches('/'));
    Ok(etag::with(located(answer, &location), FIRST_REVISION))
}
