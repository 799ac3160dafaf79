//! A client's registered URLs: SNS does the work, the Callbacks table remembers
//! what was wanted, and this keeps the two in step.
//!
//! Each step asks SNS first and records afterwards, and each may be repeated: a
//! step that was cut off in between is completed by its repetition, or by
//! [`Registrations::refresh`] when somebody looks.

use std::time::Duration;

use bellwire_rules::{CallbackUrl, ClientId, Format, Secret, Statuses};
use bellwire_store::callbacks::Wanted;
use bellwire_store::{Callback, Callbacks, StoreError};
use time::OffsetDateTime;

use crate::{ClientTopics, Confirmation, DeadLetterQueue, SnsError};

/// A registration could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum RegistrationError {
    /// The Callbacks table failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// SNS failed.
    #[error(transparent)]
    Sns(#[from] SnsError),
}

/// The clients' registered URLs.
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

    /// All of the client's registrations, oldest first, as SNS has them.
    pub async fn list(&self, client_id: &ClientId) -> Result<Vec<Callback>, RegistrationError> {
        let mut callbacks = self
            .callbacks
            .list(client_id, OffsetDateTime::now_utc())
            .await?;
        for callback in &mut callbacks {
            self.refresh(client_id, callback).await?;
        }
        Ok(callbacks)
    }

    /// How many URLs the client has registered.
    pub async fn count(&self, client_id: &ClientId) -> Result<usize, RegistrationError> {
        let now = OffsetDateTime::now_utc();
        Ok(self.callbacks.list(client_id, now).await?.len())
    }

    /// The client's registration of a URL in normal form, as SNS has it.
    pub async fn get(
        &self,
        client_id: &ClientId,
        callback_url: &str,
    ) -> Result<Option<Callback>, RegistrationError> {
        let now = OffsetDateTime::now_utc();
        let mut found = self.callbacks.get(client_id, callback_url, now).await?;
        if let Some(callback) = &mut found {
            self.refresh(client_id, callback).await?;
        }
        Ok(found)
    }

    /// Has SNS send a token to the URL, and records that it waits for it.
    pub async fn request_confirmation(
        &self,
        client_id: &ClientId,
        url: &CallbackUrl,
        statuses: Statuses,
        format: Format,
        dead_letters: &DeadLetterQueue,
    ) -> Result<Callback, RegistrationError> {
        let subscription_arn = self
            .topics
            .subscribe(client_id, url, &statuses, format, dead_letters)
            .await?;
        let wanted = Wanted {
            callback_url: url.as_str().to_owned(),
            statuses,
            format,
            subscription_arn,
        };
        let mut callback = self
            .callbacks
            .record_pending(client_id, &wanted, OffsetDateTime::now_utc())
            .await?;
        self.refresh(client_id, &mut callback).await?;
        Ok(callback)
    }

    /// Gives SNS a token back. Returns the registration that it confirms, or
    /// confirmed before; `None` when the token is none of this client's.
    pub async fn confirm(
        &self,
        client_id: &ClientId,
        token: &Secret,
    ) -> Result<Option<Callback>, RegistrationError> {
        let Some(subscription_arn) = self.topics.confirm(client_id, token).await? else {
            return Ok(self.confirmed_before(client_id, token).await?);
        };
        let Some((actual, _)) = self.topics.describe(&subscription_arn).await? else {
            return Ok(None);
        };
        self.record_confirmed(client_id, &actual, Some(token))
            .await
            .map(Some)
    }

    /// Changes what a confirmed URL is told.
    pub async fn change_options(
        &self,
        client_id: &ClientId,
        wanted: &Wanted,
    ) -> Result<(), RegistrationError> {
        self.topics.apply(wanted).await?;
        self.callbacks.record_options(client_id, wanted).await?;
        Ok(())
    }

    /// Ends a confirmed registration.
    pub async fn remove(
        &self,
        client_id: &ClientId,
        callback: &Callback,
    ) -> Result<(), RegistrationError> {
        self.topics.unsubscribe(&callback.subscription_arn).await?;
        self.callbacks
            .remove(client_id, &callback.callback_url)
            .await?;
        Ok(())
    }

    /// A token that was used may be sent again, as long as what it confirmed stands.
    ///
    /// SNS may know a token no more although the request that used it, at the same
    /// time as this one, has not recorded so yet: while something is pending, looks
    /// again a little later.
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
            let now = OffsetDateTime::now_utc();
            let callbacks = self.callbacks.list(client_id, now).await?;
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

    /// A pending registration may be confirmed in SNS all the same: its owner
    /// opened the `SubscribeURL` of the confirmation, or we were cut off between
    /// SNS and the table. Asks SNS, and records what it says.
    async fn refresh(
        &self,
        client_id: &ClientId,
        callback: &mut Callback,
    ) -> Result<(), RegistrationError> {
        if callback.is_confirmed() {
            return Ok(());
        }
        let described = self.topics.describe(&callback.subscription_arn).await?;
        if let Some((actual, Confirmation::Given)) = described {
            *callback = self.record_confirmed(client_id, &actual, None).await?;
        }
        Ok(())
    }

    /// Makes SNS deliver what was asked for since it made the subscription, and
    /// records the confirmation that SNS has.
    async fn record_confirmed(
        &self,
        client_id: &ClientId,
        actual: &Wanted,
        token: Option<&Secret>,
    ) -> Result<Callback, RegistrationError> {
        let now = OffsetDateTime::now_utc();
        let known = self
            .callbacks
            .get(client_id, &actual.callback_url, now)
            .await?;
        if let Some(known) = known
            && (&known.statuses, known.format) != (&actual.statuses, actual.format)
        {
            let wanted = Wanted {
                subscription_arn: actual.subscription_arn.clone(),
                ..known.wanted()
            };
            self.topics.apply(&wanted).await?;
        }
        Ok(self
            .callbacks
            .record_confirmed(client_id, actual, token, now)
            .await?)
    }
}
