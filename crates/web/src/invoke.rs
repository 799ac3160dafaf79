//! The API on AWS: its functions, invoked as API Gateway invokes them.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_lambda_events::apigw::ApiGatewayProxyResponse;
use aws_lambda_events::encodings::Body;
use aws_sdk_lambda::Client as Lambda;
use aws_sdk_lambda::config::retry::RetryConfig;
use aws_sdk_lambda::config::timeout::TimeoutConfig;
use aws_sdk_lambda::error::{DisplayErrorContext, SdkError};
use aws_sdk_lambda::primitives::Blob;
use bellwire_app::{App, BadSetting, Setting};
use bellwire_runtime::aws::Lazy;
use lambda_http::http::Method;
use serde_json::{Map, Value, json};

use crate::api::{Api, ApiError, Call, Caller, Response, function_of};

/// How long a call takes at most; a console's own time is a little longer.
const LONGEST: Duration = Duration::from_secs(25);

/// The functions of the stack.
#[derive(Debug)]
pub struct InvokedApi {
    lambda: Lazy<Lambda>,
    prefix: String,
}

impl InvokedApi {
    /// The functions of the stack that the settings name.
    ///
    /// # Errors
    /// When a setting is missing.
    pub fn new(app: &App) -> Result<Self, BadSetting> {
        Ok(Self {
            lambda: app.client(client),
            prefix: app.setting(Setting::FunctionPrefix)?,
        })
    }
}

/// The client of Lambda. A function answers within the time that API Gateway would give it; the SDK's usual time for an
/// attempt is shorter, and would have it called again meanwhile.
fn client(config: &SdkConfig) -> Lambda {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(2))
        .operation_attempt_timeout(LONGEST)
        .operation_timeout(LONGEST)
        .build();
    let config = aws_sdk_lambda::config::Builder::from(config).timeout_config(timeouts);
    Lambda::from_conf(config.build())
}

/// The SDK repeats calls whose answer is lost: only those that can be repeated.
fn retries(call: &Call) -> aws_sdk_lambda::config::Builder {
    let config = aws_sdk_lambda::Config::builder();
    match call.method == Method::GET || call.once.is_some() {
        true => config,
        false => config.retry_config(RetryConfig::disabled()),
    }
}

impl Api for InvokedApi {
    async fn call(&self, caller: &Caller, call: Call) -> Result<Response, ApiError> {
        let function = function_of(call.resource);
        let failed = |cause: String| ApiError::Failed { function, cause };
        let invocation = self
            .lambda
            .invoke()
            .function_name(format!("{}{function}", self.prefix))
            .payload(Blob::new(event(caller, &call).to_string()))
            .customize()
            .config_override(retries(&call))
            .send()
            .await;
        let invoked = match invocation {
            Ok(invoked) => invoked,
            Err(SdkError::ServiceError(refused))
                if refused.err().is_too_many_requests_exception() =>
            {
                return Err(ApiError::Throttled(function));
            }
            Err(error) => return Err(failed(DisplayErrorContext(error).to_string())),
        };
        let payload = invoked.payload.unwrap_or_else(|| Blob::new(""));
        if let Some(kind) = invoked.function_error {
            // The payload says what was wrong, and has nothing of the request.
            let cause = String::from_utf8_lossy(payload.as_ref()).into_owned();
            return Err(failed(format!("{kind}: {cause}")));
        }
        response(payload.as_ref()).map_err(|bad| failed(bad.to_string()))
    }
}

/// The event that API Gateway would make of the call.
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html#api-gateway-simple-proxy-for-lambda-input-format>
pub fn event(caller: &Caller, call: &Call) -> Value {
    let mut headers = Map::new();
    headers.insert("content-type".to_owned(), json!("application/json"));
    if let Some(token) = &caller.token {
        headers.insert("x-api-key".to_owned(), json!(token.expose()));
    }
    if let Some(key) = call.idempotency_key() {
        headers.insert("idempotency-key".to_owned(), json!(key));
    }
    if call.method == Method::PATCH {
        headers.insert(
            "content-type".to_owned(),
            json!("application/merge-patch+json"),
        );
    }
    let parameters: Map<String, Value> = call
        .parameters
        .iter()
        .map(|(name, value)| ((*name).to_owned(), json!(value)))
        .collect();
    let query: Map<String, Value> = call
        .query
        .iter()
        .map(|(name, value)| ((*name).to_owned(), json!(value)))
        .collect();
    let path = call.path();
    json!({
        "resource": call.resource,
        "path": path,
        "httpMethod": call.method.as_str(),
        "headers": headers,
        "multiValueHeaders": {},
        "queryStringParameters": query,
        "multiValueQueryStringParameters": {},
        "pathParameters": parameters,
        "stageVariables": null,
        "requestContext": {
            "resourcePath": call.resource,
            "httpMethod": call.method.as_str(),
            "path": path,
            // Log lines of the function show it before the path.
            "stage": "console",
            "requestId": "console",
            "domainName": caller.domain,
            "identity": {"sourceIp": caller.address},
        },
        "body": call.body.as_ref().map(Value::to_string),
        "isBase64Encoded": false,
    })
}

/// What a function has answered.
fn response(payload: &[u8]) -> Result<Response, serde_json::Error> {
    let answer: ApiGatewayProxyResponse = serde_json::from_slice(payload)?;
    let body = match answer.body.unwrap_or_default() {
        Body::Text(text) => text,
        Body::Binary(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        _ => String::new(),
    };
    Ok(Response {
        status: u16::try_from(answer.status_code).unwrap_or_default(),
        body,
    })
}

#[cfg(test)]
mod tests {
    use bellwire_domain::Secret;

    use super::*;

    #[test]
    fn an_event_is_one_that_functions_take() {
        let call = Call::post("/topics/{topicId}")
            .at("topicId", "a b")
            .query("page", "2")
            .query("search", "")
            .body(json!({"x": "ü"}))
            .once("k1");
        let caller = Caller {
            token: Some(Secret::new("bwt_x")),
            address: "192.0.2.7".to_owned(),
            domain: "api.example.com".to_owned(),
        };
        let event = event(&caller, &call).to_string();
        let request = lambda_http::request::from_str(&event).unwrap();
        assert_eq!(request.uri().path(), "/console/topics/a%20b");
        assert_eq!(request.headers()["x-api-key"], "bwt_x");
        let key = call.idempotency_key().unwrap();
        assert_eq!(request.headers()["idempotency-key"], key);
        // What is sent with another body is another request.
        let changed = call.clone().body(json!({"x": "y"}));
        assert_ne!(changed.idempotency_key().unwrap(), key);
        use lambda_http::RequestExt;
        assert_eq!(request.query_string_parameters().first("page"), Some("2"));
        assert_eq!(request.query_string_parameters().first("search"), None);
        assert_eq!(request.path_parameters().first("topicId"), Some("a b"));
        assert_eq!(request.body().as_ref(), "{\"x\":\"ü\"}".as_bytes());
    }

    #[test]
    fn an_answer_is_read() {
        let payload = json!({
            "statusCode": 200, "headers": {}, "multiValueHeaders": {"link": ["<x>; rel=\"self\""]},
            "body": "{}", "isBase64Encoded": false,
        });
        let answer = response(payload.to_string().as_bytes()).unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (200, "{}"));
        assert!(response(b"null").is_err());
    }
}
