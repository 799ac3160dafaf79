// Creates a topic, subscribes to it, publishes and reads the exchanges, with the types that were generated.
//
// The environment has BELLWIRE_URL, BELLWIRE_PUBLISHER_KEY and BELLWIRE_API_KEY (a subscriber's), and TOPIC_NAME and
// WEBHOOK_URL. Prints JSON: the ids of topic, subscription and publication, and the exchanges.

import createClient from "openapi-fetch";
import type { components, paths } from "./bellwire.js";

function variable(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
}

function client(key: string) {
  return createClient<paths>({ baseUrl: variable("BELLWIRE_URL"), headers: { "x-api-key": key } });
}

/** What the API returned, or an exception that has its error. */
function returned<T>(answer: { data?: T; error?: unknown }): T {
  if (answer.data === undefined) throw new Error(JSON.stringify(answer.error));
  return answer.data;
}

const publisher = client(variable("BELLWIRE_PUBLISHER_KEY"));
const subscriber = client(variable("BELLWIRE_API_KEY"));

const topic = returned(
  await publisher.POST("/topics", {
    body: { name: variable("TOPIC_NAME"), publisher: { type: "http-post", payload: { type: "event" } } },
  }),
);
const subscription = returned(
  await subscriber.POST("/subscribers/webhook/topics/{topicId}/subscriptions", {
    params: { path: { topicId: topic.id } },
    body: { webhookUrl: variable("WEBHOOK_URL") },
  }),
);
const published = returned(
  await publisher.POST("/publishers/http-post/topics/{topicId}", {
    params: { path: { topicId: topic.id } },
    body: { order: 7 },
  }),
);

let exchanges: components["schemas"]["Exchange"][] = [];
const deadline = Date.now() + 30_000;
while (exchanges.length === 0 && Date.now() < deadline) {
  await new Promise((resolve) => setTimeout(resolve, 100));
  exchanges = returned(
    await subscriber.GET("/subscribers/webhook/subscriptions/{subscriptionId}/exchanges", {
      params: { path: { subscriptionId: subscription.id } },
    }),
  );
}
console.log(
  JSON.stringify({ topic: topic.id, subscription: subscription.id, published: published.id, exchanges }),
);
