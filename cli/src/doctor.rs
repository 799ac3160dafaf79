//! `bellwire doctor`: whether a stack is well, by what AWS says of it. It changes nothing.

mod alarms;
mod functions;
mod queues;
mod quotas;
mod roles;
mod usage;
mod versions;

use std::process::ExitCode;

use anyhow::Context;
use aws_config::SdkConfig;
use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::print::{Output, nobody_reads, words};
use crate::progress;
use crate::stack::{self, Deployed};

/// The exit code when something is wrong.
const SOMETHING_WRONG: u8 = 1;
/// The exit code when nothing is known to be wrong, and something could not be examined.
const UNKNOWN: u8 = 2;

/// What is examined.
#[derive(Args)]
pub struct Wanted {
    /// Leave these out, for whoever may not read them; for several, say --skip several times
    #[arg(long, value_enum)]
    skip: Vec<Check>,
}

/// A check.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Check {
    /// The last deployment, and whether stack and command are of one version
    Versions,
    /// Functions, and what starts them
    Functions,
    /// What waits in queues, and dead letters
    Queues,
    /// Alarms, and whether somebody is notified
    Alarms,
    /// The roles of functions, and API Gateway's for its logs
    Roles,
    /// Quotas of the account that are near their end
    Quotas,
}

impl Check {
    const ALL: [Self; 6] = [
        Self::Versions,
        Self::Functions,
        Self::Queues,
        Self::Alarms,
        Self::Roles,
        Self::Quotas,
    ];
}

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Health {
    /// As it should be.
    Ok,
    /// It works, and somebody should look at it.
    Warning,
    /// It doesn't work.
    Problem,
    /// It could not be examined.
    Unknown,
}

/// What a check has found.
#[derive(Debug, Serialize)]
struct Finding {
    health: Health,
    /// What it is about.
    what: String,
    message: String,
}

/// A finding, and the check.
#[derive(Serialize)]
struct Reported {
    check: Check,
    #[serde(flatten)]
    finding: Finding,
}

/// The stack that is examined.
struct Examined {
    config: SdkConfig,
    deployed: Deployed,
    resources: Vec<Resource>,
}

/// A resource of the stack.
struct Resource {
    /// Such as `AWS::SQS::Queue`.
    kind: String,
    /// Its name in the template.
    logical_id: String,
    /// Its name, id or ARN.
    physical_id: String,
}

impl Finding {
    fn new(health: Health, what: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            health,
            what: what.into(),
            message: message.into(),
        }
    }

    fn ok(what: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Health::Ok, what, message)
    }

    fn warning(what: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Health::Warning, what, message)
    }

    fn problem(what: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Health::Problem, what, message)
    }
}

/// Examines the stack of this name. The exit code is 0 if nothing is wrong, 1 if something is, and 2 if something could not
/// be examined, and nothing else is wrong.
///
/// # Errors
/// When it can't be printed.
pub async fn run(wanted: &Wanted, stack: &str, output: Output) -> anyhow::Result<ExitCode> {
    let examined = match Examined::read(stack).await {
        Ok(examined) => examined,
        Err(error) => {
            eprintln!("bellwire: {error:#}");
            return Ok(ExitCode::from(UNKNOWN));
        }
    };
    let checks = Check::ALL
        .into_iter()
        .filter(|it| !wanted.skip.contains(it));
    let checks: Vec<Check> = checks.collect();
    let bar = progress::bar("examining");
    let mut reported = Vec::new();
    for (done, check) in checks.iter().copied().enumerate() {
        progress::show(&bar, done, checks.len());
        let findings = examined.carry_out(check).await;
        reported.extend(
            findings
                .into_iter()
                .map(|finding| Reported { check, finding }),
        );
    }
    bar.finish_and_clear();
    let rows = reported.iter().map(|it| {
        let Finding {
            health,
            what,
            message,
        } = &it.finding;
        vec![
            words(health),
            words(&it.check),
            what.clone(),
            message.clone(),
        ]
    });
    let printed = output.many(
        "findings",
        &reported,
        &["HEALTH", "CHECK", "WHAT", "FOUND"],
        rows,
    );
    let healths: Vec<Health> = reported.iter().map(|it| it.finding.health).collect();
    let code = exit_code(&healths);
    match printed {
        // The code says the same to whoever has read enough.
        Err(error) if !nobody_reads(&error) => Err(error),
        _ => Ok(ExitCode::from(code)),
    }
}

fn exit_code(healths: &[Health]) -> u8 {
    if healths.contains(&Health::Problem) {
        SOMETHING_WRONG
    } else if healths.contains(&Health::Unknown) {
        UNKNOWN
    } else {
        0
    }
}

impl Examined {
    async fn read(stack: &str) -> anyhow::Result<Self> {
        let config = stack::aws().await;
        let deployed = Deployed::read(&config, stack).await?;
        let mut summaries = aws_sdk_cloudformation::Client::new(&config)
            .list_stack_resources()
            .stack_name(stack)
            .into_paginator()
            .items()
            .send();
        let mut resources = Vec::new();
        while let Some(summary) = summaries.next().await {
            let summary = summary.context("the stack's resources could not be read")?;
            let status = summary.resource_status.as_ref().map(|it| it.as_str());
            if status.is_some_and(|it| it.starts_with("DELETE_")) {
                continue;
            }
            resources.extend(summary.physical_resource_id.map(|physical_id| Resource {
                kind: summary.resource_type.unwrap_or_default(),
                logical_id: summary.logical_resource_id.unwrap_or_default(),
                physical_id,
            }));
        }
        Ok(Self {
            config,
            deployed,
            resources,
        })
    }

    async fn carry_out(&self, check: Check) -> Vec<Finding> {
        let mut found = Vec::new();
        let examined = match check {
            Check::Versions => {
                found.extend(versions::check(&self.deployed));
                Ok(())
            }
            Check::Functions => functions::check(self, &mut found).await,
            Check::Queues => queues::check(self, &mut found).await,
            Check::Alarms => alarms::check(self, &mut found).await,
            Check::Roles => roles::check(self, &mut found).await,
            Check::Quotas => quotas::check(self, &mut found).await,
        };
        // What was found before stays.
        if let Err(error) = examined {
            let message = format!("could not be examined: {}", causes(&error));
            found.push(Finding::new(Health::Unknown, "the rest", message));
        }
        found
    }

    /// The stack's resources of a kind.
    fn of_kind(&self, kind: &str) -> impl Iterator<Item = &Resource> {
        self.resources.iter().filter(move |it| it.kind == kind)
    }
}

/// What an error and its causes say, each once: those of the SDK repeat the ones before.
fn causes(error: &anyhow::Error) -> String {
    let mut said = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if !said.contains(&cause) {
            let colon = if said.is_empty() { "" } else { ": " };
            said.push_str(colon);
            said.push_str(&cause);
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_that_says_the_same_is_said_once() {
        let error = anyhow::anyhow!("no such rule").context("service error: no such rule");
        let error = error.context("the rule could not be read");
        let said = "the rule could not be read: service error: no such rule";
        assert_eq!(causes(&error), said);
    }

    #[test]
    fn what_is_wrong_outweighs_what_is_unknown() {
        use Health::{Ok, Problem, Unknown, Warning};
        for (healths, code) in [
            (vec![], 0),
            (vec![Ok, Warning], 0),
            (vec![Ok, Unknown], 2),
            (vec![Unknown, Problem, Ok], 1),
        ] {
            assert_eq!(exit_code(&healths), code, "{healths:?}");
        }
    }
}
