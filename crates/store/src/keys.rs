//! The Keys table: API keys by their hashes, so that a request finds its client with one consistent read.
//!
//! Key `key_sha256`. An item says whose the key is and what the client may do, so that the client itself needn't be
//! read; what may change of that (whether the client is disabled) is written to the items of all of its keys. Which keys
//! a client has is in its own item ([`Client::api_keys`]): both are changed in one transaction.
//!
//! A session of a console is a key that ends ([`crate::sessions`]): it is in no list, and it is valid only as long as its
//! client's own item allows.
//!
//! Keys of earlier versions are found by the index `by-api-key` of the Clients table. The first request that has one
//! writes its item ([`Keys::adopt`]); the client's item keeps the hash, by which functions of the earlier version go on
//! finding it.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client as DynamoDb;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeValue, ConditionCheck, Delete, Put, TransactWriteItem, Update,
};
use bellwire_domain::timestamp::{self, iso_serde};
use bellwire_domain::{ClientId, Secret, SecretHash};
use serde::{Deserialize, Serialize};
use serde_dynamo::aws_sdk_dynamodb_1::{from_item, to_item};
use time::OffsetDateTime;

use crate::answers::Together;
use crate::batch_get::{batch_get, keys};
use crate::conditional::{Item, conditional};
use crate::transaction::{Transacted, transact};
use crate::{Client, StoreError};

/// How many API keys a client has at once, at most.
pub const MAX_KEYS: usize = 20;
/// How many characters of a key are shown.
const SHOWN: usize = 4;
/// The name of a client's first key, when nobody gave it one.
pub const FIRST_KEY: &str = "first key";

/// An API key, as it is on record: without the key itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ApiKey {
    /// The hash of the key.
    pub key_sha256: SecretHash,
    /// Whose key it is.
    pub client_id: ClientId,
    /// What its client calls it.
    pub name: String,
    /// Its last characters, by which people recognise it; `None` for a key of an earlier version that was not used since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_four: Option<String>,
    /// When it was made.
    #[serde(with = "iso_serde")]
    pub created_at: OffsetDateTime,
    /// The day on which it was last used, such as `2026-01-31`, in UTC; `None` if it never was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_on: Option<String>,
    /// Whether its client is a publisher.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub publisher: bool,
    /// Whether its client is an operator.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub operator: bool,
    /// Whether its client is disabled, or being deleted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub client_disabled: bool,
    /// The end of the session whose token it is, in seconds since 1970; `None` for a key that doesn't end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
    /// The hash of the API key that the session was signed in with; `None` if it was by a portal link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_in_with: Option<SecretHash>,
}

impl ApiKey {
    /// The item of a new key of a client.
    pub fn new(client: &Client, key: &Secret, name: &str, now: OffsetDateTime) -> Self {
        Self {
            last_four: Some(last_four(key)),
            ..Self::unused(client, key.hash(), name, now)
        }
    }

    pub(crate) fn unused(
        client: &Client,
        key_sha256: SecretHash,
        name: &str,
        created_at: OffsetDateTime,
    ) -> Self {
        Self {
            key_sha256,
            client_id: client.client_id.clone(),
            name: name.to_owned(),
            last_four: None,
            created_at,
            used_on: None,
            publisher: client.publisher,
            operator: client.operator,
            client_disabled: client.disabled_at.is_some(),
            expires_at: None,
            signed_in_with: None,
        }
    }

    /// The key's id, which follows from its hash: `key_` and 16 hexadecimal digits. It is not secret.
    pub fn id(&self) -> String {
        key_id(&self.key_sha256)
    }
}

/// The id of the key with this hash.
pub fn key_id(hash: &SecretHash) -> String {
    let digits: String = hash.as_str().chars().take(16).collect();
    format!("key_{digits}")
}

fn last_four(key: &Secret) -> String {
    let characters = key.expose().chars();
    characters
        .rev()
        .take(SHOWN)
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
        .collect()
}

/// The outcome of adding a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyAdded {
    /// It was added.
    Done,
    /// The client has as many keys as it may have, is disabled, or doesn't exist.
    Refused,
}

/// The Keys table.
#[derive(Clone, Debug)]
pub struct Keys {
    pub(crate) db: DynamoDb,
    pub(crate) table: String,
    clients: String,
}

impl Keys {
    /// `table` is the table's name, and `clients` that of the Clients table.
    pub fn new(db: DynamoDb, table: String, clients: String) -> Self {
        Self { db, table, clients }
    }

    /// The key with this hash, with a consistent read.
    pub async fn find(&self, hash: &SecretHash) -> Result<Option<ApiKey>, StoreError> {
        let answer = self
            .db
            .get_item()
            .table_name(&self.table)
            .set_key(Some(key(hash)))
            .consistent_read(true)
            .send()
            .await?;
        Ok(answer.item.map(from_item).transpose()?)
    }

    /// Records that a key is used on the day of `now`, unless that is on record.
    pub async fn note_used(
        &self,
        hash: &SecretHash,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let update = self
            .update(hash)
            .update_expression("SET used_on = :today")
            .condition_expression(
                "attribute_exists(key_sha256) AND (attribute_not_exists(used_on) OR used_on < :today)",
            )
            .expression_attribute_values(":today", AttributeValue::S(timestamp::day(now)));
        conditional(update).await?.ok();
        Ok(())
    }

    /// Writes the item of a key of an earlier version, which `client` has and a request has presented. Changes nothing if
    /// it is there, or if the key is not the client's any more, or the client is disabled meanwhile.
    pub async fn adopt(
        &self,
        client: &Client,
        presented: &Secret,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let adopted = ApiKey {
            used_on: Some(timestamp::day(now)),
            last_four: Some(last_four(presented)),
            ..earlier(client, presented.hash())
        };
        let check = ConditionCheck::builder()
            .table_name(&self.clients)
            .key("client_id", AttributeValue::S(client.client_id.to_string()))
            .condition_expression("api_key_sha256 = :hash AND attribute_not_exists(disabled_at)")
            .expression_attribute_values(
                ":hash",
                AttributeValue::S(adopted.key_sha256.as_str().to_owned()),
            )
            .build()?;
        let check = TransactWriteItem::builder().condition_check(check).build();
        transact(&self.db, vec![self.put_new(&adopted)?.0, check]).await?;
        Ok(())
    }

    /// The write of a new key's item, for the transaction that creates its client.
    pub fn put_new(&self, new: &ApiKey) -> Result<Together, StoreError> {
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(to_item(new)?))
            .condition_expression("attribute_not_exists(key_sha256)")
            .build()?;
        Ok(Together(TransactWriteItem::builder().put(put).build()))
    }

    /// Adds a key to a client that is not disabled, in one transaction with `other`.
    pub async fn add(&self, new: &ApiKey, other: Option<Together>) -> Result<KeyAdded, StoreError> {
        let update = Update::builder()
            .table_name(&self.clients)
            .key("client_id", AttributeValue::S(new.client_id.to_string()))
            .update_expression("ADD api_keys :one")
            .condition_expression(
                "attribute_exists(client_id) AND attribute_not_exists(disabled_at) \
                 AND (attribute_not_exists(api_keys) OR size(api_keys) < :most)",
            )
            .expression_attribute_values(":one", one(&new.key_sha256))
            .expression_attribute_values(":most", AttributeValue::N(MAX_KEYS.to_string()))
            .build()?;
        let update = TransactWriteItem::builder().update(update).build();
        let mut writes = vec![update, self.put_new(new)?.0];
        writes.extend(other.map(|Together(write)| write));
        if let Transacted::Done = transact(&self.db, writes).await? {
            return Ok(KeyAdded::Done);
        }
        // It may have been added before, and the response been lost.
        let found = self.find(&new.key_sha256).await?;
        Ok(
            match found.is_some_and(|found| found.client_id == new.client_id) {
                true => KeyAdded::Done,
                false => KeyAdded::Refused,
            },
        )
    }

    /// Revokes a key of a client. Functions that have it in memory accept it for another minute. Idempotent.
    pub async fn revoke(&self, client: &Client, hash: &SecretHash) -> Result<(), StoreError> {
        let is_earlier = client.api_key_sha256.as_ref() == Some(hash);
        let update = Update::builder()
            .table_name(&self.clients)
            .key("client_id", AttributeValue::S(client.client_id.to_string()));
        let update = if is_earlier {
            update
                .update_expression("REMOVE api_key_sha256")
                .condition_expression("api_key_sha256 = :hash")
                .expression_attribute_values(":hash", AttributeValue::S(hash.as_str().to_owned()))
        } else {
            update
                .update_expression("DELETE api_keys :one")
                .condition_expression("attribute_exists(client_id)")
                .expression_attribute_values(":one", one(hash))
        };
        let update = TransactWriteItem::builder().update(update.build()?).build();
        let delete = Delete::builder()
            .table_name(&self.table)
            .set_key(Some(key(hash)))
            .build()?;
        let delete = TransactWriteItem::builder().delete(delete).build();
        // If it is refused, the key was revoked before, or the client is deleted.
        transact(&self.db, vec![update, delete]).await?;
        Ok(())
    }

    /// The keys of a client, oldest first, with consistent reads.
    pub async fn of(&self, client: &Client) -> Result<Vec<ApiKey>, StoreError> {
        let hashes: Vec<&SecretHash> = client.key_hashes().collect();
        let wanted = hashes.iter().map(|hash| key(hash)).collect();
        let wanted = HashMap::from([(self.table.clone(), keys(wanted)?)]);
        let mut found: Vec<ApiKey> = Vec::new();
        for (_, item) in batch_get(&self.db, wanted).await? {
            found.push(from_item(item)?);
        }
        if let Some(hash) = &client.api_key_sha256
            && !found.iter().any(|key| key.key_sha256 == *hash)
        {
            found.push(earlier(client, hash.clone()));
        }
        found.sort_by_key(|key| (key.created_at, key.id()));
        Ok(found)
    }

    /// Lets the keys of a client be refused, or accepted again. Each step can be repeated.
    pub async fn set_disabled(&self, client: &Client, disabled: bool) -> Result<(), StoreError> {
        for hash in client.key_hashes() {
            let update = self.update(hash);
            let update = if disabled {
                update
                    .update_expression("SET client_disabled = :yes")
                    .expression_attribute_values(":yes", AttributeValue::Bool(true))
            } else {
                update.update_expression("REMOVE client_disabled")
            };
            // A key of an earlier version may have no item yet.
            let update = update.condition_expression("attribute_exists(key_sha256)");
            conditional(update).await?.ok();
        }
        Ok(())
    }

    /// Removes the keys of a client that is about to be removed. Idempotent.
    pub async fn remove_all(&self, client: &Client) -> Result<(), StoreError> {
        for hash in client.key_hashes() {
            let delete = self.db.delete_item().table_name(&self.table);
            conditional(delete.set_key(Some(key(hash)))).await?.ok();
        }
        Ok(())
    }

    fn update(&self, hash: &SecretHash) -> UpdateItemFluentBuilder {
        let update = self.db.update_item().table_name(&self.table);
        update.set_key(Some(key(hash)))
    }
}

/// A key of an earlier version, of which nothing but the hash is known.
fn earlier(client: &Client, hash: SecretHash) -> ApiKey {
    let created_at = client.key_rotated_at.unwrap_or(client.created_at);
    ApiKey::unused(client, hash, FIRST_KEY, created_at)
}

pub(crate) fn key(hash: &SecretHash) -> Item {
    let hash = AttributeValue::S(hash.as_str().to_owned());
    HashMap::from([("key_sha256".to_owned(), hash)])
}

fn one(hash: &SecretHash) -> AttributeValue {
    AttributeValue::Ss(vec![hash.as_str().to_owned()])
}
