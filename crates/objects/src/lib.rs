//! What lies in S3: payloads that are too large for messages and items ([`payloads`]), and the results of
//! queries ([`results`]).

mod error;
pub mod payloads;
pub mod results;

use aws_sdk_s3::Client;
use aws_types::SdkConfig;

pub use error::ObjectError;
pub use payloads::Payloads;
pub use results::Results;

/// A client of S3, the same for all buckets.
fn client(config: &SdkConfig) -> Client {
    // At a custom endpoint, which is an emulator's, there is no host name for each bucket.
    let settings = aws_sdk_s3::config::Builder::from(config)
        .force_path_style(config.endpoint_url().is_some())
        .build();
    Client::from_conf(settings)
}
