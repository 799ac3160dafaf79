"""The headers of what SNS sends to endpoints."""

import json
import urllib.request

from ministack.services import sns


class Envelope(str):
    """The body of a notification, with the headers that go with it."""

    headers: dict[str, str]


def correct() -> None:
    """MiniStack sends the type of the message, and no other header of SNS's. AWS sends its id, its topic, the
    subscription unless the message asks for its confirmation, and whether delivery is raw.
    https://docs.aws.amazon.com/sns/latest/dg/http-header.html
    https://docs.aws.amazon.com/sns/latest/dg/sns-large-payload-raw-message-delivery.html
    """
    original = sns._build_envelope

    def build_envelope(topic_arn: str, message_id: str, *arguments) -> Envelope:
        envelope = Envelope(original(topic_arn, message_id, *arguments))
        raw = arguments[-1] is True
        envelope.headers = {"x-amz-sns-message-id": message_id, "x-amz-sns-topic-arn": topic_arn}
        envelope.headers |= {"x-amz-sns-rawdelivery": "true"} if raw else {}
        return envelope

    def post(endpoint: str, payload: str, message_type: str) -> int:
        headers = {"Content-Type": "text/plain; charset=UTF-8", "x-amz-sns-message-type": message_type}
        if isinstance(payload, Envelope):
            headers |= payload.headers | {"x-amz-sns-subscription-arn": subscription(payload, endpoint)}
        else:
            message = json.loads(payload)
            headers |= {"x-amz-sns-message-id": message["MessageId"], "x-amz-sns-topic-arn": message["TopicArn"]}
        request = urllib.request.Request(endpoint, payload.encode(), headers, method="POST")
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status

    sns._build_envelope = build_envelope
    sns._http_post_sync = post


def subscription(envelope: Envelope, endpoint: str) -> str:
    topic = sns._topic_by_arn_any_scope(envelope.headers["x-amz-sns-topic-arn"])
    found = (it["arn"] for it in topic["subscriptions"] if it["endpoint"] == endpoint) if topic else ()
    return next(iter(found), "")
