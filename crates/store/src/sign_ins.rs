//! The SignIns table: portal links that can still be opened, and how often wrong keys came from an address.
//!
//! Key `id`: `link#` and the hash of a link's token, or `address#`, an address and the beginning of a stretch of time.
//! Items expire by themselves; an expired one that is still there counts as absent.

use aws_sdk_dynamodb::Client as DynamoDb;
use aws_sdk_dynamodb::types::{AttributeValue, Delete, ReturnValue, TransactWriteItem};
use bellwire_domain::timestamp::iso_serde;
use bellwire_domain::{ClientId, SecretHash};
use serde::{Deserialize, Serialize};
use serde_dynamo::aws_sdk_dynamodb_1::{from_item, to_item};
use time::{Duration, OffsetDateTime};

use crate::StoreError;
use crate::answers::Together;
use crate::conditional::conditional;
use crate::seconds::seconds;

/// How long a portal link can be opened.
pub const LINK_LASTS: Duration = Duration::minutes(5);
/// How long wrong keys of an address are counted together.
pub const COUNTED_FOR: Duration = Duration::minutes(15);

/// A portal link, as it is on record: without its token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PortalLink {
    /// The client that opens the console with it.
    pub client_id: ClientId,
    /// When it was made.
    #[serde(with = "iso_serde")]
    pub created_at: OffsetDateTime,
    /// Where the console leads back to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub return_url: Option<String>,
    /// The colours of the console, `light` or `dark`; `None` for those that the browser prefers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub theme: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct LinkItem {
    id: String,
    #[serde(flatten)]
    link: PortalLink,
    expires_at: i64,
}

/// The SignIns table.
#[derive(Clone, Debug)]
pub struct SignIns {
    db: DynamoDb,
    table: String,
}

impl SignIns {
    /// `table` is the table's name.
    pub fn new(db: DynamoDb, table: String) -> Self {
        Self { db, table }
    }

    /// Records a link. `token` is the hash of its token.
    pub async fn add_link(
        &self,
        token: &SecretHash,
        link: &PortalLink,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let item = LinkItem {
            id: link_id(token),
            link: link.clone(),
            expires_at: (now + LINK_LASTS).unix_timestamp(),
        };
        let put = self.db.put_item().table_name(&self.table);
        conditional(put.set_item(Some(to_item(item)?))).await?.ok();
        Ok(())
    }

    /// The link with this token, if it can still be opened, with a consistent read.
    pub async fn link(
        &self,
        token: &SecretHash,
        now: OffsetDateTime,
    ) -> Result<Option<PortalLink>, StoreError> {
        let answer = self
            .db
            .get_item()
            .table_name(&self.table)
            .key("id", AttributeValue::S(link_id(token)))
            .consistent_read(true)
            .send()
            .await?;
        let Some(item) = answer.item else {
            return Ok(None);
        };
        let item: LinkItem = from_item(item)?;
        Ok((now.unix_timestamp() < item.expires_at).then_some(item.link))
    }

    /// The removal of a link that can still be opened, for the transaction that begins its session.
    pub fn use_link(
        &self,
        token: &SecretHash,
        now: OffsetDateTime,
    ) -> Result<Together, StoreError> {
        let delete = Delete::builder()
            .table_name(&self.table)
            .key("id", AttributeValue::S(link_id(token)))
            .condition_expression("expires_at > :now")
            .expression_attribute_values(":now", seconds(now))
            .build()?;
        Ok(Together(
            TransactWriteItem::builder().delete(delete).build(),
        ))
    }

    /// Counts a key that was presented from an address. Returns how many were within the current quarter of an hour, with
    /// this one.
    pub async fn count_key(&self, address: &str, now: OffsetDateTime) -> Result<u32, StoreError> {
        self.add(address, 1, now).await
    }

    /// Takes back what [`Self::count_key`] counted: the key was right.
    pub async fn uncount_key(&self, address: &str, now: OffsetDateTime) -> Result<(), StoreError> {
        self.add(address, -1, now).await?;
        Ok(())
    }

    async fn add(
        &self,
        address: &str,
        number: i32,
        now: OffsetDateTime,
    ) -> Result<u32, StoreError> {
        let length = COUNTED_FOR.whole_seconds();
        let since = now.unix_timestamp().div_euclid(length) * length;
        let update = self
            .db
            .update_item()
            .table_name(&self.table)
            .key(
                "id",
                AttributeValue::S(format!("address#{address}#{since}")),
            )
            .update_expression("SET expires_at = :end ADD presented :number")
            .expression_attribute_values(
                ":end",
                AttributeValue::N((since + 2 * length).to_string()),
            )
            .expression_attribute_values(":number", AttributeValue::N(number.to_string()))
            .return_values(ReturnValue::UpdatedNew);
        let Ok(written) = conditional(update).await? else {
            return Ok(0);
        };
        let presented = written
            .attributes
            .as_ref()
            .and_then(|it| it.get("presented"));
        let presented = presented.and_then(|it| it.as_n().ok()?.parse().ok());
        Ok(presented.unwrap_or_default())
    }
}

fn link_id(token: &SecretHash) -> String {
    format!("link#{}", token.as_str())
}
