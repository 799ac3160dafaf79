"""Clients that are disabled, enabled again, and removed with all that they own."""

import json

import pytest
from conftest import dead_letters, is_notification, new_query
from entities import entity_event, new_key
from fault_proxy import FaultProxy
from messages import delivery, event
from runtime_api import Function, api_event, failures, sqs_event
from streams import bodies, event_type, is_streams


def clients(stack, command: str, client) -> dict:
    done = stack.cli("clients", command, client.client_id, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def items(stack, table: str, client) -> list[dict]:
    found = []
    for page in stack.aws("dynamodb").get_paginator("scan").paginate(TableName=stack.outputs[table]):
        found += [it for it in page["Items"] if it.get("client_id", {}).get("S") == client.client_id]
    return found


def test_a_client_that_is_shut_out_gets_nothing_and_goes_on_where_it_is_let_in(
    streams, entities, stack, receiver, client, other_client, publisher
):
    documents, events, key = streams.topic("snapshot"), streams.topic("event"), new_key()
    streams.publish(documents, {"n": 1})
    for name, whose in (("mine", client), ("others", other_client)):
        streams.subscribe(documents, f"{receiver.url}/{name}/documents", whose)
        streams.subscribe(events, f"{receiver.url}/{name}/events", whose)
        entities.of(whose).create_subscription(key, f"{receiver.url}/{name}/entities")
    quiet = streams.subscribe(events, f"{receiver.url}/mine/quiet")
    assert streams.on(quiet, "disable").status_code == 200
    stack.confirmed(client, receiver, "/mine/queries")
    query = new_query()
    stack.register(publisher, query, client)
    receiver.wait_for(is_streams, 2)

    # Twice, as after a command that was cut off.
    for _ in range(2):
        assert clients(stack, "disable", client)["disabled_at"]
    assert streams.on(quiet, "enable").status_code in (200, 401)  # its key may be good for another minute
    streams.publish(documents, {"n": 2})
    streams.publish(events, {"n": 2})
    entities.publish(key, client, other_client)
    stack.complete(query)
    # What was in a queue when it was disabled.
    late = delivery(quiet, event({"n": "late"}), client.client_id)
    with Function(stack, "DeliverFunction") as deliver:
        assert failures(deliver.invoke(sqs_event(late))) == []
    receiver.wait_for(lambda it: it.path.startswith("/others/"), 4)
    mine = receiver.matching(lambda it: it.path.startswith("/mine/") and (is_streams(it) or is_notification(it)))
    assert [(it.path, it.json()) for it in mine] == [("/mine/documents", {"n": 1})]
    assert receiver.matching(lambda it: it.path == "/mine/entities") == []

    for _ in range(2):
        assert clients(stack, "enable", client)["disabled_at"] is None
    # The document that it missed, whole, and what comes from now on.
    [_, second] = receiver.wait_for(lambda it: it.path == "/mine/documents", 2)
    assert (event_type(second), second.json()) == ("snapshot", {"n": 2})
    streams.publish(events, {"n": 3})
    assert bodies(receiver, 1, "/mine/events") == [{"n": 3}]
    entities.publish(key, client)
    [callback] = receiver.wait_for(lambda it: it.path == "/mine/entities")
    assert callback.json()["entity_key"] == key
    again = new_query()
    stack.register(publisher, again, client)
    stack.complete(again)
    [notification] = receiver.wait_for(is_notification)
    assert notification.json()["QueryExecutionId"] == again


def test_what_its_owner_has_disabled_stays_so(streams, stack, client):
    subscription = streams.subscribe(streams.topic(), "https://example.com/")
    streams.on(subscription, "disable")
    clients(stack, "disable", client)
    clients(stack, "enable", client)
    assert streams.wait_for_view(subscription, status="disabled")["disabledReason"] == "requested"


@pytest.mark.parametrize("protocol", ["streams", "entities"])
def test_a_client_that_is_shut_out_meanwhile_makes_no_subscription(streams, entities, stack, client, protocol):
    topic = streams.topic()
    if protocol == "streams":
        path = f"/subscribers/webhook/topics/{topic}/subscriptions"
        request = api_event("POST", path, client, {"webhookUrl": "https://example.com/"}, topicId=topic)
        function = "WebhookSubscriptionsFunction"
    else:
        request = api_event("POST", "/subscriptions", client, entities.create_request())
        function = "EntitySubscriptionsFunction"
    shut_out: list[dict] = []

    class Between(FaultProxy):
        def _fault(self, operation: str) -> str | None:
            # After the client was read.
            if operation == "TransactWriteItems" and not shut_out:
                shut_out.append(clients(stack, "disable", client))
            return super()._fault(operation)

    with Between(stack.env["AWS_ENDPOINT_URL"]) as aws, Function(stack, function, aws.endpoint) as made:
        assert made.invoke(request).status == 401
    assert len(shut_out) == 1 and items(stack, "SubscriptionsTable", client) == []


def test_a_client_is_removed_with_all_that_is_its_own(streams, entities, stack, receiver, publisher):
    client = stack.new_client()
    topic, key = streams.topic("event"), new_key()
    subscription = streams.subscribe(topic, f"{receiver.url}/hook", client)
    entities.of(client).create_subscription(key, f"{receiver.url}/entity")
    stack.confirmed(client, receiver)
    query = new_query()
    stack.register(publisher, query, client)
    streams.publish(topic, {"n": 1})
    receiver.wait_for(is_streams)
    arn = stack.outputs["TopicPrefix"] + client.client_id
    sns = stack.aws("sns")
    assert sns.get_topic_attributes(TopicArn=arn)

    assert clients(stack, "delete", client) == {"client_id": client.client_id, "deleted": True}
    for table in ("ClientsTable", "SubscriptionsTable", "MembersTable", "CallbacksTable", "QueriesTable"):
        assert items(stack, table, client) == [], table
    exchanges = stack.aws("dynamodb").query(
        TableName=stack.outputs["ExchangesTable"],
        KeyConditionExpression="subscription_id = :id",
        ExpressionAttributeValues={":id": {"S": subscription["id"]}},
    )
    assert exchanges["Items"] == []
    with pytest.raises(sns.exceptions.NotFoundException):
        sns.get_topic_attributes(TopicArn=arn)
    # What comes for it now is dropped without an error, and is no dead letter.
    streams.publish(topic, {"n": 2})
    entities_event = entity_event(key, client)
    answer = stack.call("POST", "/entities/events", publisher, json=entities_event)
    assert answer.status_code == 202
    late = delivery(subscription, event({"n": "late"}), client.client_id)
    with Function(stack, "DeliverFunction") as deliver:
        assert failures(deliver.invoke(sqs_event(late))) == []
    assert len(receiver.matching(is_streams)) == 1
    assert dead_letters(stack, "DeadDeliveriesQueueUrl", subscription["id"]) == []
    done = stack.cli("clients", "delete", client.client_id)
    assert (done.returncode, done.stderr.strip()) == (1, f"bellwire: there is no client {client.client_id}")


def test_an_old_secret_is_good_for_another_day(entities, stack, client):
    secrets = [client.client_secret]
    for _ in range(2):
        rotated = clients(stack, "rotate-secret", client)
        assert set(rotated) == {"client_id", "client_secret", "previous_secret_valid_until"}
        secrets.append(rotated["client_secret"])
    assert len(set(secrets)) == 3

    def status(secret: str) -> int:
        return entities.call("GET", "/subscriptions", client_secret=secret).status_code

    assert [status(it) for it in secrets] == [200, 200, 200]
    assert status("bws_nobody's") == 401
    # A day later the first two are void.
    dynamodb, table = stack.aws("dynamodb"), stack.outputs["ClientsTable"]
    [item] = items(stack, "ClientsTable", client)
    for earlier in item["earlier_client_secrets"]["L"]:
        earlier["M"]["valid_until"] = {"S": "2020-01-01T00:00:00.000000Z"}
    dynamodb.put_item(TableName=table, Item=item)
    assert [status(it) for it in secrets] == [401, 401, 200]
    assert "bws_" in stack.cli("clients", "rotate-secret", client.client_id).stdout
