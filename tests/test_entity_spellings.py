"""Entity subscriptions in the protocol's later spelling, by HTTP Basic, and with a truth in the body alone."""

from dataclasses import replace

import pytest
from conftest import Client
from entities import entity_event, every_page, new_key
from standardwebhooks.webhooks import Webhook
from test_entity_bad_input import refused

CALLBACK = "https://example.com/callback"
NAMES = {"/subscriptions": "subscription", "/v1/webhooks": "webhook"}


def basic(client: Client) -> dict:
    return {"auth": (client.client_id, client.client_secret)}


def create(stack, client: Client, root: str, entity_key: str, callback: str = CALLBACK) -> dict:
    body = {NAMES[root]: {"entity_key": entity_key, "callback": callback}}
    answer = stack.call("POST", root, json=body, **basic(client))
    assert answer.status_code == 200, answer.text
    return answer.json()["data"][NAMES[root]]


class TestLaterSpelling:
    def test_a_webhook_is_created_read_listed_rotated_and_deleted(self, entities, stack, client):
        key = new_key()
        made = create(stack, client, "/v1/webhooks", key)
        assert made.pop("secret").startswith("whsec_")
        assert set(made) == {"entity_key", "date_created", "date_updated", "subscriber_key", "callback", "key"}
        path = f"/v1/webhooks/{made['key']}"
        assert entities.call("GET", path).json()["data"] == {"webhook": made}
        for parameters in ({}, {"entity_key": key}):
            listed = entities.call("GET", "/v1/webhooks", **parameters).json()
            assert listed == {
                "status": {"status_code": 200},
                "data": {"webhooks": [made]},
                "pagination": {"next": None},
            }
        assert entities.call("GET", f"{path}/callbacks").json()["data"] == {"callbacks": []}
        rotated = entities.post(entities.customer.credentials, f"{path}/secret/rotate").json()["data"]
        assert rotated["webhook"]["secret"] and rotated["previous_secret_valid_until"]
        assert entities.call("DELETE", path).json() == {"status": {"status_code": 200}}
        refused(entities.call("GET", path), 404)
        refused(entities.call("DELETE", "/v1/webhooks", entity_key=key), 404)

    def test_its_callbacks_have_its_key_under_the_later_name(self, entities, stack, client, receiver):
        key = new_key()
        made = create(stack, client, "/v1/webhooks", key, f"{receiver.url}/webhook")
        entities.publish(key)
        [arrival] = receiver.wait_for(lambda _: True)
        assert arrival.json() == {
            "webhook_key": made["key"],
            "entity_key": key,
            "entity_type": "Document",
            "callback_event": "entity_updated",
        }
        Webhook(made["secret"]).verify(arrival.body, arrival.headers)

    def test_either_spelling_finds_subscriptions_of_both_and_the_last_request_decides(
        self, entities, stack, client, receiver
    ):
        key, url = new_key(), f"{receiver.url}/callback"
        names = []
        for n, root in enumerate(["/subscriptions", "/v1/webhooks", "/v1/webhooks", "/subscriptions"], 1):
            made = create(stack, client, root, key, url)
            entities.publish(key)
            names.append(next(iter(receiver.wait_for(lambda _: True, n)[-1].json())))
            for other in NAMES:
                view = entities.call("GET", f"{other}/{made['key']}").json()["data"][NAMES[other]]
                assert view["key"] == made["key"]
        assert names == ["subscription_key", "webhook_key", "webhook_key", "subscription_key"]
        assert len(entities.customer.get_subscriptions(key)) == 1

    @pytest.mark.parametrize(("root", "other"), [("/subscriptions", "webhook"), ("/v1/webhooks", "subscription")])
    def test_a_body_in_the_other_spelling_is_refused(self, entities, root, other):
        body = {**entities.customer.credentials, other: {"entity_key": new_key(), "callback": CALLBACK}}
        refused(entities.post(body, root), 400)
        assert entities.customer.get_subscriptions() == []

    @pytest.mark.parametrize(
        ("field", "value"),
        [("entity_key", ""), ("entity_key", 5), ("callback", "example.com"), ("callback", "https://10.0.0.1/")],
    )
    def test_a_field_is_named_in_the_spelling_of_the_request(self, entities, field, value):
        webhook = {"entity_key": new_key(), "callback": CALLBACK} | {field: value}
        status = refused(entities.post({**entities.customer.credentials, "webhook": webhook}, "/v1/webhooks"), 400)
        assert status["field"] == f"webhook.{field}"

    def test_another_clients_webhook_is_not_there(self, entities, stack, other_client):
        theirs = create(stack, other_client, "/v1/webhooks", new_key())
        for method, rest in (("GET", ""), ("DELETE", ""), ("GET", "/callbacks")):
            refused(entities.call(method, f"/v1/webhooks/{theirs['key']}{rest}"), 404)


class TestBasic:
    def test_it_stands_in_the_place_of_parameters_in_either_spelling(self, entities, stack, client):
        for root in NAMES:
            key = new_key()
            made = create(stack, client, root, key)
            calls = [
                ("GET", root),
                ("GET", f"{root}/{made['key']}"),
                ("GET", f"{root}/{made['key']}/callbacks"),
                ("POST", f"{root}/{made['key']}/secret/rotate"),
                ("DELETE", f"{root}/{made['key']}"),
            ]
            for method, path in calls:
                refused(stack.call(method, path), 401)
                answer = stack.call(method, path, **basic(client))
                assert answer.status_code == 200, (method, path, answer.text)

    def test_both_have_to_agree(self, entities, stack, client, other_client):
        for parameters, status in [
            (entities.customer.credentials, 200),
            ({"client_id": client.client_id}, 200),
            ({"client_id": other_client.client_id}, 401),
            ({"client_secret": other_client.client_secret}, 401),
            ({"client_secret": ""}, 401),
            (entities.of(other_client).credentials, 401),
        ]:
            answer = stack.call("GET", "/subscriptions", params=parameters, **basic(client))
            assert answer.status_code == status, parameters
            body = parameters | {"subscription": {"entity_key": new_key(), "callback": CALLBACK}}
            assert stack.call("POST", "/subscriptions", json=body, **basic(client)).status_code == status

    @pytest.mark.parametrize("header", ["Basic", "Basic *", "Basic YWJj", "basic /zr/", f"Basic {'A' * 5000}"])
    def test_what_is_malformed_opens_nothing(self, entities, stack, header):
        nothing: dict[str, str] = {}
        for parameters in (nothing, entities.customer.credentials):
            answer = stack.call("GET", "/v1/webhooks", params=parameters, headers={"Authorization": header})
            refused(answer, 401, "client_secret")

    @pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"subscription": 1}'])
    def test_a_stranger_learns_that_before_what_is_wrong_with_the_body(self, entities, stack, client, body):
        refused(stack.call("POST", "/subscriptions", data=body, **basic(client)), 400)
        wrong = basic(replace(client, client_secret="bws_wrong"))
        for credentials in (wrong, {"headers": {"Authorization": "Basic *"}}):
            refused(stack.call("POST", "/subscriptions", data=body, **credentials), 401, "client_secret")

    def test_another_scheme_is_ignored(self, entities, stack, client):
        headers = {"Authorization": f"Bearer {client.api_key}"}
        refused(stack.call("GET", "/subscriptions", headers=headers), 401)
        answer = stack.call("GET", "/subscriptions", params=entities.customer.credentials, headers=headers)
        assert answer.status_code == 200


class TestPages:
    @pytest.mark.parametrize("root", NAMES)
    def test_a_list_names_its_next_page(self, entities, root):
        made = [entities.customer.create_subscription(new_key(), CALLBACK)["key"] for _ in range(5)]
        pages = every_page(entities, root, limit=2, always_use_http_status_code_200="true")
        assert [it["key"] for page in pages for it in page["data"][f"{NAMES[root]}s"]] == made
        assert [len(page["data"][f"{NAMES[root]}s"]) for page in pages] == [2, 2, 1]
        for page in pages[:-1]:
            assert page["pagination"]["next"].endswith(page["data"]["cursor"])
            assert "limit=2" in page["pagination"]["next"]
        assert "cursor" not in pages[-1]["data"]

    def test_a_callback_log_names_its_next_page(self, entities, receiver):
        key = new_key()
        made = entities.customer.create_subscription(key, receiver.url)
        for n in range(1, 4):
            entities.publish(key)
            receiver.wait_for(lambda _: True, n)
        pages = every_page(entities, f"/subscriptions/{made['key']}/callbacks", limit=2)
        assert sum(len(page["data"]["callbacks"]) for page in pages) <= 3


class TestAlways200:
    def test_the_truth_is_in_the_body(self, entities, stack):
        always = {"always_use_http_status_code_200": "true"}
        for method, path, parameters, truth in [
            ("GET", "/subscriptions", {}, 200),
            ("GET", "/subscriptions/nothing", {}, 404),
            ("GET", "/v1/webhooks", {"limit": "0"}, 400),
            ("GET", "/v1/webhook_callback_logs", {}, 400),
            ("GET", "/subscriptions", {"client_secret": "wrong"}, 401),
            ("PATCH", "/subscriptions", {}, 405),
        ]:
            answer = entities.call(method, path, **parameters, **always)
            assert answer.status_code == 200, (path, answer.text)
            assert answer.json()["status"]["status_code"] == truth, path
            answer = entities.call(method, path, **parameters, always_use_http_status_code_200="false")
            assert answer.status_code == truth
        answer = stack.call("POST", "/subscriptions", params=always, json={"subscription": 1})
        assert (answer.status_code, answer.json()["status"]["status_code"]) == (200, 400)

    def test_it_is_so_for_events_too(self, entities, stack, publisher):
        always = {"always_use_http_status_code_200": "true"}
        event = entity_event(new_key(), entities.client)
        for body, truth in ((event, 202), (event | {"entity_type": "Envelope"}, 400)):
            answer = stack.call("POST", "/entities/events", publisher, json=body, params=always)
            assert (answer.status_code, answer.json()["status"]["status_code"]) == (200, truth)
        answer = stack.call("POST", "/entities/events", json=event, params=always)
        assert (answer.status_code, answer.json()["status"]["status_code"]) == (200, 401)
