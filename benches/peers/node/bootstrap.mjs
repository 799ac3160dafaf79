// The peer of `subscribe` in JavaScript with the AWS SDK v3: what a team would write that knows
// Lambda. It does what the peer in Python does, with a loop of a few lines in the place of
// Lambda's own runtime client.

import { createHash } from "node:crypto";
import { isIP } from "node:net";
import { DynamoDBClient, GetItemCommand, QueryCommand, UpdateItemCommand } from "@aws-sdk/client-dynamodb";
import { CreateTopicCommand, SNSClient, SubscribeCommand } from "@aws-sdk/client-sns";

const { env } = process;
const dynamodb = new DynamoDBClient({});
const sns = new SNSClient({});

const sha256 = (text) => createHash("sha256").update(text).digest("hex");

const answer = (statusCode, body) => ({
  statusCode,
  headers: { "content-type": "application/json" },
  body: JSON.stringify(body),
});

async function clientOf(event) {
  const headers = Object.entries(event.headers ?? {});
  const key = headers.find(([name]) => name.toLowerCase() === "x-api-key")?.[1] ?? "";
  const found = await dynamodb.send(
    new QueryCommand({
      TableName: env.CLIENTS_TABLE,
      IndexName: "by-api-key",
      KeyConditionExpression: "api_key_sha256 = :hash",
      ExpressionAttributeValues: { ":hash": { S: sha256(key) } },
    }),
  );
  return found.Items.find((client) => !client.disabled_at);
}

function problemWith(url) {
  if (typeof url !== "string" || url.length < 1 || url.length > 2048) return "must have 1 to 2048 characters";
  if (!URL.canParse(url)) return "must be an absolute URL";
  const parts = new URL(url);
  if (parts.protocol !== "https:") return "must use https";
  if (parts.username || parts.password || parts.hash) return "must have no user name, password or fragment";
  const host = parts.hostname;
  const isPrivate = /^(0|10|127|192\.168|169\.254|172\.(1[6-9]|2\d|3[01]))\./.test(host);
  if (isIP(host) === 4 && isPrivate) return "must not point at a private address";
  return undefined;
}

async function subscribe(event) {
  const client = await clientOf(event);
  if (!client) return answer(401, { message: "a valid API key is needed" });
  const { callbackUrl: url } = JSON.parse(event.body ?? "{}");
  const problem = problemWith(url);
  if (problem) return answer(400, { message: `callbackUrl: ${problem}`, field: "callbackUrl" });
  const clientId = client.client_id.S;
  const Key = { client_id: { S: clientId }, callback_id: { S: sha256(url) } };
  const TableName = env.CALLBACKS_TABLE;
  const known = await dynamodb.send(new GetItemCommand({ TableName, Key, ConsistentRead: true }));
  if (known.Item?.status?.S === "CONFIRMED") {
    return answer(200, { message: "confirmed", callbackUrl: url, status: "CONFIRMED" });
  }
  const topic = env.TOPIC_PREFIX + clientId;
  const request = new SubscribeCommand({
    TopicArn: topic,
    Protocol: "https",
    Endpoint: url,
    ReturnSubscriptionArn: true,
    Attributes: {
      RawMessageDelivery: "true",
      FilterPolicy: JSON.stringify({ status: ["SUCCEEDED"] }),
      RedrivePolicy: JSON.stringify({ deadLetterTargetArn: env.UNDELIVERED_QUEUE_ARN }),
    },
  });
  let subscribed;
  try {
    subscribed = await sns.send(request);
  } catch (error) {
    if (error.name !== "NotFoundException") throw error;
    const Name = topic.split(":").at(-1);
    await sns.send(new CreateTopicCommand({ Name, Attributes: { SignatureVersion: "2" } }));
    subscribed = await sns.send(request);
  }
  await dynamodb.send(
    new UpdateItemCommand({
      TableName,
      Key,
      UpdateExpression:
        "SET callback_url = :url, #status = :pending, subscription_arn = :arn, " +
        "created_at = if_not_exists(created_at, :now)",
      ExpressionAttributeNames: { "#status": "status" },
      ExpressionAttributeValues: {
        ":url": { S: url },
        ":pending": { S: "PENDING_CONFIRMATION" },
        ":arn": { S: subscribed.SubscriptionArn },
        ":now": { S: new Date().toISOString() },
      },
    }),
  );
  return answer(200, { message: "pending", callbackUrl: url, status: "PENDING_CONFIRMATION" });
}

const api = `http://${env.AWS_LAMBDA_RUNTIME_API}/2018-06-01/runtime/invocation`;
for (;;) {
  const next = await fetch(`${api}/next`);
  const id = next.headers.get("lambda-runtime-aws-request-id");
  const body = JSON.stringify(await subscribe(await next.json()));
  await (await fetch(`${api}/${id}/response`, { method: "POST", body })).arrayBuffer();
}
