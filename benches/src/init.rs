//! Cold starts: the time from the start of a process until it first asks for an event, and what
//! follows.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result};
use bellwire_domain::ids::random_id;
use bytes::Bytes;
use serde::Serialize;

use crate::aws::Aws;
use crate::figures::{Spread, millis, percentile};
use crate::lambda::Lambda;
use crate::stack;

/// A function to start.
pub struct Subject {
    /// Its name in the results.
    pub name: String,
    /// The program to run.
    pub program: PathBuf,
    /// The arguments of the program; none for a `bootstrap`.
    pub arguments: Vec<String>,
    /// The event that it is invoked with.
    pub event: Bytes,
}

/// The results for a function. Times are in milliseconds, sizes in bytes.
#[derive(Serialize)]
pub struct Start {
    name: String,
    binary: Option<u64>,
    init: Spread,
    first: Spread,
    p50: f64,
    p99: f64,
    cpu: f64,
    peak_memory: Spread,
}

/// How often each function is started, and how many events each gets once it is warm.
pub struct Times {
    /// How often each function is started.
    pub starts: usize,
    /// How many events each gets after the first.
    pub warm: usize,
}

#[derive(Default)]
struct Runs {
    init: Vec<f64>,
    first: Vec<f64>,
    warm: Vec<f64>,
    cpu: Vec<f64>,
    peak_memory: Vec<f64>,
}

/// Starts all functions in alternation, so that what happens to the machine affects all of them.
pub async fn measure(aws: &Aws, subjects: Vec<Subject>, times: &Times) -> Result<Vec<Start>> {
    let mut runs: Vec<Runs> = subjects.iter().map(|_| Runs::default()).collect();
    for _ in 0..times.starts {
        // In another order every time: a large function leaves cold caches to the next.
        let mut turns: Vec<_> = subjects.iter().zip(&mut runs).collect();
        turns.sort_by_cached_key(|_| random_id());
        for (subject, runs) in turns {
            one(aws, subject, times, runs)
                .await
                .with_context(|| subject.name.clone())?;
        }
    }
    let measured = subjects.into_iter().zip(runs).map(|(subject, mut runs)| {
        runs.warm.sort_by(f64::total_cmp);
        Start {
            binary: subject
                .arguments
                .is_empty()
                .then(|| size(&subject.program))
                .flatten(),
            name: subject.name,
            init: Spread::of(runs.init),
            first: Spread::of(runs.first),
            p50: percentile(&runs.warm, 0.5),
            p99: percentile(&runs.warm, 0.99),
            cpu: Spread::of(runs.cpu).median,
            peak_memory: Spread::of(runs.peak_memory),
        }
    });
    Ok(measured.collect())
}

async fn one(aws: &Aws, subject: &Subject, times: &Times, runs: &mut Runs) -> Result<()> {
    let arguments: Vec<&str> = subject.arguments.iter().map(String::as_str).collect();
    let environment = stack::environment(aws);
    let mut lambda =
        Lambda::start(&subject.program, &arguments, &environment, Stdio::null()).await?;
    runs.init.push(millis(lambda.ready().await?));
    let (_, first) = lambda.invoke(subject.event.clone()).await?;
    runs.first.push(millis(first));
    let before = lambda.cpu()?;
    for _ in 0..times.warm {
        let (_, took) = lambda.invoke(subject.event.clone()).await?;
        runs.warm.push(millis(took));
    }
    // There are far fewer than 2^52 of them.
    #[allow(clippy::cast_precision_loss)]
    let count = times.warm.max(1) as f64;
    runs.cpu.push(millis(lambda.cpu()? - before) / count);
    #[allow(clippy::cast_precision_loss)]
    runs.peak_memory.push(lambda.peak_memory()? as f64);
    Ok(())
}

fn size(program: &Path) -> Option<u64> {
    Some(std::fs::metadata(program).ok()?.len())
}
