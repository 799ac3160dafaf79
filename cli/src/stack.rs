//! The deployed stack, found by its name: what CloudFormation says of it.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Context;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_cloudformation::types::Stack;

/// How long one attempt of a call may take. The SDK itself has no limit, so that a connection that broke while the machine
/// slept would be waited for without end.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(20);

/// The SDK's configuration from the environment and the shared AWS files.
pub async fn aws() -> SdkConfig {
    aws_config::defaults(BehaviorVersion::latest())
        .http_client(bellwire_runtime::aws::http_client())
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(ATTEMPT_TIMEOUT / 4)
                .operation_attempt_timeout(ATTEMPT_TIMEOUT)
                .build(),
        )
        .load()
        .await
}

/// A stack that is deployed.
pub struct Deployed {
    /// Its name.
    pub name: String,
    /// What CloudFormation did last, and how that ended, such as `UPDATE_COMPLETE`.
    pub status: String,
    outputs: HashMap<String, String>,
    parameters: HashMap<String, String>,
}

impl Deployed {
    /// Reads the stack of this name.
    ///
    /// # Errors
    /// When there is none, or CloudFormation doesn't answer.
    pub async fn read(config: &SdkConfig, stack: &str) -> anyhow::Result<Self> {
        let answer = aws_sdk_cloudformation::Client::new(config)
            .describe_stacks()
            .stack_name(stack)
            .send()
            .await
            .with_context(|| format!("the stack {stack} could not be read"))?;
        let found = answer.stacks.unwrap_or_default().into_iter().next();
        let found = found.with_context(|| format!("there is no stack {stack}"))?;
        Ok(Self::of(stack, found))
    }

    fn of(name: &str, stack: Stack) -> Self {
        let outputs = stack.outputs.unwrap_or_default().into_iter();
        let parameters = stack.parameters.unwrap_or_default().into_iter();
        let status = stack.stack_status.map(|it| it.as_str().to_owned());
        Self {
            name: name.to_owned(),
            status: status.unwrap_or_default(),
            outputs: outputs
                .filter_map(|output| Some((output.output_key?, output.output_value?)))
                .collect(),
            parameters: parameters
                .filter_map(|it| Some((it.parameter_key?, it.parameter_value?)))
                .collect(),
        }
    }

    /// The value of an output.
    ///
    /// # Errors
    /// When it is missing.
    pub fn output(&self, key: &str) -> anyhow::Result<String> {
        self.value(&self.outputs, "output", key)
    }

    /// The value of a parameter.
    ///
    /// # Errors
    /// When it is missing.
    pub fn parameter(&self, key: &str) -> anyhow::Result<String> {
        self.value(&self.parameters, "parameter", key)
    }

    fn value(&self, of: &HashMap<String, String>, kind: &str, key: &str) -> anyhow::Result<String> {
        of.get(key).cloned().with_context(|| {
            let stack = &self.name;
            format!(
                "the stack {stack} has no {kind} {key}; is it a Bellwire stack of this version?"
            )
        })
    }
}
