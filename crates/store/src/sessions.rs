//! Sessions of the consoles: keys in the Keys table that end, whose tokens browsers have as cookies.
//!
//! A session is valid until its end, and as long as its client is enabled, hasn't had its sessions ended or been created again since, and still
//! has the API key that the session was signed in with. So each use reads the client's item as well as the key's; nothing
//! has to be found and removed when a client is disabled.

use aws_sdk_dynamodb::types::{Put, TransactWriteItem};
use bellwire_domain::{Secret, SecretHash};
use serde_dynamo::aws_sdk_dynamodb_1::to_item;
use time::{Duration, OffsetDateTime};

use crate::answers::Together;
use crate::conditional::conditional;
use crate::keys::{Keys, key};
use crate::transaction::{Transacted, transact};
use crate::{ApiKey, Client, StoreError};

/// How long a session lasts.
pub const LASTS: Duration = Duration::hours(8);
/// What the tokens of sessions begin with.
pub const TOKEN_PREFIX: &str = "bwt_";
/// The name of the keys that are those of sessions.
const NAME: &str = "session";

impl ApiKey {
    /// The key of a new session of a client, whose token is `token`. `signed_in_with` is the hash of the API key that was
    /// presented for it; `None` if it was a portal link.
    pub fn of_session(
        client: &Client,
        token: &Secret,
        signed_in_with: Option<&SecretHash>,
        now: OffsetDateTime,
    ) -> Self {
        Self {
            expires_at: Some((now + LASTS).unix_timestamp()),
            signed_in_with: signed_in_with.cloned(),
            ..Self::unused(client, token.hash(), NAME, now)
        }
    }

    /// Whether it is the key of a session.
    pub fn is_of_session(&self) -> bool {
        self.expires_at.is_some()
    }
}

impl Client {
    /// Whether a session of the client's is valid; a key that is none of a session isn't.
    pub fn allows(&self, session: &ApiKey, now: OffsetDateTime) -> bool {
        let lasts = session
            .expires_at
            .is_some_and(|end| now.unix_timestamp() < end);
        // Whoever made the link meant a customer.
        let may_begin = match &session.signed_in_with {
            Some(hash) => self.key_hashes().any(|it| it == hash),
            None => self.may_have_link(),
        };
        session.client_id == self.client_id
            && lasts
            && self.goes_on_since(session.created_at)
            && may_begin
            && self.disabled_at.is_none()
    }
}

impl Client {
    /// Whether nothing since then has ended what was begun for the client: it has not been disabled, nor deleted and created
    /// again.
    pub fn goes_on_since(&self, then: OffsetDateTime) -> bool {
        then >= self.created_at && self.sessions_ended_at.is_none_or(|ended| then > ended)
    }

    /// Whether a link may sign somebody in as the client: only as a customer.
    pub fn may_have_link(&self) -> bool {
        !self.operator && !self.publisher
    }
}

impl Keys {
    /// Records a session that was begun with an API key.
    pub async fn begin_session(&self, session: &ApiKey) -> Result<(), StoreError> {
        let put = self
            .db
            .put_item()
            .table_name(&self.table)
            .set_item(Some(to_item(session)?));
        conditional(put).await?.ok();
        Ok(())
    }

    /// Records a session in one transaction with the removal of the portal link that is used up by it. Returns whether
    /// that was done: a link is good once.
    pub async fn begin_session_by_link(
        &self,
        session: &ApiKey,
        link: Together,
    ) -> Result<bool, StoreError> {
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(to_item(session)?))
            .build()?;
        let put = TransactWriteItem::builder().put(put).build();
        let written = transact(&self.db, vec![link.0, put]).await?;
        Ok(matches!(written, Transacted::Done))
    }

    /// Ends a session. Functions that know it accept it for another minute. Idempotent.
    pub async fn end_session(&self, token: &SecretHash) -> Result<(), StoreError> {
        let delete = self
            .db
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(key(token)))
            .condition_expression("attribute_exists(expires_at)");
        conditional(delete).await?.ok();
        Ok(())
    }
}
