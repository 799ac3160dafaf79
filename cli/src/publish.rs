//! `bellwire publish`: publishes a file, or what is typed, to a topic, by the API.

use std::io::{self, Read};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::Args;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use ureq::Agent;
use ureq::http::Response;

use crate::print::Output;
use crate::stack::{self, Deployed};

/// The largest request that API Gateway takes, in bytes.
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-execution-service-limits-table.html>
const MOST: u64 = 10 * 1024 * 1024;
/// How long a request may take: API Gateway waits for 29 s.
const TIMEOUT: Duration = Duration::from_secs(40);

/// What is published, and where.
#[derive(Args)]
pub struct Publication {
    /// The topic's id or name
    topic: String,
    /// A file with the event, or the document, as JSON; standard input when it is missing or `-`
    file: Option<PathBuf>,
    /// Publish only once with this key, however often the command is repeated while events are kept
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// The API's base URL, instead of the stack's
    #[arg(long, env = "BELLWIRE_URL")]
    url: Option<String>,
    /// The API key of a publisher. Better in the environment than among the arguments, which others can see
    #[arg(long, env = "BELLWIRE_API_KEY", hide_env_values = true)]
    api_key: String,
}

/// Publishes, and prints what the API has answered.
///
/// # Errors
/// When there is nothing valid to publish, or the API refuses it: the error has the API's message.
pub async fn run(publication: Publication, stack: &str, output: Output) -> anyhow::Result<()> {
    let body = read(publication.file.as_ref())?;
    let base = match &publication.url {
        Some(url) => url.clone(),
        None => Deployed::read(&stack::aws().await, stack)
            .await?
            .output("ApiUrl")?,
    };
    // There is nothing else to do meanwhile.
    let answer = send(&publication, &base, &body)?;
    let id = answer.get("id").and_then(Value::as_str);
    let id = id.with_context(|| format!("{base} is not a Bellwire API: its answer has no id"))?;
    let lines = [("topic", publication.topic.as_str()), ("published", id)];
    output.one(&answer, &lines)
}

/// The JSON that is to be published, as it is written.
fn read(file: Option<&PathBuf>) -> anyhow::Result<String> {
    let mut text = String::new();
    let (from, what) = match file.filter(|it| it.as_os_str() != "-") {
        Some(path) => {
            let what = path.display().to_string();
            let file = std::fs::File::open(path);
            let file = file.with_context(|| format!("{what} could not be read"))?;
            (Box::new(file) as Box<dyn Read>, what)
        }
        None => (
            Box::new(io::stdin()) as Box<dyn Read>,
            "standard input".to_owned(),
        ),
    };
    let read = from.take(MOST + 1).read_to_string(&mut text);
    let length = read.with_context(|| format!("{what} could not be read"))?;
    ensure!(length as u64 <= MOST, "{what} has more than {MOST} bytes");
    let parsed: Result<serde::de::IgnoredAny, _> = serde_json::from_str(&text);
    parsed.with_context(|| format!("{what} is no JSON"))?;
    Ok(text)
}

fn send(publication: &Publication, base: &str, body: &str) -> anyhow::Result<Value> {
    let agent: Agent = Agent::config_builder()
        .timeout_global(Some(TIMEOUT))
        .http_status_as_error(false)
        // Whoever redirects is not the API, and is not to have the key.
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(concat!("bellwire/", env!("CARGO_PKG_VERSION")))
        .build()
        .into();
    let base = base.trim_end_matches('/');
    let topic = utf8_percent_encode(&publication.topic, NON_ALPHANUMERIC);
    let url = format!("{base}/publishers/http-post/topics/{topic}");
    let mut request = agent
        .post(&url)
        .header("content-type", "application/json")
        .header("x-api-key", &publication.api_key);
    if let Some(key) = &publication.idempotency_key {
        request = request.header("idempotency-key", key);
    }
    let response = request.send(body);
    let response = response.with_context(|| format!("{base} could not be called"))?;
    let status = response.status();
    let answer = answer(response)?;
    if !status.is_success() {
        let message = answer.pointer("/message").and_then(Value::as_str);
        bail!(
            "{status}: {}",
            message.unwrap_or("the API has said no more")
        );
    }
    Ok(answer)
}

/// The body of a response: JSON, or an empty object when there is none.
fn answer(mut response: Response<ureq::Body>) -> anyhow::Result<Value> {
    let text = response.body_mut().read_to_string();
    let text = text.context("the API's answer could not be read")?;
    Ok(serde_json::from_str(&text).unwrap_or_else(|_| json!({})))
}
