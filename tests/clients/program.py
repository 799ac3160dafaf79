"""Creates a topic, subscribes to it, publishes and reads the exchanges, with the client that was generated.

The environment has BELLWIRE_URL, BELLWIRE_PUBLISHER_KEY and BELLWIRE_API_KEY (a subscriber's), and TOPIC_NAME and
WEBHOOK_URL. Prints JSON: the ids of topic, subscription and publication, and the exchanges.
"""

import json
import os
import time

from bellwire_client import AuthenticatedClient
from bellwire_client.api.publishing import publish
from bellwire_client.api.topics import create_topic
from bellwire_client.api.webhook_subscriptions import create_webhook_subscription, list_exchanges
from bellwire_client.models import (
    CreatedWebhookSubscription,
    CreateWebhookSubscription,
    Exchange,
    PayloadDefinition,
    PayloadDefinitionType,
    Published,
    PublisherDefinition,
    Topic,
    TopicDefinition,
)


def main() -> None:
    url = os.environ["BELLWIRE_URL"]
    publisher = AuthenticatedClient(url, token=os.environ["BELLWIRE_PUBLISHER_KEY"])
    subscriber = AuthenticatedClient(url, token=os.environ["BELLWIRE_API_KEY"])

    payload = PayloadDefinition(PayloadDefinitionType.EVENT)
    definition = TopicDefinition(os.environ["TOPIC_NAME"], PublisherDefinition("http-post", payload=payload))
    topic = create_topic.sync(client=publisher, body=definition)
    assert isinstance(topic, Topic), topic

    webhook = CreateWebhookSubscription(os.environ["WEBHOOK_URL"])
    subscription = create_webhook_subscription.sync(str(topic.id), client=subscriber, body=webhook)
    assert isinstance(subscription, CreatedWebhookSubscription), subscription

    published = publish.sync(str(topic.id), client=publisher, body={"order": 7})
    assert isinstance(published, Published), published

    exchanges: list[Exchange] = []
    deadline = time.monotonic() + 30
    while not exchanges and time.monotonic() < deadline:
        time.sleep(0.1)
        found = list_exchanges.sync(str(subscription.id), client=subscriber)
        assert isinstance(found, list), found
        exchanges = found
    print(
        json.dumps(
            {
                "topic": str(topic.id),
                "subscription": str(subscription.id),
                "published": str(published.id),
                "exchanges": [it.to_dict() for it in exchanges],
            }
        )
    )


main()
