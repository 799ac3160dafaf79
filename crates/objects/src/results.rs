//! The bucket of query results: the CSV that Athena wrote, and beside it the same result as JSON Lines,
//! once it was requested.

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_types::SdkConfig;
use bellwire_domain::ExecutionId;
use bellwire_runtime::aws::Lazy;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncBufRead;

use crate::{ObjectError, client};

/// How long a link is valid, unless the credentials that signed it expire before.
pub const LINK_GOOD_FOR: Duration = Duration::from_secs(60 * 60);

/// A message of the queue `Renderings`: a result that is to be rendered as JSON Lines.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Rendering {
    /// The id of the query's execution.
    pub execution_id: ExecutionId,
}

/// The key of the CSV that Athena writes. The template's workgroup sets the folder.
pub fn csv_key(id: &ExecutionId) -> String {
    format!("results/{id}.csv")
}

/// The key of the result as JSON Lines.
pub fn json_key(id: &ExecutionId) -> String {
    format!("results/{id}.jsonl")
}

/// The bucket of query results.
#[derive(Clone, Debug)]
pub struct Results {
    /// The client of S3.
    pub s3: Lazy<Client>,
    /// The bucket's name.
    pub bucket: String,
}

impl Results {
    /// `bucket` is the bucket's name.
    pub fn new(config: &SdkConfig, bucket: String) -> Self {
        Self {
            s3: Lazy::new(config, client),
            bucket,
        }
    }

    /// Whether there is an object with this key.
    pub async fn has(&self, key: &str) -> Result<bool, ObjectError> {
        let answer = self
            .s3
            .head_object()
            .bucket(&self.bucket)
            .key(key)
            .send()
            .await;
        match answer {
            Ok(_) => Ok(true),
            Err(error) => match error.as_service_error() {
                Some(refused) if refused.is_not_found() => Ok(false),
                _ => Err(error.into()),
            },
        }
    }

    /// A reader of an object's bytes; `None` if there is no such object.
    pub async fn open(
        &self,
        key: &str,
    ) -> Result<Option<impl AsyncBufRead + Send + Unpin + use<>>, ObjectError> {
        let answer = self
            .s3
            .get_object()
            .bucket(&self.bucket)
            .key(key)
            .send()
            .await;
        match answer {
            Ok(object) => Ok(Some(object.body.into_async_read())),
            Err(error) => match error.as_service_error() {
                Some(refused) if refused.is_no_such_key() => Ok(None),
                _ => Err(error.into()),
            },
        }
    }

    /// A presigned URL with which anybody can read the object, for [`LINK_GOOD_FOR`].
    pub async fn link(&self, key: &str) -> Result<String, ObjectError> {
        let request = self
            .s3
            .get_object()
            .bucket(&self.bucket)
            .key(key)
            .presigned(PresigningConfig::expires_in(LINK_GOOD_FOR)?)
            .await?;
        Ok(request.uri().to_owned())
    }
}
