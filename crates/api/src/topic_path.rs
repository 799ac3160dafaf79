//! The topic that a path names.

use bellwire_domain::topic::TopicReference;
use lambda_http::Request;

use crate::segment::decoded;
use crate::{Failure, path_parameter};

/// The topic that the path names in its parameter `topicId`, by its id or by its name.
///
/// # Errors
/// 500 when the path has no such parameter.
pub fn topic_reference(request: &Request) -> Result<TopicReference, Failure> {
    let value = path_parameter(request, "topicId")?;
    Ok(TopicReference::parse(&decoded(&value)))
}
