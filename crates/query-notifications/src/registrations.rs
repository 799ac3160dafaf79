//! The URLs that clients have registered: SNS has the subscriptions, the Callbacks table records
//! what was requested, and this module keeps the two in step.
//!
//! Each step calls SNS first and records afterwards, and can be repeated. A step that was cut off
//! in between is completed by its repetition, or by [`Registrations::refresh`] when the
//! registration is read.

use std::time::Duration;

use bellwire_domain::{CallbackUrl, ClientId, Format, Secret, Statuses};
use bellwire_store::callbacks::Wanted;
use bellwire_store::{Callback, Callbacks, StoreError};
use time::OffsetDateTime;

use crate::client_topics::Subscribed;
use crate::{ClientTopics, SnsError};

/// SNS drops a subscription that is not confirmed within 48 hours.
/// <https://docs.aws.amazon.com/sns/latest/api/API_Subscribe.html>
const PENDING_FOR: time::Duration = time::Duration::days(2);

/// A registration could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum RegistrationError {
    /// The Callbacks table failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// SNS failed, or refused.
    #[error(transparent)]
    Sns(#[from] SnsError),
}

/// The URLs that clients have registered, in SNS and on record.
#[derive(Clone, Debug)]
pub struct Registrations {
    callbacks: Callbacks,
    topics: ClientTopics,
}

impl Registrations {
    /// Registrations recorded in `callbacks` and carried out in `topics`.
    pub fn new(callbacks: Callbacks, topics: ClientTopics) -> Self {
        Self { callbacks, topics }
    }

    /// All of the client's registrations, oldest first, as SNS has them. Updates the record where
    /// it differs.
    pub async fn list(&self, client_id: &ClientId) -> Result<Vec<Callback>, RegistrationError> {
        let recorded = self.callbacks.list(client_id).await?;
        let in_sns = self.topics.confirmed(client_id).await?;
        let dropped_if_pending = OffsetDateTime::now_utc() - PENDING_FOR;
        let mut callbacks = Vec::with_capacity(recorded.len());
        for callback in recorded {
            match in_sns.get(&callback.callback_url) {
                Some(arn) if callback.is_confirmed() && callback.subscription_arn == *arn => {
                    callbacks.push(callback);
                }
                // By whichever ARN SNS lists: it is promised nowhere that a repeated Subscribe of a
                // pending URL returns the same one, and a token may be that of an earlier one.
                // https://docs.aws.amazon.com/sns/latest/api/API_Subscribe.html
                Some(arn) => callbacks.push(match self.topics.describe(arn).await? {
                    Some(actual) if actual.confirmed => {
                        self.record_confirmed(client_id, actual, None).await?
                    }
                    _ => callback,
                }),
                None if !callback.is_confirmed() && callback.created_at > dropped_if_pending => {
                    callbacks.push(callback);
                }
                None => callbacks.extend(self.refresh(client_id, callback).await?),
            }
        }
        Ok(callbacks)
    }

    /// The client's registration of a URL in normal form, as it is on record; `None` when there is
    /// none.
    pub async fn recorded(
        &self,
        client_id: &ClientId,
        callback_url: &str,
    ) -> Result<Option<Callback>, RegistrationError> {
        Ok(self.callbacks.get(client_id, callback_url).await?)
    }

    /// The client's registration of a URL in normal form, as SNS has it; `None` when there is none.
    pub async fn get(
        &self,
        client_id: &ClientId,
        callback_url: &str,
    ) -> Result<Option<Callback>, RegistrationError> {
        match self.recorded(client_id, callback_url).await? {
            Some(callback) => self.refresh(client_id, callback).await,
            None => Ok(None),
        }
    }

    /// Makes SNS send a token to the URL, and records that the registration waits for it.
    pub async fn request_confirmation(
        &self,
        client_id: &ClientId,
        url: &CallbackUrl,
        statuses: Statuses,
        format: Format,
    ) -> Result<Callback, RegistrationError> {
        let subscription_arn = self
            .topics
            .subscribe(client_id, url, &statuses, format)
            .await?;
        let wanted = Wanted {
            callback_url: url.as_str().to_owned(),
            statuses,
            format,
            subscription_arn,
        };
        let now = OffsetDateTime::now_utc();
        let callback = self
            .callbacks
            .record_pending(client_id, &wanted, now)
            .await?;
        // SNS may have the URL confirmed although there was no record of it.
        match self.topics.describe(&callback.subscription_arn).await? {
            Some(actual) if actual.confirmed && !callback.is_confirmed() => {
                self.record_confirmed(client_id, actual, None).await
            }
            _ => Ok(callback),
        }
    }

    /// Presents a token to SNS. Returns the registration that the token confirms, or confirmed
    /// before; `None` when the token is not one of this client's.
    pub async fn confirm(
        &self,
        client_id: &ClientId,
        token: &Secret,
    ) -> Result<Option<Callback>, RegistrationError> {
        let Some(subscription_arn) = self.topics.confirm(client_id, token).await? else {
            return Ok(self.confirmed_before(client_id, token).await?);
        };
        let Some(actual) = self.topics.describe(&subscription_arn).await? else {
            return Ok(None);
        };
        self.record_confirmed(client_id, actual, Some(token))
            .await
            .map(Some)
    }

    /// Changes the options of a confirmed registration: the outcomes that are notified, and the
    /// format.
    pub async fn change_options(
        &self,
        client_id: &ClientId,
        wanted: &Wanted,
    ) -> Result<(), RegistrationError> {
        self.topics.apply(wanted).await?;
        self.callbacks.record_options(client_id, wanted).await?;
        Ok(())
    }

    /// Ends a confirmed registration, in SNS and on record.
    pub async fn remove(
        &self,
        client_id: &ClientId,
        callback: &Callback,
    ) -> Result<(), RegistrationError> {
        self.topics.unsubscribe(&callback.subscription_arn).await?;
        self.callbacks.remove(client_id, callback).await?;
        Ok(())
    }

    /// The registration that a token has confirmed before: a used token may be presented again for
    /// as long as its registration exists.
    ///
    /// When another request uses the token at the same time, SNS may no longer know the token
    /// before that request has recorded the confirmation. So while a registration is pending, this
    /// reads the table again, a little later.
    async fn confirmed_before(
        &self,
        client_id: &ClientId,
        token: &Secret,
    ) -> Result<Option<Callback>, StoreError> {
        let hash = token.hash();
        for pause in [None, Some(100), Some(200), Some(400)] {
            if let Some(milliseconds) = pause {
                tokio::time::sleep(Duration::from_millis(milliseconds)).await;
            }
            let callbacks = self.callbacks.list(client_id).await?;
            let all_confirmed = callbacks.iter().all(Callback::is_confirmed);
            let confirmed = callbacks.into_iter().find(|callback| {
                callback.is_confirmed() && callback.token_sha256.as_ref() == Some(&hash)
            });
            if confirmed.is_some() || all_confirmed {
                return Ok(confirmed);
            }
        }
        Ok(None)
    }

    /// Brings a registration up to date with SNS; `None` when SNS has dropped it.
    ///
    /// A registration that is pending on record may be confirmed in SNS: its owner opened the
    /// `SubscribeURL` of the confirmation, or an invocation was cut off between SNS and the table.
    /// SNS drops a registration that nobody confirms, and one whose owner opened the
    /// `UnsubscribeURL` of an envelope.
    pub async fn refresh(
        &self,
        client_id: &ClientId,
        callback: Callback,
    ) -> Result<Option<Callback>, RegistrationError> {
        match self.topics.describe(&callback.subscription_arn).await? {
            Some(actual) if actual.confirmed && !callback.is_confirmed() => self
                .record_confirmed(client_id, actual, None)
                .await
                .map(Some),
            Some(_) => Ok(Some(callback)),
            None => {
                self.callbacks.remove(client_id, &callback).await?;
                Ok(None)
            }
        }
    }

    /// Makes SNS deliver according to the options that were requested since the subscription was
    /// made, and records the confirmation that SNS has.
    async fn record_confirmed(
        &self,
        client_id: &ClientId,
        actual: Subscribed,
        token: Option<&Secret>,
    ) -> Result<Callback, RegistrationError> {
        let known = self.callbacks.get(client_id, &actual.callback_url).await?;
        let wanted = Wanted {
            callback_url: actual.callback_url,
            subscription_arn: actual.subscription_arn,
            statuses: match &known {
                Some(known) => known.statuses.clone(),
                None => actual.statuses.clone().unwrap_or_default(),
            },
            format: known.map_or(actual.format, |known| known.format),
        };
        if (Some(&wanted.statuses), wanted.format) != (actual.statuses.as_ref(), actual.format) {
            self.topics.apply(&wanted).await?;
        }
        let now = OffsetDateTime::now_utc();
        Ok(self
            .callbacks
            .record_confirmed(client_id, &wanted, token, now)
            .await?)
    }
}
