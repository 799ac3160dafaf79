//! The Clients table: who may call the API.
//!
//! Key `client_id`. Its API keys are in the Keys table ([`crate::keys`]); the index `by-api-key` on `api_key_sha256` is
//! for those of earlier versions.

use aws_sdk_dynamodb::Client as DynamoDb;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeValue, ConditionCheck, Put, ReturnValue, TransactWriteItem, Update,
};
use bellwire_domain::client::{ExternalId, Labels};
use bellwire_domain::timestamp::iso_serde;
use bellwire_domain::{ClientId, SecretHash};
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use serde_dynamo::aws_sdk_dynamodb_1::{from_item, from_items, to_attribute_value, to_item};
use time::OffsetDateTime;

use crate::StoreError;
use crate::answers::Together;
use crate::conditional::conditional;
use crate::transaction::{Transacted, transact};

const BY_API_KEY: &str = "by-api-key";
/// In how many segments the list of all clients is read at once.
const SCANNED_AT_ONCE: i32 = 4;

/// A caller of the API: a customer, or a publisher.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Client {
    /// The client's id.
    pub client_id: ClientId,
    /// The name that the operator gave it.
    pub name: String,
    /// Whether it may publish, and register queries for other clients.
    pub publisher: bool,
    /// Whether it may manage clients, and act for them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub operator: bool,
    /// The provider's own id of it; missing if it was created without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<ExternalId>,
    /// What the provider sorts it by.
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
    /// The hashes of its API keys, in no order.
    #[serde(
        default,
        with = "serde_dynamo::string_set",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub api_keys: Vec<SecretHash>,
    /// The hash of its API key of an earlier version; missing if it has none, or it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key_sha256: Option<SecretHash>,
    /// The hash of its current client secret.
    pub client_secret_sha256: SecretHash,
    /// The replaced client secrets that are still valid, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier_client_secrets: Vec<EarlierSecret>,
    /// When the operator created it.
    #[serde(with = "iso_serde")]
    pub created_at: OffsetDateTime,
    /// When its API key was last replaced; missing if it never was.
    #[serde(
        default,
        with = "iso_serde::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub key_rotated_at: Option<OffsetDateTime>,
    /// Since when it may not call the API; missing unless it is disabled.
    #[serde(
        default,
        with = "iso_serde::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub disabled_at: Option<OffsetDateTime>,
    /// Up to when its sessions of the console were ended; missing if they never were.
    #[serde(
        default,
        with = "iso_serde::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub sessions_ended_at: Option<OffsetDateTime>,
    /// Since when it is being deleted, with everything that belongs to it; missing unless it is. It is disabled then.
    #[serde(
        default,
        with = "iso_serde::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub deleting_since: Option<OffsetDateTime>,
}

/// A client secret that was replaced.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EarlierSecret {
    /// The hash of the secret.
    pub sha256: SecretHash,
    /// Until when it is valid.
    #[serde(with = "iso_serde")]
    pub valid_until: OffsetDateTime,
}

/// How many client secrets are valid at once, at most, including the current one.
const MOST_SECRETS: usize = 5;

impl Client {
    /// A customer, without keys, that was created now.
    pub fn new(
        client_id: ClientId,
        name: &str,
        client_secret: &SecretHash,
        now: OffsetDateTime,
    ) -> Self {
        Self {
            client_id,
            name: name.to_owned(),
            publisher: false,
            operator: false,
            external_id: None,
            labels: Labels::default(),
            api_keys: Vec::new(),
            api_key_sha256: None,
            client_secret_sha256: client_secret.clone(),
            earlier_client_secrets: Vec::new(),
            created_at: now,
            key_rotated_at: None,
            disabled_at: None,
            sessions_ended_at: None,
            deleting_since: None,
        }
    }

    /// The hashes of all of its API keys.
    pub fn key_hashes(&self) -> impl Iterator<Item = &SecretHash> {
        self.api_keys.iter().chain(&self.api_key_sha256)
    }

    /// Whether a client secret with this hash is valid. Takes the same time whichever of the secrets it
    /// matches, if any.
    pub fn accepts(&self, presented: &SecretHash, now: OffsetDateTime) -> bool {
        let current = *presented == self.client_secret_sha256;
        let earlier = self.earlier_client_secrets.iter().fold(false, |good, it| {
            good | ((*presented == it.sha256) & (it.valid_until > now))
        });
        current | earlier
    }
}

/// The Clients table.
#[derive(Clone, Debug)]
pub struct Clients {
    pub(crate) db: DynamoDb,
    pub(crate) table: String,
}

impl Clients {
    /// `table` is the table's name.
    pub fn new(db: DynamoDb, table: String) -> Self {
        Self { db, table }
    }

    /// Adds a client, in one transaction with its first API key, if it has one ([`crate::Keys::put_new`]). Returns whether
    /// it was added: one with the same id is never overwritten.
    pub async fn create(
        &self,
        client: &Client,
        first_key: Option<Together>,
    ) -> Result<bool, StoreError> {
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(to_item(client)?))
            .condition_expression("attribute_not_exists(client_id)")
            .build()?;
        let mut writes = vec![TransactWriteItem::builder().put(put).build()];
        writes.extend(first_key.map(|Together(write)| write));
        let written = transact(&self.db, writes).await?;
        Ok(matches!(written, Transacted::Done))
    }

    /// The client with this id, with a consistent read.
    pub async fn get(&self, client_id: &ClientId) -> Result<Option<Client>, StoreError> {
        let answer = self
            .db
            .get_item()
            .table_name(&self.table)
            .key("client_id", AttributeValue::S(client_id.to_string()))
            .consistent_read(true)
            .send()
            .await?;
        Ok(answer.item.map(from_item).transpose()?)
    }

    /// The client whose API key of an earlier version has this hash, from the index.
    pub async fn by_api_key(&self, hash: &SecretHash) -> Result<Option<Client>, StoreError> {
        let answer = self
            .db
            .query()
            .table_name(&self.table)
            .index_name(BY_API_KEY)
            .key_condition_expression("api_key_sha256 = :hash")
            .expression_attribute_values(":hash", AttributeValue::S(hash.as_str().to_owned()))
            .send()
            .await?;
        let clients: Vec<Client> = from_items(answer.items.unwrap_or_default())?;
        Ok(clients
            .into_iter()
            .find(|client| client.api_key_sha256.as_ref() == Some(hash)))
    }

    /// All clients, oldest first. Reads the whole table, in several segments at once: for operators.
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Scan.html#Scan.ParallelScan>
    pub async fn list(&self) -> Result<Vec<Client>, StoreError> {
        let segments = try_join_all((0..SCANNED_AT_ONCE).map(|number| self.segment(number)));
        let mut clients: Vec<Client> = segments.await?.into_iter().flatten().collect();
        clients.sort_by(|a, b| (a.created_at, &a.client_id).cmp(&(b.created_at, &b.client_id)));
        Ok(clients)
    }

    async fn segment(&self, number: i32) -> Result<Vec<Client>, StoreError> {
        let mut items = self
            .db
            .scan()
            .table_name(&self.table)
            .segment(number)
            .total_segments(SCANNED_AT_ONCE)
            .into_paginator()
            .items()
            .send();
        let mut clients = Vec::new();
        while let Some(item) = items.next().await {
            clients.push(from_item::<Client>(item?)?);
        }
        Ok(clients)
    }

    /// The condition that a client exists and is not disabled, for a transaction.
    pub fn must_be_enabled(&self, client_id: &ClientId) -> Result<Together, StoreError> {
        let check = ConditionCheck::builder()
            .table_name(&self.table)
            .key("client_id", AttributeValue::S(client_id.to_string()))
            .condition_expression(
                "attribute_exists(client_id) AND attribute_not_exists(disabled_at)",
            )
            .build()?;
        let write = TransactWriteItem::builder().condition_check(check).build();
        Ok(Together(write))
    }

    /// Replaces a client's secret, in one transaction with another write. The current one stays valid until `valid_until`,
    /// and each earlier one until its own time; of more than five the oldest becomes invalid. `false` if there is no such
    /// client, it is being deleted, its secret was replaced since `known` was read, or the other write's condition doesn't
    /// hold.
    pub async fn rotate_secret(
        &self,
        known: &Client,
        secret: &SecretHash,
        now: OffsetDateTime,
        valid_until: OffsetDateTime,
        other: Option<Together>,
    ) -> Result<bool, StoreError> {
        let replaced = EarlierSecret {
            sha256: known.client_secret_sha256.clone(),
            valid_until,
        };
        let earlier = known.earlier_client_secrets.iter();
        let earlier = earlier.filter(|it| it.valid_until > now).cloned();
        let earlier: Vec<EarlierSecret> = std::iter::once(replaced)
            .chain(earlier)
            .take(MOST_SECRETS - 1)
            .collect();
        let hash = |hash: &SecretHash| AttributeValue::S(hash.as_str().to_owned());
        let update = Update::builder()
            .table_name(&self.table)
            .key("client_id", AttributeValue::S(known.client_id.to_string()))
            .update_expression(
                "SET client_secret_sha256 = :hash, earlier_client_secrets = :earlier",
            )
            .condition_expression(
                "client_secret_sha256 = :known AND attribute_not_exists(deleting_since)",
            )
            .expression_attribute_values(":hash", hash(secret))
            .expression_attribute_values(":earlier", to_attribute_value(earlier)?)
            .expression_attribute_values(":known", hash(&known.client_secret_sha256))
            .build()?;
        let update = TransactWriteItem::builder().update(update).build();
        let other = other.map(|Together(write)| write);
        let written = transact(&self.db, std::iter::once(update).chain(other).collect());
        if let Transacted::Done = written.await? {
            return Ok(true);
        }
        // The same change may have been written before, and its response been lost.
        let found = self.get(&known.client_id).await?;
        Ok(found.is_some_and(|found| found.client_secret_sha256 == *secret))
    }

    /// Runs a conditional update of a client; `None` if its condition doesn't hold.
    pub(crate) async fn update_if(
        &self,
        client_id: &ClientId,
        update: UpdateItemFluentBuilder,
    ) -> Result<Option<Client>, StoreError> {
        let update = update
            .table_name(&self.table)
            .key("client_id", AttributeValue::S(client_id.to_string()))
            .return_values(ReturnValue::AllNew);
        let written = conditional(update).await?.ok();
        let attributes = written.and_then(|written| written.attributes);
        Ok(attributes.map(from_item).transpose()?)
    }
}
