"""The receiver in docs/query-notifications.md does what the page says."""

import base64
import datetime
import json
import re
import threading

import pytest
import requests
from conftest import ROOT, confirmation_token, is_confirmation, new_query
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID
from template import read as read_template

CERTIFICATE_URL = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123456789abcdef.pem"


class Signer:
    """Signs as SNS does; MiniStack's signatures are made up."""

    def __init__(self):
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
        now = datetime.datetime.now(datetime.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.key.public_key())
            .serial_number(1)
            .not_valid_before(now)
            .not_valid_after(now + datetime.timedelta(days=1))
            .sign(self.key, hashes.SHA256())
        )
        self.pem = certificate.public_bytes(serialization.Encoding.PEM)

    def sign(self, envelope: dict) -> dict:
        signed = ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
        text = "".join(f"{key}\n{envelope[key]}\n" for key in signed if key in envelope)
        signature = self.key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
        return envelope | {
            "Signature": base64.b64encode(signature).decode(),
            "SignatureVersion": "2",
            "SigningCertURL": CERTIFICATE_URL,
        }


@pytest.fixture
def signer():
    return Signer()


@pytest.fixture
def documented(monkeypatch, stack, client, signer):
    """The names that the page's program defines, with our certificate instead of a download."""
    page = (ROOT / "docs" / "query-notifications.md").read_text()
    [program] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    monkeypatch.setenv("BELLWIRE_URL", stack.url)
    monkeypatch.setenv("BELLWIRE_API_KEY", client.api_key)
    names: dict = {"__name__": "documented"}
    exec(compile(program, "docs/query-notifications.md", "exec"), names)
    names["download"] = lambda url: signer.pem
    names["notified_of"] = []
    names["notified"] = names["notified_of"].append
    return names


def notification(query: str) -> dict:
    return {"status": "SUCCEEDED", "QueryExecutionId": query, "time_completed": "2020-01-17 22:04:24.089113"}


def envelope(query: str) -> dict:
    return {
        "Type": "Notification",
        "MessageId": "m",
        "TopicArn": "t",
        "Message": json.dumps(notification(query)),
        "Timestamp": "2020-01-17T22:04:25.000Z",
    }


def test_it_confirms_a_subscription(stack, client, receiver, signer, documented):
    stack.subscribe(client, f"{receiver.url}/callback")
    [confirmation] = receiver.wait_for(is_confirmation)
    message = signer.sign(confirmation.json())
    documented["handle"]("SubscriptionConfirmation", json.dumps(message).encode())
    assert [it["status"] for it in stack.subscriptions(client)] == ["CONFIRMED"]


def test_it_reads_both_formats(signer, documented):
    first, second = new_query(), new_query()
    documented["handle"]("Notification", json.dumps(notification(first)).encode())
    documented["FORMAT"] = "envelope"
    documented["TOPICS"].add("t")
    documented["handle"]("Notification", json.dumps(signer.sign(envelope(second))).encode())
    assert [it["QueryExecutionId"] for it in documented["notified_of"]] == [first, second]


def test_it_refuses_what_is_not_signed_by_sns(stack, client, receiver, signer, documented):
    documented["FORMAT"] = "envelope"
    documented["TOPICS"].add("t")
    changed = signer.sign(envelope(new_query())) | {"Message": json.dumps(notification("forged"))}
    with pytest.raises(InvalidSignature):
        documented["handle"]("Notification", json.dumps(changed).encode())
    elsewhere = signer.sign(envelope(new_query())) | {
        "SigningCertURL": "https://sns.eu-west-1.amazonaws.com.evil/x.pem"
    }
    with pytest.raises(ValueError, match="not one of Amazon SNS"):
        documented["handle"]("Notification", json.dumps(elsewhere).encode())
    with pytest.raises(ValueError, match="somebody else's"):
        theirs = signer.sign(envelope(new_query()) | {"TopicArn": "arn:of:somebody:else"})
        documented["handle"]("Notification", json.dumps(theirs).encode())
    with pytest.raises(KeyError):
        documented["handle"]("Notification", json.dumps(notification("unsigned")).encode())
    assert documented["notified_of"] == []
    stack.subscribe(client, f"{receiver.url}/callback")
    token = confirmation_token(receiver)
    with pytest.raises(ValueError):
        forged = {"Type": "SubscriptionConfirmation", "Token": token, "SigningCertURL": "https://example.com/"}
        documented["handle"]("SubscriptionConfirmation", json.dumps(forged).encode())
    assert [it["status"] for it in stack.subscriptions(client)] == ["PENDING_CONFIRMATION"]


def test_what_it_refuses_is_tried_again_by_sns(documented):
    server = documented["ThreadingHTTPServer"](("127.0.0.1", 0), documented["Handler"])
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/callback"
    headers = {"x-amz-sns-message-type": "Notification"}
    try:
        # SNS repeats after a 5xx, and not after a 4xx.
        assert requests.post(url, b"{", headers=headers, timeout=10).status_code == 500
        good = requests.post(url, json=notification("q"), headers=headers, timeout=10)
        assert (good.status_code, [it["QueryExecutionId"] for it in documented["notified_of"]]) == (200, ["q"])
    finally:
        server.shutdown()
        server.server_close()


def test_the_verification_in_the_deliveries_page_works(streams, receiver):
    page = (ROOT / "docs" / "deliveries.md").read_text()
    [program] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    topic = streams.topic()
    secret = streams.subscribe(topic, receiver.url)["secret"]
    streams.publish(topic, {"n": 1})
    [arrival] = receiver.wait_for(lambda _: True)
    names = {"secret": secret, "body": arrival.body, "headers": arrival.headers}
    exec(compile(program, "docs/deliveries.md", "exec"), names)
    names["body"] += b" "
    with pytest.raises(Exception, match="signature"):
        exec(compile(program, "docs/deliveries.md", "exec"), names)


@pytest.mark.parametrize("page", ["streams.md", "deliveries.md"])
def test_parameters_are_written_with_their_defaults(page):
    parameters = read_template()["Parameters"]
    for name, default in re.findall(
        r"^\| `(\w+)` \| `?([^|`]*?)`? \|", (ROOT / "docs" / page).read_text(), re.MULTILINE
    ):
        if name in parameters:
            assert str(parameters[name]["Default"]) == default, name
