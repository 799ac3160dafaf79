//! Requests as API Gateway hands them to functions.

use lambda_http::{Request, request};
use serde_json::{Value, json};

/// A request for a path, of which `resource` is the form in the template: `/topics/{topicId}`. `body` is null for a
/// request without one.
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html#api-gateway-simple-proxy-for-lambda-input-format>
pub fn request(
    method: &str,
    resource: &str,
    path: &str,
    api_key: Option<&str>,
    body: &Value,
) -> Request {
    let parts = resource.split('/').zip(path.split('/'));
    let parameters = parts.filter_map(|(name, value)| {
        let name = name.strip_prefix('{')?.strip_suffix('}')?;
        Some((name.to_owned(), json!(value)))
    });
    let parameters: serde_json::Map<String, Value> = parameters.collect();
    let mut headers = json!({"content-type": "application/json", "host": "api.example.com"});
    if let Some(key) = api_key {
        headers["x-api-key"] = json!(key);
    }
    let event = json!({
        "httpMethod": method,
        "resource": resource,
        "path": path,
        "headers": headers,
        "multiValueHeaders": {},
        "queryStringParameters": null,
        "multiValueQueryStringParameters": null,
        "pathParameters": parameters,
        "stageVariables": null,
        "requestContext": {
            "resourcePath": resource,
            "httpMethod": method,
            "path": path,
            "stage": "live",
            "requestId": "r1",
            "identity": {"sourceIp": "192.0.2.1"},
        },
        "body": if body.is_null() { Value::Null } else { json!(body.to_string()) },
        "isBase64Encoded": false,
    });
    request::from_str(&event.to_string()).unwrap()
}
