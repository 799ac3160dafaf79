"""`/topics`, in both spellings of its path."""

import re
import uuid

import pytest
import requests
from conftest import at_once
from streams import called, definition, for_customers

TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
SPELLINGS = ["/topics", "/streams/hub/api/v1/topics"]


def webhook(**modes) -> list[dict]:
    return [{"type": "webhook", **modes}]


def create(stack, publisher, request: dict, path: str = "/topics") -> requests.Response:
    answer = stack.call("POST", path, publisher, json=request)
    if answer.status_code == 201:
        stack.topics.append(answer.json()["id"])
    return answer


@pytest.mark.parametrize("path", SPELLINGS)
def test_a_topic_is_created_read_changed_and_deleted(stack, client, publisher, path):
    request = definition(
        subscribers=webhook(
            allowedSubscriptionModes=["snapshot-only", "snapshot-patch"], defaultSubscriptionMode="snapshot-patch"
        )
    )
    made = create(stack, publisher, request, path)
    assert made.status_code == 201
    topic = made.json()
    assert uuid.UUID(topic["id"])
    assert TIMESTAMP.fullmatch(topic["createTimestamp"])
    assert topic["createTimestamp"] == topic["modifyTimestamp"]
    assert {key: topic[key] for key in request} == request

    here = f"{path}/{topic['id']}"
    for reader, seen in ((publisher, topic), (client, for_customers(topic))):
        response = stack.call("GET", here, reader)
        assert (response.status_code, response.json()) == (200, seen)

    other = definition(name=request["name"] + "-new", subscribers=webhook(allowedSubscriptionModes=["snapshot-only"]))
    changed = stack.call("PUT", here, publisher, json=other)
    assert changed.status_code == 200
    body = changed.json()
    assert {key: body[key] for key in other} == other
    assert (body["id"], body["createTimestamp"]) == (topic["id"], topic["createTimestamp"])
    assert body["modifyTimestamp"] > topic["modifyTimestamp"]
    assert stack.call("GET", here, client).json() == for_customers(body)

    gone = stack.call("DELETE", here, publisher)
    assert (gone.status_code, gone.content) == (204, b"")
    for method in ("GET", "DELETE"):
        assert stack.call(method, here, publisher).status_code == 404
    assert stack.call("PUT", here, publisher, json=other).status_code == 404


def test_a_name_is_given_once(stack, publisher):
    request = definition()
    first = create(stack, publisher, request)
    taken = create(stack, publisher, request)
    assert taken.status_code == 409
    assert "name" in taken.json()["message"]
    second = create(stack, publisher, definition()).json()
    renamed = stack.call("PUT", f"/topics/{second['id']}", publisher, json=request)
    assert renamed.status_code == 409
    stack.call("DELETE", f"/topics/{first.json()['id']}", publisher)
    assert create(stack, publisher, request).status_code == 201


def test_of_many_at_once_one_gets_the_name(stack, publisher):
    request = definition()
    answers = at_once(*[lambda: create(stack, publisher, request)] * 6)
    assert sorted(it.status_code for it in answers) == [201] + [409] * 5


def test_what_a_topic_carries_can_not_change(stack, publisher):
    topic = create(stack, publisher, definition(payload="event")).json()
    refused = stack.call("PUT", f"/topics/{topic['id']}", publisher, json=definition(payload="snapshot"))
    assert refused.status_code == 409
    assert "payload" in refused.json()["message"]
    assert stack.call("GET", f"/topics/{topic['id']}", publisher).json() == topic


def test_only_publishers_change_topics(stack, client, publisher):
    topic = create(stack, publisher, definition()).json()
    here = f"/topics/{topic['id']}"
    assert stack.call("POST", "/topics", client, json=definition()).status_code == 403
    assert stack.call("PUT", here, client, json=definition()).status_code == 403
    assert stack.call("DELETE", here, client).status_code == 403
    assert stack.call("GET", here, client).json() == for_customers(topic)


@pytest.mark.parametrize("topic", ["x", "x" * 1000, "00000000-0000-4000-8000-000000000000", "name%23abc", "%00"])
def test_a_topic_that_is_none(stack, publisher, topic):
    assert stack.call("GET", f"/topics/{topic}", publisher).status_code == 404
    assert stack.call("DELETE", f"/topics/{topic}", publisher).status_code == 404


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"name": None}, "name"),
        ({"name": 5}, "name"),
        ({"name": ""}, "name"),
        ({"name": "x" * 256}, "name"),
        ({"publisher": None}, "publisher"),
        ({"publisher": {}}, "publisher"),
        ({"publisher": {"type": "kafka", "payload": {"type": "event"}}}, "publisher.type"),
        ({"publisher": {"type": "http-post", "payload": {}}}, "payload"),
        ({"publisher": {"type": "http-post", "alwaysOn": "no"}}, "publisher.alwaysOn"),
        ({"publisher": {"type": "http-post", "payload": {"type": "patch"}}}, "publisher.payload.type"),
        ({"publisher": {"type": "http-post", "payload": {"type": "event"}, "config": 5}}, "publisher.config"),
        (
            {"publisher": {"type": "http-post", "payload": {"type": "event"}, "config": {"a": "x" * 20_000}}},
            "publisher.config",
        ),
        ({"publisher": {"type": "http-post", "payload": {"type": "event"}, "more": 1}}, "more"),
        ({"name": "6f1a8c9e-3b1d-4c7a-9a55-0d5f6f1f2a11"}, "name"),
        ({"subscribers": "webhook"}, "subscribers"),
        ({"subscribers": [{}]}, "type"),
        ({"subscribers": [{"type": "mail"}]}, "subscribers[0].type"),
        ({"subscribers": {"mail": {}}}, "subscribers"),
        ({"subscribers": {"webhook": None}}, "subscribers.webhook"),
        ({"subscribers": {"webhook": {"config": []}}}, "subscribers.webhook.config"),
        ({"subscribers": {"kafka": {"config": {"a": "x" * 20_000}}}}, "subscribers.kafka.config"),
        ({"subscribers": {"sse": {"allowedSubscriptionModes": ["event"]}}}, "subscribers.sse"),
        ({"subscribers": webhook() * 2}, "subscribers"),
        ({"subscribers": webhook(allowedSubscriptionModes=[])}, "subscribers"),
        ({"subscribers": webhook(allowedSubscriptionModes=["all"])}, "allowedSubscriptionModes"),
        ({"subscribers": webhook(allowedSubscriptionModes=["event"])}, "subscribers"),
        ({"subscribers": webhook(defaultSubscriptionMode="event")}, "subscribers"),
        (
            {
                "subscribers": webhook(
                    allowedSubscriptionModes=["snapshot-only"], defaultSubscriptionMode="snapshot-patch"
                )
            },
            "subscribers",
        ),
        ({"extra": 1}, "extra"),
        ({"id": "mine"}, "id"),
    ],
)
def test_definitions_that_make_no_sense(stack, publisher, change, word):
    request = definition() | change
    answer = create(stack, publisher, request)
    assert answer.status_code == 400, answer.text
    assert word in answer.json()["message"]
    listed = stack.call("GET", "/topics", publisher, params={"search": f'name:"{request["name"]}"'})
    assert listed.status_code == 400 or listed.json()["items"] == []


@pytest.fixture(scope="module")
def mark(stack, publisher) -> str:
    """Of 25 topics, a mark that they have and no other."""
    mark = uuid.uuid4().hex
    for n in range(25):
        payload = "event" if n % 5 == 0 else "snapshot"
        request = definition(f"{mark}-{n:02}", payload)
        request["publisher"]["config"] = {"mark": mark, "number": n}
        assert create(stack, publisher, request).status_code == 201
    return mark


class TestLists:
    """`GET /topics`: pages, order, search."""

    def names(self, stack, publisher, **parameters) -> list[str]:
        answer = stack.call("GET", "/topics", publisher, params=parameters)
        assert answer.status_code == 200, answer.text
        return [it["name"].split("-")[-1] for it in answer.json()["items"]]

    @pytest.mark.parametrize("path", SPELLINGS)
    def test_links_lead_through_all_pages(self, stack, publisher, mark, path):
        first = stack.call(
            "GET",
            path,
            publisher,
            params={"search": f"publisher.config.mark:{mark}", "pageSize": 10, "sort": "name,DESC"},
        )
        pages, answer = [], first
        while True:
            body = answer.json()
            pages.append([it["name"].split("-")[-1] for it in body["items"]])
            links = {link["rel"]: link["url"] for link in requests.utils.parse_header_links(answer.headers["Link"])}
            assert links == body["links"]
            assert ("prev" in links) == (len(pages) > 1)
            assert all(link.split("?")[0].endswith(f"/live{path}") for link in links.values())
            if "next" not in links:
                break
            answer = requests.get(called(stack, links["next"]), headers={"x-api-key": publisher.api_key}, timeout=30)
        assert [len(page) for page in pages] == [10, 10, 5]
        assert [name for page in pages for name in page] == [f"{n:02}" for n in reversed(range(25))]
        back = requests.get(called(stack, links["first"]), headers={"x-api-key": publisher.api_key}, timeout=30)
        assert back.json()["items"] == first.json()["items"]

    def test_twenty_a_page_in_order_of_creation(self, stack, publisher, mark):
        search = f"publisher.config.mark:{mark}"
        assert self.names(stack, publisher, search=search) == [f"{n:02}" for n in range(20)]
        assert self.names(stack, publisher, search=search, page=2) == [f"{n:02}" for n in range(20, 25)]
        assert self.names(stack, publisher, search=search, page=3) == []
        by_time = self.names(stack, publisher, search=search, sort="createTimestamp,DESC", pageSize=3)
        assert by_time == ["24", "23", "22"]

    def test_inner_fields_have_an_order(self, stack, publisher, mark):
        search = f"publisher.config.mark:{mark}"
        by_payload = self.names(stack, publisher, search=search, sort="publisher.payload.type,ASC", pageSize=6)
        assert by_payload == ["00", "05", "10", "15", "20", "01"]
        by_type = self.names(stack, publisher, search=search, sort="publisher.type,DESC", pageSize=3)
        assert by_type == ["00", "01", "02"]

    def test_search_finds_what_it_says(self, stack, publisher, mark):
        search = f"publisher.config.mark:{mark} AND publisher.payload.type:event"
        assert self.names(stack, publisher, search=search) == ["00", "05", "10", "15", "20"]
        search = f"publisher.config.mark:{mark} AND (publisher.config.number:3 OR name:{mark}-04)"
        assert self.names(stack, publisher, search=search) == ["03", "04"]

    @pytest.mark.parametrize(
        ("parameters", "word"),
        [
            ({"page": "0"}, "page"),
            ({"page": "-1"}, "page"),
            ({"page": "x"}, "page"),
            ({"pageSize": "0"}, "pageSize"),
            ({"pageSize": "1001"}, "pageSize"),
            ({"sort": "publisher,ASC"}, "createTimestamp"),
            ({"sort": "name,UP"}, "sort"),
            ({"search": "name"}, "search"),
            ({"search": "name:x AND"}, "search"),
            ({"search": "(" * 500}, "search"),
            ({"search": "a:" + "x" * 1000}, "search"),
        ],
    )
    def test_parameters_that_make_no_sense(self, stack, publisher, parameters, word):
        answer = stack.call("GET", "/topics", publisher, params=parameters)
        assert answer.status_code == 400
        assert word in answer.json()["message"]
