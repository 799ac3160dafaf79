//! Publishing from end to end: `publish`, `commit`, `fanout` and `deliver` as processes, with the
//! queues between them, and with Lambda's part of passing messages to functions.

use std::collections::BTreeMap;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use crate::aws::Aws;
use crate::figures::millis;
use crate::lambda::{Lambda, cpu_of};
use crate::queues::{self, Message};
use crate::stack;

/// How many instances of each function run at once.
const INSTANCES: usize = 2;
/// The sizes of batches, as in the template.
const BATCH: usize = 10;
const FAN_OUT_BATCH: usize = 1;
/// How long to wait until all messages are processed.
const PATIENCE: Duration = Duration::from_secs(600);

/// The running functions.
pub struct Pipeline {
    aws: Aws,
    shared: Arc<Shared>,
    free: tokio::sync::Mutex<UnboundedReceiver<Lambda>>,
    freed: UnboundedSender<Lambda>,
    samples: Samples,
    working: JoinSet<Result<()>>,
    processes: Vec<Process>,
    logs: PathBuf,
}

/// The requests of a publisher, as API Gateway hands them over, without topic and body.
struct Samples {
    publication: Value,
    batch: Value,
}

/// An instance of a function, and its processor time when that was last read.
struct Process {
    name: &'static str,
    pid: u32,
    cpu: Duration,
}

/// The work of the functions, by name.
pub type Usage = BTreeMap<&'static str, Used>;

/// The work of one function.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Used {
    /// How many invocations there were.
    pub invocations: u64,
    /// How long they took in all, in milliseconds, each invocation rounded up, as AWS charges them.
    pub millis: u64,
    /// The processor time of its instances, in milliseconds.
    pub cpu: f64,
}

#[derive(Default)]
struct Shared {
    usage: Mutex<Usage>,
}

impl Shared {
    fn note(&self, name: &'static str, took: Duration) {
        let mut usage = self.usage.lock().unwrap_or_else(PoisonError::into_inner);
        let used = usage.entry(name).or_default();
        used.invocations += 1;
        used.millis += u64::try_from(took.as_micros().div_ceil(1000)).unwrap_or(u64::MAX);
    }
}

impl Pipeline {
    /// Starts the functions. Their logs are written into the folder `logs`, which is emptied
    /// before.
    pub async fn start(aws: &Aws, binaries: &Path, logs: PathBuf) -> Result<Self> {
        let _ = std::fs::remove_dir_all(&logs);
        std::fs::create_dir_all(&logs)?;
        let (freed, free) = unbounded_channel();
        let sample = |name: &str| {
            let text = std::fs::read(format!("events/publish/{name}.json"));
            anyhow::Ok(serde_json::from_slice(&text.context("a sample event")?)?)
        };
        let mut pipeline = Self {
            aws: aws.clone(),
            shared: Arc::default(),
            free: tokio::sync::Mutex::new(free),
            freed,
            samples: Samples {
                publication: sample("document")?,
                batch: sample("batch")?,
            },
            working: JoinSet::new(),
            processes: Vec::new(),
            logs,
        };
        for lambda in pipeline.instances(binaries, "publish").await? {
            pipeline
                .freed
                .send(lambda)
                .ok()
                .context("a free instance")?;
        }
        let read = |name: &str| aws.queues().read(&format!("http://sqs/{name}"));
        let publications = by_group(read("publications.fifo"));
        let commits = pipeline.instances(binaries, "commit").await?;
        for (lambda, queue) in commits.into_iter().zip(publications) {
            pipeline.feed("commit", vec![lambda], queue, BATCH);
        }
        let fanouts = pipeline.instances(binaries, "fanout").await?;
        pipeline.feed("fanout", fanouts, read("fan-outs"), FAN_OUT_BATCH);
        let delivers = pipeline.instances(binaries, "deliver").await?;
        pipeline.feed("deliver", delivers, read("deliveries"), BATCH);
        Ok(pipeline)
    }

    /// Publishes to a topic, as its publisher does over the API.
    pub async fn publish(&self, topic_id: &str, body: &str) -> Result<()> {
        self.call(&self.samples.publication, topic_id, body, 202)
            .await?;
        Ok(())
    }

    /// Publishes several events at once.
    pub async fn publish_batch(&self, topic_id: &str, bodies: &[String]) -> Result<()> {
        let events: Vec<String> = bodies
            .iter()
            .map(|body| format!(r#"{{"payload":{body}}}"#))
            .collect();
        let body = format!(r#"{{"events":[{}]}}"#, events.join(","));
        let answer = self.call(&self.samples.batch, topic_id, &body, 207).await?;
        let accepted = answer.matches(r#""status":202"#).count();
        ensure!(
            accepted == bodies.len(),
            "not all events were accepted: {answer}"
        );
        Ok(())
    }

    /// Has `publish` answer a request. Returns the body of its answer.
    async fn call(
        &self,
        sample: &Value,
        topic_id: &str,
        body: &str,
        status: u16,
    ) -> Result<String> {
        let mut event = sample.clone();
        if let Some(event) = event.as_object_mut() {
            event.insert("body".to_owned(), body.into());
            let parameters = json!({"topicId": topic_id});
            event.insert("pathParameters".to_owned(), parameters);
        }
        let lambda = self.free.lock().await.recv().await;
        let mut lambda = lambda.context("no instance of publish")?;
        let (answer, took) = lambda.invoke(Bytes::from(event.to_string())).await?;
        self.freed.send(lambda).ok().context("a free instance")?;
        self.shared.note("publish", took);
        let answer: Value = serde_json::from_slice(&answer.payload)?;
        ensure!(answer.get("statusCode") == Some(&json!(status)), "{answer}");
        let body = answer.get("body").and_then(Value::as_str);
        Ok(body.unwrap_or_default().to_owned())
    }

    /// Waits until every message has been processed.
    pub async fn idle(&mut self) -> Result<()> {
        let began = Instant::now();
        while self.aws.queues().undone() > 0 {
            ensure!(began.elapsed() < PATIENCE, "the queues are not empty");
            if let Some(ended) = self.working.try_join_next() {
                ended??;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(())
    }

    /// The work of the functions since the last call of this.
    pub fn take_usage(&mut self) -> Result<Usage> {
        let usage = self.shared.usage.lock();
        let mut usage = std::mem::take(&mut *usage.unwrap_or_else(PoisonError::into_inner));
        for process in &mut self.processes {
            let cpu = cpu_of(process.pid)?;
            if let Some(used) = usage.get_mut(process.name) {
                used.cpu += millis(cpu - process.cpu);
            }
            process.cpu = cpu;
        }
        Ok(usage)
    }

    /// How many bytes of logs the functions have written so far.
    pub fn logged(&self) -> Result<u64> {
        let mut total = 0;
        for file in std::fs::read_dir(&self.logs)? {
            total += file?.metadata()?.len();
        }
        Ok(total)
    }

    async fn instances(&mut self, binaries: &Path, name: &'static str) -> Result<Vec<Lambda>> {
        let mut instances = Vec::new();
        for number in 0..INSTANCES {
            let logs = File::create(self.logs.join(format!("{name}-{number}")))?;
            let program = binaries.join(name).join("bootstrap");
            let environment = stack::environment(&self.aws);
            let mut lambda = Lambda::start(&program, &[], &environment, Stdio::from(logs)).await?;
            lambda.ready().await?;
            self.processes.push(Process {
                name,
                pid: lambda.pid()?,
                cpu: Duration::ZERO,
            });
            instances.push(lambda);
        }
        Ok(instances)
    }

    /// Hands the messages of a queue to instances of a function, in batches: as many as wait, up to
    /// `batch`.
    fn feed(
        &mut self,
        name: &'static str,
        instances: Vec<Lambda>,
        queue: UnboundedReceiver<Message>,
        batch: usize,
    ) {
        let queue = Arc::new(tokio::sync::Mutex::new(queue));
        for lambda in instances {
            let (queue, shared, aws) = (
                Arc::clone(&queue),
                Arc::clone(&self.shared),
                self.aws.clone(),
            );
            self.working.spawn(async move {
                let worked = work(name, lambda, &queue, batch, &shared, &aws).await;
                worked.context(name)
            });
        }
    }
}

async fn work(
    name: &'static str,
    mut lambda: Lambda,
    queue: &tokio::sync::Mutex<UnboundedReceiver<Message>>,
    batch: usize,
    shared: &Shared,
    aws: &Aws,
) -> Result<()> {
    loop {
        let mut messages = Vec::new();
        if queue.lock().await.recv_many(&mut messages, batch).await == 0 {
            return Ok(());
        }
        aws.count_batch(messages.iter().map(|it| it.body.len()).sum());
        let (answer, took) = lambda.invoke(queues::event(&messages)).await?;
        shared.note(name, took);
        let answer: Value = serde_json::from_slice(&answer.payload)?;
        let failures = answer.get("batchItemFailures").and_then(Value::as_array);
        ensure!(failures.is_none_or(Vec::is_empty), "{answer}");
        aws.queues().done(messages.len());
    }
}

/// A FIFO queue, split into one for each instance of the function that reads it. The messages of a
/// group stay together, in order.
fn by_group(mut queue: UnboundedReceiver<Message>) -> Vec<UnboundedReceiver<Message>> {
    let (to, from): (Vec<_>, Vec<_>) = (0..INSTANCES).map(|_| unbounded_channel()).unzip();
    tokio::spawn(async move {
        while let Some(message) = queue.recv().await {
            let mut hasher = DefaultHasher::new();
            message.group.hash(&mut hasher);
            let place = usize::try_from(hasher.finish() % INSTANCES as u64).unwrap_or_default();
            if let Some(to) = to.get(place) {
                let _ = to.send(message);
            }
        }
    });
    from
}
