//! The HTTP client of the SDK that leads to the doubles.

use std::fmt;
use std::future::pending;
use std::sync::Arc;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use serde_json::{Value, json};

use crate::aws::State;
use crate::faults::{Effect, Fate, Fault};
use crate::{buckets, events, queues, tables, topics};

/// An HTTP client whose requests are carried out here, but for those to tables, which `network` carries to the
/// emulator.
pub struct InMemory {
    state: Arc<State>,
    network: SharedHttpClient,
}

impl InMemory {
    /// A client of what `state` holds.
    pub fn new(state: Arc<State>) -> Self {
        // Without TLS: the emulator is on loopback.
        let network = aws_smithy_http_client::Builder::new().build_http();
        Self { state, network }
    }
}

impl fmt::Debug for InMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InMemory")
    }
}

impl HttpClient for InMemory {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Connector {
            state: Arc::clone(&self.state),
            network: self.network.http_connector(settings, components),
        })
    }
}

#[derive(Debug)]
struct Connector {
    state: Arc<State>,
    network: SharedHttpConnector,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (state, network) = (Arc::clone(&self.state), self.network.clone());
        HttpConnectorFuture::new(async move {
            let call = Call::of(request);
            let fate = state.plan.lock().unwrap().next(&call.operation);
            match fate {
                Fate::Answered => call.carry_out(&state, network, false).await,
                Fate::Faulty(Fault::Partial) => call.carry_out(&state, network, true).await,
                Fate::Faulty(Fault::Throttled) => Ok(call.throttled()),
                Fate::Faulty(Fault::HotPartition) => Ok(hot_partition()),
                Fate::Faulty(Fault::LostAnswer) => {
                    call.carry_out(&state, network, false).await?;
                    Err(ConnectorError::io("the connection broke".into()))
                }
                Fate::Killed(effect) => {
                    if effect == Effect::Done {
                        call.carry_out(&state, network, false).await?;
                    }
                    state.killed.notify_one();
                    pending().await
                }
            }
        })
    }
}

/// A request to AWS.
#[derive(Debug)]
pub struct Call {
    service: String,
    /// The operation, such as `PutItem`.
    pub operation: String,
    /// The body, as JSON or as a form; null for S3.
    pub body: Value,
    request: HttpRequest,
}

impl Call {
    fn of(request: HttpRequest) -> Self {
        // The scope of the signature: `Credential=key/20260101/us-east-1/sqs/aws4_request`.
        let signature = request.headers().get("authorization").unwrap_or_default();
        let service = signature.split('/').nth(3).unwrap_or_default().to_owned();
        let bytes = request.body().bytes().unwrap_or_default();
        let target = request.headers().get("x-amz-target");
        let (operation, body) = match service.as_str() {
            "s3" => (buckets::operation(&request), Value::Null),
            "sns" => {
                let form = topics::form(bytes);
                (form["Action"].as_str().unwrap().to_owned(), form)
            }
            "scheduler" => (
                "CreateSchedule".to_owned(),
                serde_json::from_slice(bytes).unwrap(),
            ),
            _ => {
                let (_, operation) = target.unwrap_or_default().rsplit_once('.').unwrap();
                (operation.to_owned(), serde_json::from_slice(bytes).unwrap())
            }
        };
        Self {
            service,
            operation,
            body,
            request,
        }
    }

    /// The bytes of the body.
    pub fn bytes(&self) -> &[u8] {
        self.request.body().bytes().unwrap_or_default()
    }

    /// The path, without the slash that it begins with.
    pub fn path(&self) -> String {
        let uri = self.request.uri();
        let path = uri.split_once("://").map_or(uri, |(_, rest)| rest);
        let path = path.split_once('/').map_or("", |(_, path)| path);
        let path = path.split('?').next().unwrap_or_default();
        path.replace("%2F", "/")
    }

    async fn carry_out(
        self,
        state: &State,
        network: SharedHttpConnector,
        partial: bool,
    ) -> Result<HttpResponse, ConnectorError> {
        Ok(match self.service.as_str() {
            "dynamodb" => return tables::carry_out(self, network, partial).await,
            "sqs" => queues::carry_out(&self, state, partial),
            "s3" => buckets::carry_out(&self, state),
            "sns" => topics::carry_out(&self, state),
            "events" => events::put(&self, state, partial),
            "scheduler" => events::schedule(&self, state),
            other => panic!("no double of {other}"),
        })
    }

    /// The request, with another body.
    pub fn request_with(self, body: &Value) -> HttpRequest {
        let mut request = self.request;
        *request.body_mut() = SdkBody::from(body.to_string());
        request.headers_mut().remove("content-length");
        request
    }

    fn throttled(&self) -> HttpResponse {
        match self.service.as_str() {
            "s3" => xml(
                503,
                "<Error><Code>SlowDown</Code><Message>Slow down</Message></Error>",
            ),
            "sns" => topics::refused(400, "Throttling", "Rate exceeded"),
            _ => json_response(
                400,
                &json!({"__type": "ThrottlingException", "message": "Rate exceeded"}),
            ),
        }
    }
}

/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_ThrottlingReason.html>
fn hot_partition() -> HttpResponse {
    let reason = json!({
        "reason": "TableWriteKeyRangeThroughputExceeded",
        "resource": "arn:aws:dynamodb:us-east-1:000000000000:table/events",
    });
    let body = json!({
        "__type": "com.amazonaws.dynamodb.v20120810#ThrottlingException",
        "message": "Throughput exceeds the current capacity of your table or index.",
        "throttlingReasons": [reason],
    });
    json_response(400, &body)
}

/// A response with a body of JSON.
pub fn json_response(status: u16, body: &Value) -> HttpResponse {
    response(status, body.to_string().into_bytes())
}

/// A response with a body of XML.
pub fn xml(status: u16, body: &str) -> HttpResponse {
    response(status, body.as_bytes().to_vec())
}

/// A response with this body.
pub fn response(status: u16, body: Vec<u8>) -> HttpResponse {
    HttpResponse::new(StatusCode::try_from(status).unwrap(), SdkBody::from(body))
}
