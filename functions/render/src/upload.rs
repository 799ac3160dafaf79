//! Uploads an object to the bucket of results, in parts.

use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart};
use bellwire_objects::{ObjectError, Results};
use bytes::Bytes;
use tokio::sync::mpsc::Receiver;

/// The media type of JSON Lines.
const MEDIA_TYPE: &str = "application/x-ndjson";

/// Uploads parts as one object, which exists once all of them are uploaded, and not in part before.
/// `complete` is called when no more parts come, and returns whether they were all.
///
/// # Errors
/// When S3 fails, or the parts were not all. The upload is aborted.
pub async fn upload(
    results: &Results,
    key: &str,
    mut parts: Receiver<Vec<u8>>,
    complete: impl AsyncFnOnce() -> bool,
) -> Result<(), ObjectError> {
    let id = begin(results, key).await?;
    let uploaded = upload_parts(results, key, &id, &mut parts).await;
    // Without a receiver, the rendering ends.
    drop(parts);
    let done = match uploaded {
        Ok(uploaded) if complete().await => finish(results, key, &id, uploaded).await,
        Ok(_) => Err(ObjectError::S3("the rendering has failed".to_owned())),
        Err(error) => Err(error),
    };
    if done.is_err()
        && let Err(error) = abandon(results, key, &id).await
    {
        // A lifecycle rule of the bucket removes what is left of it.
        tracing::warn!(%error, "an upload could not be abandoned");
    }
    done
}

/// Begins an upload. Returns its id.
async fn begin(results: &Results, key: &str) -> Result<String, ObjectError> {
    let answer = results
        .s3
        .create_multipart_upload()
        .bucket(&results.bucket)
        .key(key)
        .content_type(MEDIA_TYPE)
        // The SDK sends a checksum with each part. S3 refuses it unless the upload names the algorithm.
        // https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPart.html
        .checksum_algorithm(ChecksumAlgorithm::Crc32)
        .send()
        .await?;
    answer
        .upload_id
        .ok_or_else(|| ObjectError::S3("the upload has no id".to_owned()))
}

/// Uploads the parts, numbered from 1, until no more come.
async fn upload_parts(
    results: &Results,
    key: &str,
    id: &str,
    parts: &mut Receiver<Vec<u8>>,
) -> Result<Vec<CompletedPart>, ObjectError> {
    let mut uploaded = Vec::new();
    for number in 1.. {
        let Some(part) = parts.recv().await else {
            break;
        };
        let answer = results
            .s3
            .upload_part()
            .bucket(&results.bucket)
            .key(key)
            .upload_id(id)
            .part_number(number)
            .body(Bytes::from(part).into())
            .send()
            .await?;
        uploaded.push(
            CompletedPart::builder()
                .part_number(number)
                .set_e_tag(answer.e_tag)
                .set_checksum_crc32(answer.checksum_crc32)
                .build(),
        );
    }
    Ok(uploaded)
}

/// Makes an object of the uploaded parts.
async fn finish(
    results: &Results,
    key: &str,
    id: &str,
    uploaded: Vec<CompletedPart>,
) -> Result<(), ObjectError> {
    let uploaded = CompletedMultipartUpload::builder()
        .set_parts(Some(uploaded))
        .build();
    results
        .s3
        .complete_multipart_upload()
        .bucket(&results.bucket)
        .key(key)
        .upload_id(id)
        .multipart_upload(uploaded)
        .send()
        .await?;
    Ok(())
}

/// Aborts an upload, so that S3 removes its parts.
async fn abandon(results: &Results, key: &str, id: &str) -> Result<(), ObjectError> {
    results
        .s3
        .abort_multipart_upload()
        .bucket(&results.bucket)
        .key(key)
        .upload_id(id)
        .send()
        .await?;
    Ok(())
}
