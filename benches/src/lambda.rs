//! A function as Lambda runs it: a process that asks a Runtime API for events, one at a time.
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tokio::process::{Child, Command};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Mutex, Notify};

use crate::http_server;

/// How long any step may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running function, with a Runtime API of its own.
pub struct Lambda {
    child: Child,
    spawned: Instant,
    asked: UnboundedReceiver<Instant>,
    events: UnboundedSender<Bytes>,
    answers: UnboundedReceiver<Answer>,
    stopped: Arc<Notify>,
}

/// The result of an invocation.
pub struct Answer {
    /// When the function reported it.
    pub at: Instant,
    /// Whether the function failed.
    pub failed: bool,
    /// The function's answer, or its error.
    pub payload: Bytes,
}

/// The Runtime API of one process: what the process asks, gets and answers.
struct RuntimeApi {
    asked: UnboundedSender<Instant>,
    events: Mutex<UnboundedReceiver<Bytes>>,
    answers: UnboundedSender<Answer>,
}

impl Lambda {
    /// Starts a process: a `bootstrap`, or an interpreter with arguments. Its logs go to
    /// `stdout`.
    pub async fn start(
        program: &Path,
        arguments: &[&str],
        environment: &[(String, String)],
        stdout: Stdio,
    ) -> Result<Self> {
        let (asked_to, asked) = unbounded_channel();
        let (events, events_from) = unbounded_channel();
        let (answers_to, answers) = unbounded_channel();
        let api = Arc::new(RuntimeApi {
            asked: asked_to,
            events: Mutex::new(events_from),
            answers: answers_to,
        });
        let stopped = Arc::new(Notify::new());
        let address = http_server::serve("127.0.0.1:0", Arc::clone(&stopped), move |request| {
            let api = Arc::clone(&api);
            async move { api.handle(request).await }
        })
        .await?;
        let spawned = Instant::now();
        let child = Command::new(program)
            .args(arguments)
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", "bench")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
            .env("AWS_REGION", "us-east-1")
            .env("AWS_DEFAULT_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "bench")
            .env("AWS_SECRET_ACCESS_KEY", "bench")
            .env("PATH", std::env::var("PATH").unwrap_or_default())
            .envs(environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        Ok(Self {
            child,
            spawned,
            asked,
            events,
            answers,
            stopped,
        })
    }

    /// Waits until the process asks for its first event. Returns how long that took.
    pub async fn ready(&mut self) -> Result<Duration> {
        let asked = tokio::time::timeout(PATIENCE, self.asked.recv()).await?;
        let at = asked.context("the process never asked for an event")?;
        Ok(at - self.spawned)
    }

    /// Invokes the function with an event. Returns its answer, and how long that took; an error
    /// when the function fails.
    pub async fn invoke(&mut self, event: Bytes) -> Result<(Answer, Duration)> {
        let began = Instant::now();
        self.events.send(event)?;
        let answer = tokio::time::timeout(PATIENCE, self.answers.recv()).await?;
        let answer = answer.context("the process gave no answer")?;
        if answer.failed {
            bail!(
                "the function failed: {}",
                String::from_utf8_lossy(&answer.payload)
            );
        }
        let took = answer.at - began;
        Ok((answer, took))
    }

    /// The processor time of the process so far, with all threads and the kernel's part.
    pub fn cpu(&self) -> Result<Duration> {
        cpu_of(self.pid()?)
    }

    /// The peak memory of the process, in bytes.
    pub fn peak_memory(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()?))?;
        let line = status.lines().find(|line| line.starts_with("VmHWM:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().nth(1));
        Ok(kilobytes.context("no VmHWM")?.parse::<u64>()? * 1024)
    }

    /// The id of the process; an error when it has ended.
    pub fn pid(&self) -> Result<u32> {
        self.child.id().context("the process has ended")
    }
}

impl Drop for Lambda {
    fn drop(&mut self) {
        self.stopped.notify_waiters();
    }
}

/// The processor time of a process so far, with all threads and the kernel's part.
pub fn cpu_of(pid: u32) -> Result<Duration> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task"))?;
    let mut total = Duration::ZERO;
    for task in tasks {
        let schedule = std::fs::read_to_string(task?.path().join("schedstat"))?;
        let nanoseconds = schedule.split_whitespace().next().unwrap_or("0").parse()?;
        total += Duration::from_nanos(nanoseconds);
    }
    Ok(total)
}

impl RuntimeApi {
    async fn handle(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::default());
        if request.method() == Method::GET {
            let _ = self.asked.send(Instant::now());
            let Some(event) = self.events.lock().await.recv().await else {
                *response.status_mut() = StatusCode::GONE;
                return response;
            };
            let headers = response.headers_mut();
            for (name, value) in [
                (
                    "lambda-runtime-aws-request-id",
                    "8476a536-e9f4-11e8-9739-2dfe598c3fcd",
                ),
                (
                    "lambda-runtime-invoked-function-arn",
                    "arn:aws:lambda:us-east-1:0:function:f",
                ),
                ("content-type", "application/json"),
            ] {
                headers.insert(name, http::HeaderValue::from_static(value));
            }
            headers.insert("lambda-runtime-deadline-ms", deadline());
            *response.body_mut() = Full::new(event);
            return response;
        }
        let failed = !request.uri().path().ends_with("/response");
        let payload = request.into_body().collect().await;
        let payload = payload.map(|body| body.to_bytes()).unwrap_or_default();
        let at = Instant::now();
        let _ = self.answers.send(Answer {
            at,
            failed,
            payload,
        });
        *response.status_mut() = StatusCode::ACCEPTED;
        response
    }
}

/// A deadline in a minute, in milliseconds since 1970.
fn deadline() -> http::HeaderValue {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
    let deadline = since_1970.unwrap_or_default() + Duration::from_secs(60);
    let millis = u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX);
    http::HeaderValue::from(millis)
}
