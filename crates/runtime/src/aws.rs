//! The way to AWS: one HTTPS client, its timeouts and its retries.

use std::time::Duration;

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_async::time::{SharedTimeSource, SystemTimeSource};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::sdk_config::SharedCredentialsProvider;

use crate::env::{self, BadSetting};

/// An operation with all its retries ends before API Gateway gives up on the
/// function (29 s) and before the function's own time-out.
const TIMEOUTS: [Duration; 3] = [
    Duration::from_secs(2), // connect
    Duration::from_secs(4), // one attempt
    Duration::from_secs(8), // all attempts
];

/// The HTTPS client of every SDK client: rustls with ring, so that one TLS stack
/// is linked and no more.
pub fn http_client() -> SharedHttpClient {
    Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build_https()
}

/// The SDK's configuration inside a Lambda function, from what Lambda puts into
/// the environment. Nothing is looked up over the network or in files.
///
/// # Errors
/// When the region is not set.
pub fn lambda_config() -> Result<SdkConfig, BadSetting> {
    let [connect, attempt, operation] = TIMEOUTS;
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(connect)
        .operation_attempt_timeout(attempt)
        .operation_timeout(operation)
        .build();
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(env::required::<String>("AWS_REGION")?))
        .credentials_provider(SharedCredentialsProvider::new(
            EnvironmentVariableCredentialsProvider::new(),
        ))
        .http_client(http_client())
        .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
        .time_source(SharedTimeSource::new(SystemTimeSource::new()))
        .retry_config(RetryConfig::standard())
        .timeout_config(timeouts);
    if let Ok(endpoint) = env::required::<String>("AWS_ENDPOINT_URL") {
        config = config.endpoint_url(endpoint);
    }
    Ok(config.build())
}
