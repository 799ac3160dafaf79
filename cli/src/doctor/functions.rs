//! Whether functions can run, queues and streams are read, and EventBridge's rules start them.

use anyhow::Context;
use aws_sdk_eventbridge::types::RuleState;
use aws_sdk_lambda::types::{LastUpdateStatus, State};

use super::{Examined, Finding};

pub async fn check(examined: &Examined) -> anyhow::Result<Vec<Finding>> {
    let mut found = functions(examined).await?;
    found.extend(sources(examined).await?);
    found.extend(rules(examined).await?);
    Ok(found)
}

async fn functions(examined: &Examined) -> anyhow::Result<Vec<Finding>> {
    let lambda = aws_sdk_lambda::Client::new(&examined.config);
    let (mut found, mut well) = (Vec::new(), 0);
    for function in examined.of_kind("AWS::Lambda::Function") {
        let name = &function.physical_id;
        let read = lambda.get_function_configuration().function_name(name);
        match read.send().await {
            Ok(answer) => match trouble(&FunctionState::of(&answer)) {
                Some(trouble) => found.push(Finding::problem(name, trouble)),
                None => well += 1,
            },
            Err(error) if is_missing(&error) => {
                found.push(Finding::problem(name, "the function is not there any more"));
            }
            Err(error) => return Err(error).context("a function could not be read"),
        }
    }
    found.push(Finding::ok("functions", format!("{well} can run")));
    Ok(found)
}

fn is_missing(
    error: &aws_sdk_lambda::error::SdkError<
        aws_sdk_lambda::operation::get_function_configuration::GetFunctionConfigurationError,
    >,
) -> bool {
    let error = error.as_service_error();
    error.is_some_and(|it| it.is_resource_not_found_exception())
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
    fn of(
        answer: &'a aws_sdk_lambda::operation::get_function_configuration::GetFunctionConfigurationOutput,
    ) -> Self {
        Self {
            state: answer.state(),
            reason: answer.state_reason(),
            update: answer.last_update_status(),
            update_reason: answer.last_update_status_reason(),
        }
    }
}

/// What keeps a function from running, or from running its current version.
fn trouble(function: &FunctionState<'_>) -> Option<String> {
    let because = |reason: Option<&str>| reason.unwrap_or("Lambda says no more").to_owned();
    match (function.state, function.update) {
        (Some(State::Failed | State::Inactive), _) => {
            Some(format!("can't run: {}", because(function.reason)))
        }
        (_, Some(LastUpdateStatus::Failed)) => Some(format!(
            "the last change failed: {}",
            because(function.update_reason)
        )),
        _ => None,
    }
}

/// The event sources: queues and a stream.
async fn sources(examined: &Examined) -> anyhow::Result<Vec<Finding>> {
    let lambda = aws_sdk_lambda::Client::new(&examined.config);
    let (mut found, mut well) = (Vec::new(), 0);
    for source in examined.of_kind("AWS::Lambda::EventSourceMapping") {
        let read = lambda.get_event_source_mapping().uuid(&source.physical_id);
        let answer = read.send().await;
        let answer = answer.with_context(|| format!("{} could not be read", source.logical_id))?;
        let state = answer.state().unwrap_or_default();
        let meant_to_be_off = is_off_by_choice(examined, &source.logical_id);
        if is_read(state) {
            well += 1;
        } else if !meant_to_be_off {
            let message = format!("{state}: nothing is read from it");
            found.push(Finding::problem(&source.logical_id, message));
        }
    }
    found.push(Finding::ok(
        "queues and streams",
        format!("{well} are read"),
    ));
    Ok(found)
}

/// Whether a mapping in this state is read, or will be in a moment.
/// <https://docs.aws.amazon.com/lambda/latest/api/API_GetEventSourceMapping.html>
fn is_read(state: &str) -> bool {
    matches!(state, "Enabled" | "Enabling" | "Creating" | "Updating")
}

/// Counting attempts can be turned off.
fn is_off_by_choice(examined: &Examined, logical_id: &str) -> bool {
    let counts = examined.deployed.parameter("AttemptCounts");
    logical_id.starts_with("AttemptCounts") && counts.is_ok_and(|it| it == "false")
}

async fn rules(examined: &Examined) -> anyhow::Result<Vec<Finding>> {
    let events = aws_sdk_eventbridge::Client::new(&examined.config);
    let own_bus = examined.deployed.output("EventBusName")?;
    let (mut found, mut well) = (Vec::new(), 0);
    for rule in examined.of_kind("AWS::Events::Rule") {
        // CloudFormation names a rule on another bus than the default one by both.
        let name = rule.physical_id.rsplit('|').next().unwrap_or_default();
        let mut state = None;
        for bus in ["default", &own_bus] {
            state = state.or(rule_state(&events, bus, name).await?);
        }
        match state {
            Some(RuleState::Disabled) => {
                found.push(Finding::problem(
                    name,
                    "the rule is disabled: it starts nothing",
                ));
            }
            Some(_) => well += 1,
            None => found.push(Finding::problem(name, "the rule is not there any more")),
        }
    }
    found.push(Finding::ok("rules", format!("{well} are enabled")));
    Ok(found)
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
        let failed = trouble(&function(Some(&State::Failed), None));
        assert_eq!(failed.as_deref(), Some("can't run: its role is gone"));
        let stuck = function(Some(&State::Active), Some(&LastUpdateStatus::Failed));
        let stuck = trouble(&stuck);
        assert_eq!(
            stuck.as_deref(),
            Some("the last change failed: Lambda says no more")
        );
        let updated = function(Some(&State::Active), Some(&LastUpdateStatus::Successful));
        for well in [updated, function(None, None)] {
            assert_eq!(trouble(&well), None);
        }
    }

    #[test]
    fn what_is_disabled_is_not_read() {
        assert!(is_read("Enabled") && is_read("Updating"));
        for off in ["Disabled", "Disabling", "Deleting", ""] {
            assert!(!is_read(off), "{off}");
        }
    }
}
