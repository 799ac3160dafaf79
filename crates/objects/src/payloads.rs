//! Payloads that are too large for a message or an item are stored in a bucket.
//!
//! Lifecycle rules of the bucket remove them: objects under `events-` and a number of days after that
//! many days, and objects under `documents/` once they are [`Payloads::retire`]d, since a topic's current
//! document is kept as long as the topic. (Earlier versions stored events under `events/`.)

use aws_sdk_s3::Client;
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{Tag, Tagging};
use aws_types::SdkConfig;
use bellwire_domain::delivery::retry::ON_ITS_WAY_DAYS;
use bellwire_domain::topic::payload::{self, MAX_INLINE, Payload};
use bellwire_runtime::aws::Lazy;
use time::Duration;

use crate::{ObjectError, client};

/// The tag by which a lifecycle rule of the bucket recognises documents that are not current any more.
const RETIRED: &str = "retired";

/// How long a payload is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// As long as events are kept, and any of their deliveries may be under way or a dead letter.
    LikeEvents,
    /// Until it is retired.
    UntilRetired,
}

/// The bucket of payloads.
#[derive(Debug)]
pub struct Payloads {
    s3: Lazy<Client>,
    bucket: String,
    events: String,
}

/// The numbers of days for which the bucket has a lifecycle rule, for objects under `events-` and the
/// number.
const KEPT_DAYS: [u16; 4] = [45, 90, 180, 400];
/// The prefix of the keys of documents.
const DOCUMENTS: &str = "documents/";

impl Payloads {
    /// `bucket` is the bucket's name, and `events_kept` how long events are kept.
    pub fn new(config: &SdkConfig, bucket: String, events_kept: Duration) -> Self {
        Self {
            s3: Lazy::new(config, client),
            bucket,
            events: events_prefix(events_kept),
        }
    }

    /// Makes a payload of these bytes. If they are more than [`MAX_INLINE`] when compressed, they are
    /// stored in the bucket under this id. Idempotent.
    pub async fn keep(&self, id: &str, bytes: &[u8], kept: Kept) -> Result<Payload, ObjectError> {
        let gzip = payload::compress(bytes);
        if gzip.len() <= MAX_INLINE {
            return Ok(Payload::inline(&gzip));
        }
        let key = match kept {
            Kept::LikeEvents => format!("{}{id}", self.events),
            Kept::UntilRetired => format!("{DOCUMENTS}{id}"),
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

    /// The bytes of a payload, decompressed.
    pub async fn read(&self, payload: &Payload) -> Result<Vec<u8>, ObjectError> {
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
                        Some(refused) if refused.is_no_such_key() => ObjectError::Missing,
                        _ => error.into(),
                    })?;
                let gzip = object
                    .body
                    .collect()
                    .await
                    .map_err(|cut_off| ObjectError::S3(cut_off.to_string()))?;
                Ok(payload::decompress(&gzip.into_bytes())?)
            }
        }
    }

    /// Stores a payload, whose bytes these are, as a document, which is kept until it is retired.
    /// Publications are stored with the events until then, so that one that is never committed is
    /// removed by age.
    pub async fn settle(&self, payload: &Payload, bytes: &[u8]) -> Result<Payload, ObjectError> {
        match payload {
            Payload::Stored(key) if !key.starts_with(DOCUMENTS) => {
                let id = key.rsplit('/').next().unwrap_or(key);
                self.keep(id, bytes, Kept::UntilRetired).await
            }
            settled => Ok(settled.clone()),
        }
    }

    /// What [`Self::settle`] returns for a payload.
    pub fn settled(payload: &Payload) -> Payload {
        match payload {
            Payload::Stored(key) => {
                let id = key.rsplit('/').next().unwrap_or(key);
                Payload::Stored(format!("{DOCUMENTS}{id}"))
            }
            inline => inline.clone(),
        }
    }

    /// Lets the bucket remove what [`Self::settle`] has stored for a payload, if it has.
    pub async fn retire_settled(&self, payload: &Payload) -> Result<(), ObjectError> {
        self.retire(&Self::settled(payload)).await
    }

    /// Lets the bucket remove a document that is not current any more. What is stored with the events is
    /// removed by age, and left as it is.
    pub async fn retire(&self, payload: &Payload) -> Result<(), ObjectError> {
        let Payload::Stored(key) = payload else {
            return Ok(());
        };
        if !key.starts_with(DOCUMENTS) {
            return Ok(());
        }
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

/// The prefix of payloads that are kept as long as events, and then as long as a delivery may be under
/// way.
fn events_prefix(events_kept: Duration) -> String {
    let wanted = events_kept + Duration::days(i64::from(ON_ITS_WAY_DAYS));
    let days = KEPT_DAYS
        .into_iter()
        .find(|days| Duration::days(i64::from(*days)) >= wanted)
        .unwrap_or(400);
    format!("events-{days}/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_outlast_what_may_need_them() {
        let prefix = |days| events_prefix(Duration::days(days));
        assert_eq!(prefix(1), "events-45/");
        assert_eq!(prefix(15), "events-45/");
        assert_eq!(prefix(16), "events-90/");
        assert_eq!(prefix(150), "events-180/");
        // The maximum that the template allows.
        assert_eq!(prefix(365), "events-400/");
    }
}
