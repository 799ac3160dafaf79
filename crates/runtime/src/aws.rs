//! The SDK's configuration: one HTTPS client, timeouts and retries.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_async::time::{SharedTimeSource, SystemTimeSource};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::shared::IntoShared;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::sdk_config::SharedCredentialsProvider;

use crate::env::{self, BadSetting};

/// An operation with all its retries ends before API Gateway gives up on the function (29 s), and
/// before the function's own timeout.
const TIMEOUTS: [Duration; 3] = [
    Duration::from_secs(2), // connect
    Duration::from_secs(4), // one attempt
    Duration::from_secs(8), // all attempts
];

/// A client that is created when it is first used: creating one takes time, and some services are not
/// needed by most invocations.
pub struct Lazy<T>(Arc<LazyLock<T, Make<T>>>);

type Make<T> = Box<dyn FnOnce() -> T + Send>;

impl<T: 'static> Lazy<T> {
    /// `make` creates the client from `config`, at the first use.
    pub fn new(config: &SdkConfig, make: fn(&SdkConfig) -> T) -> Self {
        let config = config.clone();
        Self(Arc::new(LazyLock::new(Box::new(move || make(&config)))))
    }
}

impl<T> Clone for Lazy<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Deref for Lazy<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Lazy<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lazy")
    }
}

/// The root certificates of Amazon Trust Services, which issues the certificates of all AWS endpoints
/// outside China. <https://www.amazontrust.com/repository/>
const AMAZON_ROOTS: &str = include_str!("amazon_roots.pem");

/// The HTTPS client of SDK clients: rustls with ring, so that only one TLS stack is linked. It trusts
/// the root certificates of the machine.
pub fn http_client() -> SharedHttpClient {
    with_roots(TrustStore::default())
}

/// The HTTPS client in a function: as [`http_client`], but it trusts Amazon's root certificates and no
/// others. To read those of authorities that AWS doesn't use would take most of a function's start.
fn http_client_for(region: &str) -> SharedHttpClient {
    if region.starts_with("cn-") {
        // The regions of China are run by partners of AWS, who choose their own authorities.
        return http_client();
    }
    with_roots(TrustStore::empty().with_pem_certificate(AMAZON_ROOTS))
}

fn with_roots(roots: TrustStore) -> SharedHttpClient {
    let builder = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring));
    let context = TlsContext::builder().with_trust_store(roots).build();
    AtFirstRequest(match context {
        Ok(context) => builder.tls_context(context).build_https(),
        // It can't fail: nothing is read before the first request.
        Err(_) => builder.build_https(),
    })
    .into_shared()
}

/// An HTTPS client that reads its certificates at the first request, once for all SDK clients, and not
/// each time that one is created.
#[derive(Debug)]
struct AtFirstRequest(SharedHttpClient);

impl HttpClient for AtFirstRequest {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        self.0.http_connector(settings, components)
    }
}

/// The SDK's configuration in a Lambda function, from the environment variables that Lambda sets.
/// Nothing is read over the network or from files.
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
    let region: String = env::parsed("AWS_REGION", std::env::var("AWS_REGION").ok())?;
    let http_client = http_client_for(&region);
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region))
        .credentials_provider(SharedCredentialsProvider::new(
            EnvironmentVariableCredentialsProvider::new(),
        ))
        .http_client(http_client)
        .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
        .time_source(SharedTimeSource::new(SystemTimeSource::new()))
        .retry_config(RetryConfig::standard())
        .timeout_config(timeouts);
    if let Ok(endpoint) = std::env::var("AWS_ENDPOINT_URL") {
        config = config.endpoint_url(endpoint);
    }
    Ok(config.build())
}

#[cfg(test)]
mod tests {
    use data_encoding::{BASE64, HEXLOWER};
    use sha2::{Digest, Sha256};

    use super::*;

    /// The SHA-256 of each, as Amazon Trust Services publishes it: Amazon Root CA 1 to 4, and Starfield
    /// Services Root Certificate Authority - G2.
    const FINGERPRINTS: [&str; 5] = [
        "8ecde6884f3d87b1125ba31ac3fcb13d7016de7f57cc904fe1cb97c6ae98196e",
        "1ba5b2aa8c65401a82960118f80bec4f62304d83cec4713a19c39c011ea46db4",
        "18ce6cfe7bf14e60b2e347b8dfe868cb31d02ebb3ada271569f50343b46db3a4",
        "e35d28419ed02025cfa69038cd623962458da5c695fbdea3c22b0bfb25897092",
        "568d6905a2c88708a4b3025190edcfedb1974a606a13c6e5290fcb2ae63edab5",
    ];

    #[test]
    fn functions_trust_amazons_roots_and_no_others() {
        let found: Vec<String> = AMAZON_ROOTS
            .split("-----BEGIN CERTIFICATE-----")
            .skip(1)
            .map(|it| {
                let (base64, _) = it.split_once("-----END").unwrap();
                let der = BASE64.decode(base64.replace('\n', "").as_bytes()).unwrap();
                HEXLOWER.encode(&Sha256::digest(&der))
            })
            .collect();
        assert_eq!(found, FINGERPRINTS);
    }
}
