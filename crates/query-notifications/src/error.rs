//! Errors of calls to SNS.

use std::error::Error;
use std::fmt::Debug;

use aws_sdk_sns::error::{BuildError, ProvideErrorMetadata, SdkError};

/// A call to SNS failed, after the SDK's retries.
#[derive(Debug, thiserror::Error)]
#[error("SNS: {context}")]
pub struct SnsError {
    code: Option<String>,
    context: String,
}

impl SnsError {
    /// Whether SNS has no such topic or subscription.
    pub(crate) fn is_not_found(&self) -> bool {
        self.has_code(&["NotFound", "NotFoundException"])
    }

    /// Whether SNS refuses a parameter, such as a token.
    pub fn is_invalid_parameter(&self) -> bool {
        self.has_code(&["InvalidParameter", "InvalidParameterException"])
    }

    /// Whether SNS has this subscription with other attributes than the request's.
    pub(crate) fn is_different_attributes(&self) -> bool {
        self.is_invalid_parameter()
            && self
                .context
                .contains("already exists with different attributes")
    }

    /// SNS has subscribed an endpoint without returning the ARN that it was asked for.
    pub(crate) fn without_arn() -> Self {
        Self {
            code: None,
            context: "the response has no SubscriptionArn".to_owned(),
        }
    }

    /// Whether the error has one of these codes. SNS writes them without `Exception` at the end,
    /// emulators with it.
    fn has_code(&self, codes: &[&str]) -> bool {
        self.code
            .as_deref()
            .is_some_and(|code| codes.contains(&code))
    }
}

impl<E, R> From<SdkError<E, R>> for SnsError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    R: Debug + Send + Sync + 'static,
{
    /// Keeps the chain of causes, but neither the request nor the response.
    fn from(error: SdkError<E, R>) -> Self {
        Self {
            code: error.code().map(str::to_owned),
            context: format!("{:#}", anyhow::Error::from(error)),
        }
    }
}

/// The request lacks a field that the SDK requires: a defect of Bellwire.
impl From<BuildError> for SnsError {
    fn from(error: BuildError) -> Self {
        Self {
            code: None,
            context: error.to_string(),
        }
    }
}
