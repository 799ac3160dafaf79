//! The stack's configuration and outputs, found by its name.

use std::collections::HashMap;

use anyhow::Context;
use aws_config::{BehaviorVersion, SdkConfig};

/// The SDK's configuration from the environment and the shared AWS files.
pub async fn aws() -> SdkConfig {
    aws_config::defaults(BehaviorVersion::latest())
        .http_client(bellwire_runtime::aws::http_client())
        .load()
        .await
}

/// The outputs of a stack.
pub struct Outputs {
    stack: String,
    values: HashMap<String, String>,
}

impl Outputs {
    /// Reads those of the stack of this name.
    pub async fn of(config: &SdkConfig, stack: &str) -> anyhow::Result<Self> {
        let answer = aws_sdk_cloudformation::Client::new(config)
            .describe_stacks()
            .stack_name(stack)
            .send()
            .await
            .with_context(|| format!("the stack {stack} could not be read"))?;
        let stacks = answer.stacks.unwrap_or_default().into_iter();
        let outputs = stacks.flat_map(|stack| stack.outputs.unwrap_or_default());
        Ok(Self {
            stack: stack.to_owned(),
            values: outputs
                .filter_map(|output| Some((output.output_key?, output.output_value?)))
                .collect(),
        })
    }

    /// The value of an output; an error when it is missing.
    pub fn get(&self, key: &str) -> anyhow::Result<String> {
        let value = self.values.get(key).cloned();
        value.with_context(|| {
            let stack = &self.stack;
            format!("the stack {stack} has no output {key}; is it a Bellwire stack?")
        })
    }
}

/// The value of one of the stack's outputs; an error when the stack or the output is missing.
pub async fn output(config: &SdkConfig, stack: &str, key: &str) -> anyhow::Result<String> {
    Outputs::of(config, stack).await?.get(key)
}
