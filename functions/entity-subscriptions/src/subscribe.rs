//! `POST /subscriptions` and `POST /v1/webhooks`: subscribes a callback to an entity.

use bellwire_api::idempotency::Repeatable;
use bellwire_api::{Caller, Failure};
use bellwire_domain::endpoint::signature::generate_secret;
use bellwire_domain::entity::Spelling;
use bellwire_domain::ids::{entity_audience_id, entity_subscription_id};
use bellwire_outbound::NoConsent;
use bellwire_store::subscription::{Source, Subscription, Webhook};
use bellwire_store::subscriptions::Created;
use lambda_http::Body;
use lambda_http::http::Response;
use time::OffsetDateTime;

use crate::request::CreateEntitySubscription;
use crate::view::EntitySubscriptionView;
use crate::{EntitySubscriptionsFunction, show};

/// The most subscriptions of a client to one entity: their deliveries are created in one step.
const MAX_CALLBACKS: usize = 100;

impl EntitySubscriptionsFunction {
    /// Subscribes a callback to an entity. Only this response has the signing secret. A callback that
    /// is subscribed already stays as it is, except that it is enabled if it was disabled, and that its callbacks have
    /// the spelling of the last request.
    ///
    /// # Errors
    /// 400 when the callback is refused or doesn't consent; 401 when the client is disabled meanwhile;
    /// 409 when a limit is reached, or the `Idempotency-Key` came with another request; 500 when a
    /// table fails; 503 when another request interferes.
    pub(crate) async fn subscribe(
        &self,
        client: &Caller,
        create: CreateEntitySubscription,
        (spelling, domain): (Spelling, &str),
        repeatable: &Repeatable<'_>,
    ) -> Result<Response<Body>, Failure> {
        if let Some(answer) = repeatable.earlier().await? {
            return Ok(answer);
        }
        let CreateEntitySubscription {
            entity_key,
            callback,
        } = create;
        let field = || format!("{}.callback", spelling.one());
        let callback = self
            .policy
            .check(&callback)
            .map_err(|refused| Failure::field(field(), refused))?;
        let client_id = client.client_id.as_str();
        let id = entity_subscription_id(client_id, entity_key.as_str(), callback.as_str());
        tracing::Span::current().record("subscription", id.as_str());
        if let Some(existing) = self.subscriptions.get(&id).await? {
            let answer = self.again(existing, spelling).await?;
            repeatable.keep(&answer).await?;
            return Ok(answer);
        }
        let audience_id = entity_audience_id(client_id, entity_key.as_str());
        if self.members.of(&audience_id, 0).await?.len() >= MAX_CALLBACKS {
            return Err(Failure::conflict(format!(
                "an entity can have at most {MAX_CALLBACKS} subscriptions of one client"
            )));
        }
        let origin = self.consent.ask(&callback, domain).await;
        let origin = origin.map_err(|no| match no {
            NoConsent::Unasked(cause) => Failure::internal(cause),
            refused => Failure::field(field(), refused),
        })?;
        let secret = generate_secret().map_err(Failure::internal)?;
        let now = OffsetDateTime::now_utc();
        let source = Source::Entity {
            entity_key,
            spelling,
        };
        let webhook = Webhook {
            origin,
            ..Webhook::new(callback.as_str(), secret.clone())
        };
        let subscription = Subscription::new(id.clone(), client_id, source, webhook, now);
        let answer = show(
            spelling,
            &EntitySubscriptionView::with_secret(&subscription, &secret),
        )?;
        let mut others = vec![self.clients.must_be_enabled(&client.client_id)?];
        others.extend(repeatable.record(&answer)?);
        match self
            .subscriptions
            .create(&subscription, &self.limits, others)
            .await?
        {
            Created::Done => return Ok(answer),
            Created::TooMany(exceeded) => {
                return Err(Failure::conflict(self.limits.explain(exceeded)));
            }
            Created::Refused(0) => return Err(Failure::wrong_credentials()),
            Created::Exists | Created::Refused(_) => {}
        }
        // Another request has created it meanwhile, or this one, repeated.
        if let Some(answer) = repeatable.earlier().await? {
            return Ok(answer);
        }
        match self.subscriptions.get(&id).await? {
            Some(existing) => self.again(existing, spelling).await,
            None => Err(Failure::try_again("please try again")),
        }
    }

    /// 200 with a subscription that exists already, enabled if it was disabled, and with the spelling of the request;
    /// 503 if it is deleted meanwhile.
    async fn again(
        &self,
        existing: Subscription,
        spelling: Spelling,
    ) -> Result<Response<Body>, Failure> {
        let deleted = || Failure::try_again("please try again");
        let mut current = existing;
        let now = OffsetDateTime::now_utc();
        if current.spelling() != spelling {
            let id = &current.subscription_id;
            let changed = self.subscriptions.set_spelling(id, spelling, now);
            current = changed.await?.ok_or_else(deleted)?;
        }
        if current.disabled.is_some() {
            let enabled = self.subscriptions.enable(&current.subscription_id, now);
            current = enabled.await?.ok_or_else(deleted)?;
        }
        show(spelling, &EntitySubscriptionView::of(&current))
    }
}
