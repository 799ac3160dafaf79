"""What the queues of deliveries carry, for tests that hand it to a function themselves."""

import base64
import gzip
import json
import uuid
from datetime import UTC, datetime


def payload(content) -> dict:
    return {"inline": base64.b64encode(gzip.compress(json.dumps(content).encode())).decode()}


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def event(content, event_id: str | None = None) -> dict:
    return {"event": {"event_id": event_id or str(uuid.uuid4()), "payload": payload(content)}}


def document(version: int) -> dict:
    return {"document": {"version": version}}


def delivery(subscription: dict, kind: dict, client_id: str, attempt: int = 0) -> dict:
    return {
        "subscription_id": subscription["id"],
        "client_id": client_id,
        "attempt": attempt,
        "accepted_at": now(),
        "dated": True,
        "told": kind,
    }


def publication(topic: str, work, event_id: str | None = None) -> dict:
    return {"event_id": event_id or str(uuid.uuid4()), "topic_id": topic, "accepted_at": now(), "work": work}
