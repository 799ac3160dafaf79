//! The labels of clients, in the Clients table.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, TransactWriteItem};
use bellwire_domain::ClientId;
use bellwire_domain::client::Labels;
use serde::Deserialize;
use serde_dynamo::aws_sdk_dynamodb_1::{from_item, to_attribute_value};

use crate::answers::Together;
use crate::batch_get::{batch_get, keys};
use crate::{Clients, StoreError};

/// The maximum number of keys in one `BatchGetItem`.
const BATCH: usize = 100;

impl Clients {
    /// The labels of clients, with consistent reads; of those that don't exist there are none.
    pub async fn labels_of(
        &self,
        client_ids: &BTreeSet<ClientId>,
    ) -> Result<HashMap<ClientId, Labels>, StoreError> {
        #[derive(Deserialize)]
        struct Labelled {
            client_id: ClientId,
            #[serde(default)]
            labels: Labels,
        }
        let ids: Vec<&ClientId> = client_ids.iter().collect();
        let mut found = HashMap::new();
        for batch in ids.chunks(BATCH) {
            let wanted = batch.iter().map(|id| {
                let id = AttributeValue::S(id.to_string());
                HashMap::from([("client_id".to_owned(), id)])
            });
            let mut wanted = keys(wanted.collect())?;
            wanted.projection_expression = Some("client_id, labels".to_owned());
            let wanted = HashMap::from([(self.table.clone(), wanted)]);
            for (_, item) in batch_get(&self.db, wanted).await? {
                let client: Labelled = from_item(item)?;
                found.insert(client.client_id, client.labels);
            }
        }
        Ok(found)
    }

    /// The condition that a client has these labels, for a transaction.
    pub fn must_have_labels(
        &self,
        client_id: &ClientId,
        labels: &Labels,
    ) -> Result<Together, StoreError> {
        let check = ConditionCheck::builder()
            .table_name(&self.table)
            .key("client_id", AttributeValue::S(client_id.to_string()));
        let check = if labels.is_empty() {
            check.condition_expression("attribute_not_exists(labels)")
        } else {
            check
                .condition_expression("labels = :labels")
                .expression_attribute_values(":labels", to_attribute_value(labels)?)
        };
        let check = check.build()?;
        let write = TransactWriteItem::builder().condition_check(check).build();
        Ok(Together(write))
    }
}
