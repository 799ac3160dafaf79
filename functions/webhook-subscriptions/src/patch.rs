//! `PATCH /subscribers/webhook/subscriptions/{subscriptionId}`: changes a subscription, with a JSON merge patch
//! (RFC 7386).

mod change;

use bellwire_api::{Failure, body, domain, etag, must_be_merge_patch};
use bellwire_domain::CallbackUrl;
use bellwire_domain::topic::Topic;
use bellwire_outbound::NoConsent;
use bellwire_store::subscription::Subscription;
use bellwire_store::subscription_change::Changed;
use lambda_http::http::Response;
use lambda_http::{Body, Request};
use time::OffsetDateTime;

use self::change::PatchWebhookSubscription;
use crate::WebhookSubscriptionsFunction;
use crate::switch::must_not_be_suspended;
use crate::view::{answer, revision};

/// How often a change is made again, at most, because others change the same subscription at the same time.
const ATTEMPTS: usize = 5;

impl WebhookSubscriptionsFunction {
    /// Changes what the body names, and nothing else: all of it, or nothing. The endpoint at a new URL is asked
    /// for its consent as at creation. If the topic has a document, an endpoint at a new URL, or one that is
    /// enabled, gets a snapshot of it at once. A request that changes nothing writes nothing.
    ///
    /// # Errors
    /// 400 when the body is refused, or the endpoint doesn't consent; 404 when the subscription is deleted
    /// meanwhile; 409 when it is to be enabled and the client may not see the topic any more, or the limit of the new URL's host is reached; 412 when `If-Match` names another
    /// revision; 413; 415; 500 when a table or the queue fails; 503 when other requests interfere.
    pub(crate) async fn patch(
        &self,
        subscription: Subscription,
        topic: &Topic,
        request: &Request,
    ) -> Result<Response<Body>, Failure> {
        must_be_merge_patch(request)?;
        let patch: PatchWebhookSubscription = body::json(request)?;
        let new_url = patch.check_url(&self.policy)?;
        let mut origin = None;
        let mut found = subscription;
        for _ in 0..ATTEMPTS {
            if patch.enables() {
                must_not_be_suspended(&found)?;
            }
            let mut change = patch.apply(&found, new_url.as_ref(), topic, &self.policy)?;
            if change.is_made(&found) {
                // An earlier request may have been cut off when it had changed the subscription.
                self.send_doubted_document(&found, topic).await?;
                etag::must_match(request, revision(&found))?;
                return answer(&found);
            }
            etag::must_match(request, revision(&found))?;
            if let Some(url) = new_url.as_ref().filter(|_| change.moves(&found)) {
                if origin.is_none() {
                    origin = Some(self.ask(url, domain(request)).await?);
                }
                change.webhook.origin = origin.clone().flatten();
            }
            let now = OffsetDateTime::now_utc();
            let changed = self
                .subscriptions
                .change(&found, &change, &self.limits, now);
            match changed.await? {
                Changed::Done(changed) => {
                    self.send_doubted_document(&changed, topic).await?;
                    return answer(&changed);
                }
                Changed::Before(other) => found = *other,
                Changed::TooMany(exceeded) => {
                    return Err(Failure::conflict(self.limits.explain(exceeded)));
                }
                Changed::Gone => return Err(Failure::not_found("there is no such subscription")),
            }
        }
        Err(Failure::try_again("please try again"))
    }

    /// Asks the endpoint for its consent, if the stack requires it. Returns the origin that deliveries have to
    /// name.
    ///
    /// # Errors
    /// 400 when it doesn't consent; 500 when it can't be asked.
    pub(crate) async fn ask(
        &self,
        url: &CallbackUrl,
        domain: &str,
    ) -> Result<Option<String>, Failure> {
        self.consent.ask(url, domain).await.map_err(|no| match no {
            NoConsent::Unasked(cause) => Failure::internal(cause),
            refused => Failure::field("webhookUrl", refused),
        })
    }

    /// Creates the delivery of a topic's current document, if there is one, to an endpoint that may have
    /// something else. Where somebody sends it already, or will after a pause, that changes nothing.
    async fn send_doubted_document(
        &self,
        subscription: &Subscription,
        topic: &Topic,
    ) -> Result<(), Failure> {
        if subscription.progress.in_doubt && !subscription.state().is_silent() {
            self.send_document(subscription, topic).await?;
        }
        Ok(())
    }
}
