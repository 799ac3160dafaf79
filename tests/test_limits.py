"""How much a client may have: subscriptions, running queries, waiting requests, replays."""

import time
import uuid

import pytest
from conftest import new_query
from entities import new_key
from runtime_api import Function, api_event, failures, sqs_event
from streams import ago, bodies, eventually

WEBHOOKS = "/subscribers/webhook/topics/{topicId}/subscriptions"


class TestSubscriptions:
    """To topics and to entities, all in all and at one host."""

    @pytest.fixture
    def subscribe(self, stack, streams, client):
        topic = streams.topic()
        with Function(
            stack, "WebhookSubscriptionsFunction", SUBSCRIPTIONS_PER_CLIENT="3", SUBSCRIPTIONS_PER_HOST="2"
        ) as function:

            def subscribe(url: str, whose=client, key: str | None = None):
                event = api_event("POST", WEBHOOKS, whose, {"webhookUrl": url}, topicId=topic)
                if key:
                    event["headers"]["Idempotency-Key"] = key
                    event["multiValueHeaders"]["Idempotency-Key"] = [key]
                return function.invoke(event)

            yield subscribe

    def test_a_client_may_have_so_many_and_another_one_as_well(self, subscribe, streams, other_client):
        made = [subscribe(f"https://{host}.example.com/", key=host) for host in "abc"]
        assert [it.status for it in made] == [201] * 3
        refused = subscribe("https://d.example.com/")
        assert refused.status == 409
        assert refused.body["message"] == ("a client can have at most 3 subscriptions like this one: delete some first")
        # What is there already is answered as before.
        again = subscribe("https://a.example.com/", key="a")
        assert (again.status, again.body) == (201, made[0].body)
        assert subscribe("https://d.example.com/", other_client).status == 201
        for _ in range(2):
            assert streams.on(made[0].body, method="DELETE").status_code in (204, 404)
        assert subscribe("https://d.example.com/").status == 201
        assert subscribe("https://e.example.com/").status == 409

    def test_at_one_host_there_are_fewer(self, subscribe):
        urls = [
            "https://a.example.com/1",
            "https://a.example.com:8443/2",
            "https://A.example.com./3",
            "https://b.example.com/",
        ]
        answers = [subscribe(url) for url in urls]
        assert [it.status for it in answers] == [201, 201, 409, 201]
        assert answers[2].body["message"] == (
            "a client can have at most 2 subscriptions like this one at one host: delete some first"
        )

    def test_the_subscriptions_of_a_deleted_topic_do_not_count(self, subscribe, streams, stack, publisher):
        topic = streams.topic()
        streams.subscribe(topic, "https://a.example.com/")
        for host in "bc":
            assert subscribe(f"https://{host}.example.com/").status == 201
        assert subscribe("https://d.example.com/").status == 409
        assert stack.call("DELETE", f"/topics/{topic}", publisher).status_code == 204
        eventually(
            lambda: subscribe("https://d.example.com/"), lambda it: it.status == 201, "room for another subscription"
        )

    def test_entities_are_counted_by_themselves(self, subscribe, stack, client):
        assert subscribe("https://a.example.com/").status == 201
        with Function(
            stack, "EntitySubscriptionsFunction", SUBSCRIPTIONS_PER_CLIENT="2", SUBSCRIPTIONS_PER_HOST="1"
        ) as function:

            def subscribe_to_entity(key: str, host: str):
                subscription = {"entity_key": key, "callback": f"https://{host}.example.com/"}
                body = {
                    "client_id": client.client_id,
                    "client_secret": client.client_secret,
                    "subscription": subscription,
                }
                return function.invoke(api_event("POST", "/subscriptions", client, body))

            first, second, third = new_key(), new_key(), new_key()
            assert subscribe_to_entity(first, "a").status == 200
            refused = subscribe_to_entity(second, "a")
            assert refused.status == refused.body["status"]["status_code"] == 409
            assert "at most 1 subscriptions like this one at one host" in str(refused.body)
            assert subscribe_to_entity(second, "b").status == 200
            assert "at most 2 subscriptions" in str(subscribe_to_entity(third, "c").body)
            # The same one again is nothing new.
            assert subscribe_to_entity(first, "a").status == 200


class TestQueries:
    """Queries that run at once, and requests that wait."""

    def put(self, stack, client, queries: dict, waiting: dict) -> None:
        """Gives a client these running queries and waiting requests."""
        stack.aws("dynamodb").put_item(
            TableName=stack.outputs["QueriesTable"],
            Item={
                "execution_id": {"S": f"client#{client.client_id}"},
                "revision": {"N": "7"},
                "queries": {"M": queries},
                "waiting": {"M": waiting},
                "expires_at": {"N": str(int(time.time()) + 3600)},
            },
        )

    def run(self, function, client, sql="SELECT 1", **more):
        return function.invoke(api_event("POST", "/v1/queries", client, {"QueryString": sql, **more}))

    def test_so_many_run_at_once(self, stack, client, publisher):
        until = {"N": str(int(time.time()) + 3600)}
        # Of one Athena knows nothing: whether it has ended is what the record says.
        query = new_query()
        stack.register(publisher, query, client)
        self.put(stack, client, {"token": {"M": {"execution_id": {"S": query}, "until": until}}}, {})
        with Function(stack, "QueriesFunction", RUNNING_QUERIES_PER_CLIENT="1") as function:
            for _ in range(2):
                refused = self.run(function, client)
                assert refused.status == 429
                assert refused.body["message"] == (
                    "a client can have at most 1 queries running: wait until one has ended"
                )
            stack.complete(query)
            eventually(lambda: self.run(function, client), lambda it: it.status == 200, "its end")
            # What has ended makes room by itself, and a repeated request takes none.
            for token in ("a" * 32, "a" * 32, "b" * 32):
                started = eventually(
                    lambda token=token: self.run(function, client, ClientRequestToken=token),
                    lambda it: it.status == 200,
                    "the end of the one before",
                )
                assert started.body["QueryExecutionId"]

    def test_what_athena_refuses_does_not_count(self, stack, aws, client):
        with Function(stack, "QueriesFunction", aws.endpoint, RUNNING_QUERIES_PER_CLIENT="1") as function:
            aws.set("StartQueryExecution", "throttle", 100)
            for _ in range(2):
                assert self.run(function, client).status == 503
            aws.heal()
            assert self.run(function, client).status == 200

    def test_so_many_wait(self, stack, client):
        soon = {"N": str(int(time.time()) + 25)}
        with Function(stack, "QueriesFunction", WAITING_REQUESTS_PER_CLIENT="1") as function:
            for _ in range(3):
                answered = self.run(function, client, "SELECT 1 AS n", wait=True)
                assert (answered.status, answered.body["results"]) == (200, [{"n": "1"}])
            self.put(stack, client, {}, {"somebody": soon})
            refused = self.run(function, client, wait=True)
            assert refused.status == 429
            assert "at most 1 requests waiting" in refused.body["message"]
            assert self.run(function, client).status == 200


class TestReplays:
    """One of a subscription at a time."""

    def test_a_second_one_waits_for_the_first(self, streams, stack, receiver, client):
        topic = streams.topic()
        subscription, another = (streams.subscribe(topic, f"{receiver.url}/{n}") for n in range(2))
        start = {"start": ago(seconds=60)}
        replay = str(uuid.uuid4())
        key = {"subscription_id": {"S": subscription["id"]}}
        until = {"N": str(int(time.time()) + 600)}
        stack.aws("dynamodb").update_item(
            TableName=stack.outputs["SubscriptionsTable"],
            Key=key,
            UpdateExpression="SET replay_id = :id, replay_until = :until",
            ExpressionAttributeValues={":id": {"S": replay}, ":until": until},
        )
        refused = streams.on(subscription, "replay", json=start)
        assert refused.status_code == 409
        assert refused.json()["message"] == "another replay of this subscription is going on: wait for its end"
        assert streams.on(another, "replay", json=start).status_code == 202
        # The first one takes its last step.
        step = {
            "replay_id": replay,
            "subscription_id": subscription["id"],
            "client_id": client.client_id,
            "topic_id": topic,
            "start": ago(seconds=60),
            "end": ago(seconds=0),
        }
        with Function(stack, "FanoutFunction") as fanout:
            assert failures(fanout.invoke(sqs_event({"replay": step}))) == []
        for _ in range(2):
            eventually(
                lambda: streams.on(subscription, "replay", json=start).status_code, lambda it: it == 202, "its end"
            )

    def test_one_that_can_not_be_begun_is_in_nobodys_way(self, streams, stack, aws, client):
        subscription = streams.subscribe(streams.topic(), "https://example.com/")
        path = "/subscribers/webhook/subscriptions/{subscriptionId}/replay"
        event = api_event("POST", path, client, {"start": ago(seconds=60)}, subscriptionId=subscription["id"])
        with Function(stack, "WebhookSubscriptionsFunction", aws.endpoint) as function:
            aws.set("SendMessage", "refuse", 100)
            assert function.invoke(event).status == 500
            aws.heal()
            assert function.invoke(event).status == 202

    def test_nothing_is_replayed_to_a_subscription_that_was_deleted(self, streams, stack, receiver, client):
        topic = streams.topic()
        subscription = streams.subscribe(topic, receiver.url)
        streams.publish(topic, {"n": 1})
        bodies(receiver, 1)
        assert streams.on(subscription, method="DELETE").status_code == 204
        step = {
            "replay_id": "r",
            "subscription_id": subscription["id"],
            "client_id": client.client_id,
            "topic_id": topic,
            "start": ago(seconds=60),
            "end": ago(seconds=0),
        }
        with Function(stack, "FanoutFunction") as fanout:
            assert failures(fanout.invoke(sqs_event({"replay": step}))) == []
            assert "nobody to replay to" in fanout.log()


def test_segments_that_are_empty_for_good_are_left_out(streams, stack, receiver):
    topic = streams.topic()
    table = stack.outputs["MembersTable"]
    key = {"audience_segment": {"S": f"{topic}#count"}, "subscription_id": {"S": "count"}}
    db = stack.aws("dynamodb")
    # As if 3,000 subscriptions had come and gone.
    db.update_item(
        TableName=table,
        Key=key,
        UpdateExpression="SET given = :given",
        ExpressionAttributeValues={":given": {"N": "3000"}},
    )
    stays = streams.subscribe(topic, f"{receiver.url}/stays")
    streams.publish(topic, 0)

    def left_out() -> list[str]:
        item = db.get_item(TableName=table, Key=key, ConsistentRead=True)["Item"]
        return sorted(item.get("empty", {"NS": []})["NS"])

    eventually(left_out, lambda it: it == ["0", "1", "2"], "segments that are left out")
    for n in (1, 2):
        streams.publish(topic, n)
    assert sorted(bodies(receiver, 3, "/stays")) == [0, 1, 2]
    streams.subscribe(topic, f"{receiver.url}/comes")
    streams.publish(topic, 3)
    assert bodies(receiver, 1, "/comes") == [3]
    assert left_out() == ["0", "1", "2"]
    assert streams.show(stays)["status"] == "active"
