//! `POST /subscribers/webhook/subscriptions/{subscriptionId}/replay`: has past events delivered again.

use bellwire_api::idempotency::Repeatable;
use bellwire_api::{Failure, accepted, body, idempotency_key};
use bellwire_domain::ids::{idempotent_event_id, random_id};
use bellwire_domain::timestamp::{self, iso_serde};
use bellwire_domain::topic::modes::SubscriptionMode;
use bellwire_fanout::Restricted;
use bellwire_queues::{FanOut, Hops, Message, Replay};
use bellwire_store::subscription::Subscription;
use bellwire_store::topics::StoredTopic;
use lambda_http::http::Response;
use lambda_http::{Body, Request};
use serde::Deserialize;
use serde_json::json;
use time::OffsetDateTime;

use crate::WebhookSubscriptionsFunction;
use crate::switch::must_not_be_suspended;

/// The body of the request: the period of time to replay, which ends now if `end` is missing.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stretch {
    #[serde(with = "iso_serde")]
    start: OffsetDateTime,
    #[serde(default, with = "iso_serde::option")]
    end: Option<OffsetDateTime>,
}

impl WebhookSubscriptionsFunction {
    /// Begins a replay: the events that were accepted from `start` to `end`, and have not been
    /// delivered, are delivered again. Events from before the subscription was created, and those that
    /// are not kept any more, are left out; the response has the time from which events are replayed. A
    /// subscription has one replay at a time.
    ///
    /// # Errors
    /// 400 when the body is refused; 409 when the topic has a document, the subscription is disabled,
    /// another replay is running, or the `Idempotency-Key` came with another request; 413; 500 when a
    /// table or the queue fails.
    pub(crate) async fn replay(
        &self,
        subscription: &Subscription,
        topic: &StoredTopic,
        request: &Request,
        repeatable: &Repeatable<'_>,
    ) -> Result<Response<Body>, Failure> {
        let stretch: Stretch = body::json(request)?;
        if let Some(answer) = repeatable.earlier().await? {
            return Ok(answer);
        }
        let now = OffsetDateTime::now_utc();
        let end = stretch.end.unwrap_or(now);
        if stretch.start > end {
            return Err(Failure::field("start", "must not be after end"));
        }
        let Some((topic_id, SubscriptionMode::Event)) = subscription.topic() else {
            return Err(Failure::conflict(
                "a document is not replayed: it goes on with a snapshot when the subscription is enabled",
            ));
        };
        must_not_be_suspended(subscription)?;
        if subscription.disabled.is_some() {
            return Err(Failure::conflict(
                "the subscription is disabled: enable it first",
            ));
        }
        // The payload of an older event may be gone before its item is.
        let kept_since = self.events.kept_since(now);
        let start = stretch.start.max(subscription.created_at).max(kept_since);
        let id = &subscription.subscription_id;
        // The same in a repetition that comes before the response is on record.
        let replay_id = match idempotency_key::of(request)? {
            Some(key) => idempotent_event_id(&subscription.client_id, id.as_str(), key).to_string(),
            None => random_id(),
        };
        if !self.subscriptions.begin_replay(id, &replay_id, now).await? {
            return Err(Failure::conflict(
                "another replay of this subscription is going on: wait for its end",
            ));
        }
        let replay = FanOut::Replay(Replay {
            replay_id: replay_id.clone(),
            subscription_id: subscription.subscription_id.clone(),
            client_id: subscription.client_id.clone(),
            topic_id: topic_id.clone(),
            start,
            end: end.max(start),
            shards: topic.shards,
            restricted: Restricted::of(&topic.topic).0,
            after: None,
            hops: Hops::default(),
        });
        if let Err(error) = self.fan_outs.send(Message::new(&replay)?).await {
            self.subscriptions.end_replay(id, &replay_id).await?;
            return Err(error.into());
        }
        let (start, end) = (timestamp::iso(start), timestamp::iso(end.max(start)));
        let answer = accepted(&json!({ "start": start, "end": end }))?;
        repeatable.keep(&answer).await?;
        Ok(answer)
    }
}
