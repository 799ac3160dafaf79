"""S3 as on AWS: what MiniStack's does otherwise, as far as the product depends on it."""

from ministack.core import iam_evaluator
from ministack.core.responses import get_region
from ministack.core.router import extract_access_key_id
from ministack.services import s3


def correct() -> None:
    correct_missing_objects()
    correct_checksums_of_parts()


def correct_missing_objects() -> None:
    """What is said of an object that is not there.

    MiniStack says 404 to everybody. AWS says 403 to whoever may not list the bucket.
    https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
    """
    original = s3.handle_request

    async def handle_request(method, path, headers, body, query_params):
        answer = await original(method, path, headers, body, query_params)
        bucket, _, key = path.lstrip("/").partition("/")
        missing = answer[0] == 404 and key and (method == "HEAD" or b"NoSuchKey" in answer[2])
        if missing and not may_list(bucket, headers, query_params):
            return s3._error("AccessDenied", "Access Denied", 403, path)
        return answer

    s3.handle_request = handle_request


def may_list(bucket: str, headers: dict, query_params: dict) -> bool:
    access_key = extract_access_key_id(headers, query_params)
    return iam_evaluator.enforce(access_key, "s3:ListBucket", "s3", get_region(), f"arn:aws:s3:::{bucket}") is None


def correct_checksums_of_parts() -> None:
    """A part of an upload that comes with a checksum.

    MiniStack takes it. AWS refuses it unless the upload was created with the algorithm.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
    """
    original = s3._upload_part

    def upload_part(bucket_name: str, key: str, body: bytes, query_params: dict, headers: dict):
        upload = s3._multipart_uploads.get(s3._qp(query_params, "uploadId")) or {}
        algorithm = headers.get("x-amz-sdk-checksum-algorithm", "")
        if algorithm and upload and upload.get("checksum_algorithm") != algorithm:
            expected = str(upload.get("checksum_algorithm") or "null").lower()
            message = (
                f"Checksum Type mismatch occurred, expected checksum Type: {expected}, "
                f"actual checksum Type: {algorithm.lower()}"
            )
            return s3._error("InvalidRequest", message, 400, f"/{bucket_name}/{key}")
        return original(bucket_name, key, body, query_params, headers)

    s3._upload_part = upload_part
