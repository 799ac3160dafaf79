"""`PUT` and `PATCH /topics/{topicId}`, entity tags, and where a topic is that was created."""

import uuid

import pytest
import requests
from streams import called, definition

SPELLINGS = ["/topics", "/streams/hub/api/v1/topics"]
MERGE_PATCH = "application/merge-patch+json"


@pytest.fixture
def topic(stack, publisher) -> dict:
    answer = stack.call("POST", "/topics", publisher, json=definition())
    assert answer.status_code == 201, answer.text
    stack.topics.append(answer.json()["id"])
    return answer.json()


def here(topic: dict) -> str:
    return f"/topics/{topic['id']}"


@pytest.mark.parametrize("path", SPELLINGS)
def test_a_new_topic_says_where_it_is(stack, publisher, path):
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    body = definition()
    answers = [stack.call("POST", path, publisher, json=body, headers=dict(headers)) for _ in range(2)]
    stack.topics.append(answers[0].json()["id"])
    for answer in answers:
        assert (answer.status_code, answer.json()) == (201, answers[0].json())
        location = answer.headers["Location"]
        assert location.endswith(f"{path}/{answer.json()['id']}")
        found = requests.get(called(stack, location), headers={"x-api-key": publisher.api_key}, timeout=30)
        assert found.json() == answer.json()
        assert found.headers["ETag"] == answer.headers["ETag"]


def test_what_get_returns_can_be_put(stack, publisher, topic):
    again = stack.call("PUT", here(topic), publisher, json=topic)
    assert (again.status_code, again.json()) == (200, topic)
    renamed = stack.call("PUT", here(topic), publisher, json=topic | {"name": f"{topic['name']} new"})
    assert renamed.status_code == 200, renamed.text
    assert renamed.json() == topic | {
        "name": f"{topic['name']} new",
        "modifyTimestamp": renamed.json()["modifyTimestamp"],
    }
    # What was read before has another time by now.
    stale = stack.call("PUT", here(topic), publisher, json=topic)
    assert (stale.status_code, stale.json()["field"]) == (400, "modifyTimestamp")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", "2bd4d3d5-f321-434e-89ff-04f7464e0cde"),
        ("id", ""),
        ("id", 5),
        ("createTimestamp", "2020-01-01T00:00:00Z"),
        ("createTimestamp", "soon"),
        ("modifyTimestamp", None),
    ],
)
def test_what_can_not_change_is_named(stack, publisher, topic, field, value):
    answer = stack.call("PUT", here(topic), publisher, json=topic | {field: value})
    assert (answer.status_code, answer.json()["field"]) == (400, field)
    assert stack.call("GET", here(topic), publisher).json() == topic


@pytest.mark.parametrize("path", SPELLINGS)
@pytest.mark.parametrize("content_type", [MERGE_PATCH, "application/json", f"{MERGE_PATCH}; charset=utf-8"])
def test_a_patch_changes_what_it_names(stack, publisher, topic, path, content_type):
    def patch(change: dict) -> requests.Response:
        headers = {"Content-Type": content_type}
        return stack.call("PATCH", f"{path}/{topic['id']}", publisher, json=change, headers=headers)

    change = {"publisher": {"config": {"a": 1, "b": {"c": 2}}, "alwaysOn": False}, "subscribers": {"webhook": {}}}
    changed = patch(change)
    assert changed.status_code == 200, changed.text
    publisher_now = topic["publisher"] | {"config": {"a": 1, "b": {"c": 2}}, "alwaysOn": False}
    assert changed.json()["publisher"] == publisher_now
    assert changed.json()["subscribers"] == {"webhook": {}}
    again = patch(change)
    assert (again.json(), again.headers["ETag"]) == (changed.json(), changed.headers["ETag"])

    removed = patch({"publisher": {"config": {"a": None}, "alwaysOn": None}, "subscribers": {"sse": {}}}).json()
    assert removed["publisher"] == topic["publisher"] | {"config": {"b": {"c": 2}}}
    assert removed["subscribers"] == {"webhook": {}, "sse": {}}
    assert (removed["id"], removed["createTimestamp"]) == (topic["id"], topic["createTimestamp"])
    assert stack.call("GET", here(topic), publisher).json() == removed


@pytest.mark.parametrize(
    ("change", "status", "word"),
    [
        ([], 400, "object"),
        (None, 400, "object"),
        ({"name": None}, 400, "name"),
        ({"name": 5}, 400, "name"),
        ({"name": "x" * 256}, 400, "name"),
        ({"id": "other"}, 400, "id"),
        ({"more": 1}, 400, "more"),
        ({"publisher": {"type": "kafka"}}, 400, "publisher.type"),
        ({"publisher": {"payload": {"type": "event"}}}, 409, "payload"),
        ({"subscribers": [{"type": "webhook"}] * 2}, 400, "subscribers"),
    ],
)
def test_patches_that_make_no_sense(stack, publisher, topic, change, status, word):
    headers = {"Content-Type": MERGE_PATCH}
    answer = stack.call("PATCH", here(topic), publisher, json=change, headers=headers)
    assert answer.status_code == status, answer.text
    assert word in answer.json()["message"]
    assert stack.call("GET", here(topic), publisher).json() == topic


@pytest.mark.parametrize("content_type", ["text/plain", "application/json-patch+json", ""])
def test_a_patch_of_another_type_is_refused(stack, publisher, topic, content_type):
    headers = {"Content-Type": content_type}
    answer = stack.call("PATCH", here(topic), publisher, data=b'{"name": "x"}', headers=headers)
    assert answer.status_code == 415
    assert stack.call("GET", here(topic), publisher).json() == topic


def test_only_publishers_patch_topics(stack, client, publisher, topic):
    assert stack.call("PATCH", here(topic), client, json={"name": "x"}).status_code == 403
    assert stack.call("PATCH", here(topic), json={"name": "x"}).status_code == 401
    assert stack.call("PATCH", f"/topics/{uuid.uuid4()}", publisher, json={}).status_code == 404
    assert stack.call("GET", here(topic), publisher).json() == topic


def test_a_change_of_an_older_revision_is_refused(stack, publisher, topic):
    first = stack.call("GET", here(topic), publisher).headers["ETag"]

    def rename(method: str, name: str, tag: str) -> requests.Response:
        body = {"name": name} if method == "PATCH" else definition(name)
        return stack.call(method, here(topic), publisher, json=body, headers={"If-Match": tag})

    name = topic["name"]
    second = rename("PATCH", f"{name}-2", first)
    assert second.status_code == 200
    assert second.headers["ETag"] != first
    assert stack.call("GET", here(topic), publisher).headers["ETag"] == second.headers["ETag"]
    for method in ("PUT", "PATCH"):
        assert rename(method, f"{name}-3", first).status_code == 412
    delete = stack.call("DELETE", here(topic), publisher, headers={"If-Match": first})
    assert delete.status_code == 412
    third = rename("PUT", f"{name}-3", f"{first}, {second.headers['ETag']}")
    assert third.status_code == 200
    assert rename("PUT", f"{name}-4", "*").status_code == 200
    assert stack.call("DELETE", here(topic), publisher, headers={"If-Match": "*"}).status_code == 204
