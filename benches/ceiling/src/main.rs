//! A bare HTTP client as a function: POSTs what is in its messages, and does nothing else.
//! What `deliver` could reach if it neither signed, nor looked up, nor recorded anything.
//!
//! A message is `{"url": "…", "body": "…"}`.

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use bytes::Bytes;
use futures_util::future::try_join_all;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let client = &Client::builder(TokioExecutor::new()).build(HttpConnector::new());
    lambda_runtime::run(service_fn(|event: LambdaEvent<SqsEvent>| async move {
        let records = &event.payload.records;
        let sent = records
            .iter()
            .map(|message| post(client, message.body.as_deref()));
        try_join_all(sent).await?;
        Ok::<_, Error>(SqsBatchResponse::default())
    }))
    .await
}

async fn post(
    client: &Client<HttpConnector, Full<Bytes>>,
    message: Option<&str>,
) -> Result<(), Error> {
    let message: Value = serde_json::from_str(message.unwrap_or_default())?;
    let text = |name: &str| {
        message
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let request = http::Request::post(text("url"))
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(text("body").to_owned())))?;
    client.request(request).await?.into_body().collect().await?;
    Ok(())
}
