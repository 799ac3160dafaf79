"""Clients of the local AWS."""

from typing import Any

import boto3
from settings import AWS


def aws(service: str, credentials: dict[str, str] | None = None) -> Any:
    """A client of a service: as the account's root user, or as whoever has these credentials."""
    boto: Any = boto3  # its types know some of the services only
    credentials = credentials or {
        "AccessKeyId": AWS["AWS_ACCESS_KEY_ID"],
        "SecretAccessKey": AWS["AWS_SECRET_ACCESS_KEY"],
    }
    return boto.client(
        service,
        endpoint_url=AWS["AWS_ENDPOINT_URL"],
        region_name=AWS["AWS_REGION"],
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials.get("SessionToken"),
    )
