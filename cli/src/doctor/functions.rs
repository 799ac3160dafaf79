//! Whether functions can run, queues and streams are read, and EventBridge's rules start them.

use anyhow::Context;
use aws_sdk_eventbridge::types::RuleState;
use aws_sdk_lambda::operation::get_function_configuration::GetFunctionConfigurationOutput;
use aws_sdk_lambda::types::{LastUpdateStatus, State};

use super::{Examined, Finding, Health};

pub async fn check(examined: &Examined, found: &mut Vec<Finding>) -> anyhow::Result<()> {
    functions(examined, found).await?;
    sources(examined, found).await?;
    rules(examined, found).await
}

async fn functions(examined: &Examined, found: &mut Vec<Finding>) -> anyhow::Result<()> {
    let lambda = aws_sdk_lambda::Client::new(&examined.config);
    let mut well = 0;
    for function in examined.of_kind("AWS::Lambda::Function") {
        let name = &function.physical_id;
        let read = lambda.get_function_configuration().function_name(name);
        match read.send().await {
            Ok(answer) => match trouble(&FunctionState::of(&answer)) {
                Some((health, trouble)) => found.push(Finding::new(health, name, trouble)),
                None => well += 1,
            },
            Err(error) => {
                let missing = error.as_service_error();
                if !missing.is_some_and(|it| it.is_resource_not_found_exception()) {
                    return Err(error).context("a function could not be read");
                }
                found.push(Finding::problem(name, "the function is not there any more"));
            }
        }
    }
    found.push(Finding::ok("functions", format!("{well} can run")));
    Ok(())
}

/// What Lambda says of a function.
/// <https://docs.aws.amazon.com/lambda/latest/dg/functions-states.html>
struct FunctionState<'a> {
    state: Option<&'a State>,
    reason: Option<&'a str>,
    update: Option<&'a LastUpdateStatus>,
    update_reason: Option<&'a str>,
}

impl<'a> FunctionState<'a> {
    fn of(answer: &'a GetFunctionConfigurationOutput) -> Self {
        Self {
            state: answer.state(),
            reason: answer.state_reason(),
            update: answer.last_update_status(),
            update_reason: answer.last_update_status_reason(),
        }
    }
}

/// What keeps a function from running, or from running its current version. An inactive one was idle for weeks, and is made
/// ready again by the next invocation, which fails.
fn trouble(function: &FunctionState<'_>) -> Option<(Health, String)> {
    let (health, what, reason) = match (function.state, function.update) {
        (Some(State::Failed), _) => (Health::Problem, "can't run", function.reason),
        (_, Some(LastUpdateStatus::Failed)) => {
            let reason = function.update_reason;
            (Health::Problem, "the last change failed", reason)
        }
        (Some(State::Inactive), _) => (Health::Warning, "is inactive", function.reason),
        _ => return None,
    };
    let reason = reason.unwrap_or("Lambda says no more");
    Some((health, format!("{what}: {reason}")))
}

/// The event sources: queues and a stream.
async fn sources(examined: &Examined, found: &mut Vec<Finding>) -> anyhow::Result<()> {
    let lambda = aws_sdk_lambda::Client::new(&examined.config);
    let mut well = 0;
    for source in examined.of_kind("AWS::Lambda::EventSourceMapping") {
        let name = &source.logical_id;
        let read = lambda.get_event_source_mapping().uuid(&source.physical_id);
        let why = match read.send().await {
            Ok(answer) => not_read(
                answer.state().unwrap_or_default(),
                answer.last_processing_result().unwrap_or_default(),
            ),
            Err(error) => {
                let missing = error.as_service_error();
                if !missing.is_some_and(|it| it.is_resource_not_found_exception()) {
                    return Err(error).with_context(|| format!("{name} could not be read"));
                }
                Some("is not there any more: nothing is read".to_owned())
            }
        };
        match why {
            None => well += 1,
            Some(_) if is_off_by_choice(examined, name) => {}
            Some(why) => found.push(Finding::problem(name, why)),
        }
    }
    let message = format!("{well} are read");
    found.push(Finding::ok("queues and streams", message));
    Ok(())
}

/// Why nothing is read by a mapping in this state, with this result of what it did last; `None` if it works, or will in a
/// moment. <https://docs.aws.amazon.com/lambda/latest/api/API_GetEventSourceMapping.html>
fn not_read(state: &str, last: &str) -> Option<String> {
    if !matches!(state, "Enabled" | "Enabling" | "Creating" | "Updating") {
        return Some(format!("{state}: nothing is read"));
    }
    last.starts_with("PROBLEM").then(|| last.to_owned())
}

/// Counting attempts can be turned off.
fn is_off_by_choice(examined: &Examined, logical_id: &str) -> bool {
    let counts = examined.deployed.parameter("AttemptCounts");
    logical_id.starts_with("AttemptCounts") && counts.is_ok_and(|it| it == "false")
}

async fn rules(examined: &Examined, found: &mut Vec<Finding>) -> anyhow::Result<()> {
    let events = aws_sdk_eventbridge::Client::new(&examined.config);
    let own_bus = examined.deployed.output("EventBusName")?;
    let mut well = 0;
    for rule in examined.of_kind("AWS::Events::Rule") {
        // CloudFormation names a rule on another bus than the default one by both.
        let name = rule.physical_id.rsplit('|').next().unwrap_or_default();
        let mut state = None;
        for bus in ["default", &own_bus] {
            state = state.or(rule_state(&events, bus, name).await?);
        }
        match state {
            Some(RuleState::Disabled) => {
                let message = "the rule is disabled: it starts nothing";
                found.push(Finding::problem(name, message));
            }
            Some(_) => well += 1,
            None => found.push(Finding::problem(name, "the rule is not there any more")),
        }
    }
    found.push(Finding::ok("rules", format!("{well} are enabled")));
    Ok(())
}

/// The state of a bus's rule; `None` if there is no such rule.
async fn rule_state(
    events: &aws_sdk_eventbridge::Client,
    bus: &str,
    name: &str,
) -> anyhow::Result<Option<RuleState>> {
    let read = events.describe_rule().event_bus_name(bus).name(name);
    match read.send().await {
        Ok(answer) => Ok(answer.state),
        Err(error) => {
            let missing = error.as_service_error();
            if missing.is_some_and(|it| it.is_resource_not_found_exception()) {
                return Ok(None);
            }
            Err(error).with_context(|| format!("the rule {name} could not be read"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function<'a>(
        state: Option<&'a State>,
        update: Option<&'a LastUpdateStatus>,
    ) -> FunctionState<'a> {
        FunctionState {
            state,
            reason: Some("its role is gone"),
            update,
            update_reason: None,
        }
    }

    #[test]
    fn a_function_that_cannot_run_says_why() {
        let said = |health, text: &str| Some((health, text.to_owned()));
        let failed = trouble(&function(Some(&State::Failed), None));
        assert_eq!(failed, said(Health::Problem, "can't run: its role is gone"));
        let stuck = function(Some(&State::Active), Some(&LastUpdateStatus::Failed));
        let expected = "the last change failed: Lambda says no more";
        assert_eq!(trouble(&stuck), said(Health::Problem, expected));
        let idle = trouble(&function(Some(&State::Inactive), None));
        assert_eq!(idle, said(Health::Warning, "is inactive: its role is gone"));
        let updated = function(Some(&State::Active), Some(&LastUpdateStatus::Successful));
        for well in [updated, function(None, None)] {
            assert_eq!(trouble(&well), None);
        }
    }

    #[test]
    fn what_is_disabled_or_fails_is_not_read() {
        for well in ["Enabled", "Updating"] {
            assert_eq!(not_read(well, "OK"), None);
            assert_eq!(not_read(well, ""), None);
        }
        for off in ["Disabled", "Disabling", "Deleting", ""] {
            assert!(not_read(off, "OK").is_some(), "{off}");
        }
        let problem = "PROBLEM: Lambda is not allowed to read";
        assert_eq!(not_read("Enabled", problem).as_deref(), Some(problem));
    }
}
