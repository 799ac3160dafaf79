//! The stack's configuration and outputs, found by its name.

use anyhow::Context;
use aws_config::{BehaviorVersion, SdkConfig};

/// The SDK's configuration from the environment and the shared AWS files.
pub async fn aws() -> SdkConfig {
    aws_config::defaults(BehaviorVersion::latest())
        .http_client(bellwire_runtime::aws::http_client())
        .load()
        .await
}

/// The value of one of the stack's outputs; an error when the stack or the output is missing.
pub async fn output(config: &SdkConfig, stack: &str, key: &str) -> anyhow::Result<String> {
    let answer = aws_sdk_cloudformation::Client::new(config)
        .describe_stacks()
        .stack_name(stack)
        .send()
        .await
        .with_context(|| format!("the stack {stack} could not be read"))?;
    answer
        .stacks
        .unwrap_or_default()
        .into_iter()
        .flat_map(|stack| stack.outputs.unwrap_or_default())
        .find(|output| output.output_key.as_deref() == Some(key))
        .and_then(|output| output.output_value)
        .with_context(|| format!("the stack {stack} has no output {key}; is it a Bellwire stack?"))
}
