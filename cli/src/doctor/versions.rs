//! How the last deployment has ended, and whether the stack is of this command's version.

use super::Finding;
use crate::stack::Deployed;

const OWN: &str = env!("CARGO_PKG_VERSION");

pub fn check(deployed: &Deployed) -> Vec<Finding> {
    let version = deployed.output("Version").ok();
    vec![
        deployment(&deployed.name, &deployed.status),
        version_of(&deployed.name, version.as_deref()),
    ]
}

/// What the status of a stack says.
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html>
fn deployment(stack: &str, status: &str) -> Finding {
    match status {
        "CREATE_COMPLETE" | "UPDATE_COMPLETE" | "IMPORT_COMPLETE" => Finding::ok(stack, status),
        _ if status.ends_with("ROLLBACK_COMPLETE") => Finding::problem(
            stack,
            format!("{status}: the last deployment failed, and was undone"),
        ),
        _ if status.starts_with("DELETE_") => {
            Finding::problem(stack, format!("{status}: it is being deleted"))
        }
        _ if status.ends_with("ROLLBACK_IN_PROGRESS") => Finding::problem(
            stack,
            format!("{status}: the last deployment failed, and is being undone"),
        ),
        _ if status.ends_with("IN_PROGRESS") => {
            Finding::warning(stack, format!("{status}: it is being deployed"))
        }
        _ => Finding::problem(stack, format!("{status}: the last deployment failed")),
    }
}

fn version_of(stack: &str, version: Option<&str>) -> Finding {
    match version {
        Some(OWN) => Finding::ok(stack, format!("version {OWN}, as this command")),
        Some(other) => Finding::warning(
            stack,
            format!("version {other}, and this command {OWN}: some commands may not fit"),
        ),
        None => Finding::warning(
            stack,
            format!("of a version before {OWN}, which this command is of: some may not fit"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Health;
    use super::*;

    #[test]
    fn a_deployment_that_failed_is_a_problem() {
        for (status, health) in [
            ("CREATE_COMPLETE", Health::Ok),
            ("UPDATE_COMPLETE", Health::Ok),
            ("UPDATE_IN_PROGRESS", Health::Warning),
            ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", Health::Warning),
            ("UPDATE_ROLLBACK_IN_PROGRESS", Health::Problem),
            ("ROLLBACK_COMPLETE", Health::Problem),
            ("DELETE_IN_PROGRESS", Health::Problem),
            ("UPDATE_ROLLBACK_COMPLETE", Health::Problem),
            ("UPDATE_ROLLBACK_FAILED", Health::Problem),
            ("CREATE_FAILED", Health::Problem),
            ("", Health::Problem),
        ] {
            assert_eq!(deployment("s", status).health, health, "{status}");
        }
    }

    #[test]
    fn another_version_is_a_warning() {
        assert_eq!(version_of("s", Some(OWN)).health, Health::Ok);
        assert_eq!(version_of("s", Some("0.0.0")).health, Health::Warning);
        assert_eq!(version_of("s", None).health, Health::Warning);
    }
}
