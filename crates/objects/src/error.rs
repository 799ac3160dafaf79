//! Errors of reading and writing objects.

use std::error::Error;
use std::fmt::Debug;

use aws_sdk_s3::error::{BuildError, SdkError};
use aws_sdk_s3::presigning::PresigningConfigError;
use bellwire_domain::topic::payload::Damaged;

/// An object can't be stored or read. The text is for the log.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// S3 refused, throttled or did not answer.
    #[error("S3: {0}")]
    S3(String),
    /// There is no such object (any more).
    #[error("S3 has no such object")]
    Missing,
    /// The object is not a payload.
    #[error(transparent)]
    Damaged(#[from] Damaged),
    /// A link can't be created: a defect of this crate.
    #[error("link: {0}")]
    Link(#[from] PresigningConfigError),
    /// A request lacks a field that the SDK requires: a defect of this crate.
    #[error("incomplete request: {0}")]
    Incomplete(#[from] BuildError),
}

impl<E, R> From<SdkError<E, R>> for ObjectError
where
    E: Error + Send + Sync + 'static,
    R: Debug + Send + Sync + 'static,
{
    /// Keeps the chain of causes, without the request and the response.
    fn from(error: SdkError<E, R>) -> Self {
        Self::S3(format!("{:#}", anyhow::Error::from(error)))
    }
}
