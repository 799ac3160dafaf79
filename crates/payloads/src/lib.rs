//! Payloads that are too large for a message or an item: they lie in a bucket.
//!
//! Two rules of the bucket remove them: what lies under `events/` goes when events do,
//! and what lies under `documents/` once it is [`Payloads::retire`]d, since a topic's
//! current document stays as long as the topic.

use std::error::Error;
use std::fmt::Debug;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{BuildError, ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{Tag, Tagging};
use aws_types::SdkConfig;
use bellwire_rules::payload::{self, Damaged, MAX_INLINE, Payload};
use bellwire_runtime::aws::Lazy;

/// The tag by which the bucket knows a document that is not current any more.
const RETIRED: &str = "retired";

/// How long a payload is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// As long as events are kept.
    LikeEvents,
    /// Until it is retired.
    UntilRetired,
}

/// A payload can't be kept or had.
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
    /// S3 refused, throttled or did not answer.
    #[error("S3: {0}")]
    S3(String),
    /// There is no such object (any more).
    #[error("S3 has no such object")]
    Missing,
    /// The object is no payload.
    #[error(transparent)]
    Damaged(#[from] Damaged),
    /// A request lacks something that the SDK wants: a defect of ours.
    #[error("incomplete request: {0}")]
    Incomplete(#[from] BuildError),
}

impl<E, R> From<SdkError<E, R>> for PayloadError
where
    E: Error + Send + Sync + 'static,
    R: Debug + Send + Sync + 'static,
{
    /// Keeps the chain of causes, and not the request and the response.
    fn from(error: SdkError<E, R>) -> Self {
        Self::S3(format!("{:#}", anyhow::Error::from(error)))
    }
}

/// The bucket.
#[derive(Debug)]
pub struct Payloads {
    s3: Lazy<Client>,
    bucket: String,
}

fn client(config: &SdkConfig) -> Client {
    // At an endpoint of its own, which is an emulator's, S3 has no host name for each bucket.
    let settings = aws_sdk_s3::config::Builder::from(config)
        .force_path_style(config.endpoint_url().is_some())
        .build();
    Client::from_conf(settings)
}

impl Payloads {
    /// The bucket of this name.
    pub fn new(config: &SdkConfig, bucket: String) -> Self {
        Self {
            s3: Lazy::new(config, client),
            bucket,
        }
    }

    /// Makes a payload of these bytes. When it is too large to travel by itself it is put
    /// into the bucket under this id; to do so again changes nothing.
    pub async fn keep(&self, id: &str, bytes: &[u8], kept: Kept) -> Result<Payload, PayloadError> {
        let gzip = payload::compress(bytes);
        if gzip.len() <= MAX_INLINE {
            return Ok(Payload::inline(&gzip));
        }
        let key = match kept {
            Kept::LikeEvents => format!("events/{id}"),
            Kept::UntilRetired => format!("documents/{id}"),
        };
        self.s3
            .put_object()
            .bucket(&self.bucket)
            .key(&key)
            .body(ByteStream::from(gzip))
            .send()
            .await?;
        Ok(Payload::Stored(key))
    }

    /// The bytes of a payload.
    pub async fn read(&self, payload: &Payload) -> Result<Vec<u8>, PayloadError> {
        match payload {
            Payload::Inline(base64) => Ok(Payload::unpack(base64)?),
            Payload::Stored(key) => {
                let object = self
                    .s3
                    .get_object()
                    .bucket(&self.bucket)
                    .key(key)
                    .send()
                    .await
                    .map_err(|error| match error.as_service_error() {
                        Some(refused) if refused.is_no_such_key() => PayloadError::Missing,
                        _ => error.into(),
                    })?;
                let gzip = object
                    .body
                    .collect()
                    .await
                    .map_err(|cut_off| PayloadError::S3(cut_off.to_string()))?;
                Ok(payload::decompress(&gzip.into_bytes())?)
            }
        }
    }

    /// Lets the bucket remove a document that is not current any more.
    pub async fn retire(&self, payload: &Payload) -> Result<(), PayloadError> {
        let Payload::Stored(key) = payload else {
            return Ok(());
        };
        let tag = Tag::builder().key(RETIRED).value("true").build()?;
        let answer = self
            .s3
            .put_object_tagging()
            .bucket(&self.bucket)
            .key(key)
            .tagging(Tagging::builder().tag_set(tag).build()?)
            .send()
            .await;
        match answer {
            Ok(_) => Ok(()),
            // It is gone already.
            Err(error) if error.code() == Some("NoSuchKey") => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
