//! S3: objects. That they are tagged changes nothing.

use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};

use crate::aws::State;
use crate::client::{Call, response, xml};

/// The operation that a request asks for.
pub fn operation(request: &HttpRequest) -> String {
    let tagging = request.uri().contains("?tagging");
    match (request.method(), tagging) {
        ("PUT", true) => "PutObjectTagging",
        ("PUT", false) => "PutObject",
        ("GET", _) => "GetObject",
        ("HEAD", _) => "HeadObject",
        (other, _) => panic!("no double of {other} on objects"),
    }
    .to_owned()
}

/// Carries out a call.
pub fn carry_out(call: &Call, state: &State) -> HttpResponse {
    let mut objects = state.objects.lock().unwrap();
    let key = call.path();
    let found = objects.get(&key).cloned();
    match (call.operation.as_str(), found) {
        ("PutObject", _) => {
            objects.insert(key, call.bytes().to_vec());
            response(200, Vec::new())
        }
        ("GetObject", Some(object)) => response(200, object),
        ("HeadObject" | "PutObjectTagging", Some(_)) => response(200, Vec::new()),
        _ => xml(
            404,
            "<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>",
        ),
    }
}
