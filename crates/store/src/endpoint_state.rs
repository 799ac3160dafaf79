//! The state of an endpoint as attributes of its subscription's item, and the update that replaces one state by
//! another.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use bellwire_domain::endpoint::EndpointState;
use bellwire_domain::timestamp;
use serde_dynamo::aws_sdk_dynamodb_1::to_attribute_value;

use crate::StoreError;

/// The attributes of an item that hold an [`EndpointState`].
const NAMES: [&str; 15] = [
    "wanted",
    "acknowledged",
    "in_doubt",
    "snapshots_asked",
    "turn",
    "turn_nonce",
    "turn_until",
    "failures",
    "retry_at",
    "retry_by",
    "schedule_wanted",
    "disabled",
    "unannounced",
    "client_disabled",
    "failing_since",
];

/// A state as attributes of an item, without those that are missing.
fn attributes(state: &EndpointState) -> Result<HashMap<&'static str, AttributeValue>, StoreError> {
    let progress = &state.progress;
    let mut found = HashMap::from([
        ("wanted", number(progress.wanted)),
        ("acknowledged", number(progress.acknowledged)),
        ("in_doubt", AttributeValue::Bool(progress.in_doubt)),
        ("snapshots_asked", number(progress.snapshots_asked)),
        ("failures", AttributeValue::N(progress.failures.to_string())),
    ]);
    if let Some(lease) = &progress.lease {
        found.insert("turn", text(lease.message_id.as_str()));
        found.insert("turn_nonce", number(lease.nonce));
        found.insert("turn_until", number(lease.until));
    }
    if let Some(retry) = &progress.retry {
        found.insert("retry_at", number(retry.at));
        found.insert("retry_by", text(retry.message_id.as_str()));
    }
    if let Some(schedule) = &progress.schedule {
        found.insert("schedule_wanted", number(schedule.wanted));
    }
    if let Some(disabled) = &state.disabled {
        found.insert("disabled", to_attribute_value(disabled)?);
    }
    if state.owner_unnotified {
        found.insert("unannounced", AttributeValue::Bool(true));
    }
    if state.client_disabled {
        found.insert("client_disabled", AttributeValue::Bool(true));
    }
    if let Some(since) = state.failing_since {
        found.insert("failing_since", text(&timestamp::iso(since)));
    }
    Ok(found)
}

/// Whether two states are the same in the table, which has times in microseconds.
pub(crate) fn is_stored_as(
    state: &EndpointState,
    as_other: &EndpointState,
) -> Result<bool, StoreError> {
    Ok(attributes(state)? == attributes(as_other)?)
}

/// An update that replaces the state `seen` by another, on the condition that nothing in `seen` has changed. It
/// may change other attributes as well. A state that stays as it is has no part in it.
#[derive(Debug, Default)]
pub(crate) struct StateChange {
    set: Vec<String>,
    remove: Vec<String>,
    condition: Vec<String>,
    values: HashMap<String, AttributeValue>,
}

impl StateChange {
    /// The update from `seen` to `next`.
    pub(crate) fn new(seen: &EndpointState, next: &EndpointState) -> Result<Self, StoreError> {
        let (seen, next) = (attributes(seen)?, attributes(next)?);
        let mut change = Self::default();
        for name in NAMES {
            match seen.get(name) {
                // Whoever changes it changes `disabled` too, or has notified the owner.
                _ if name == "unannounced" => {}
                Some(value) => {
                    change.condition.push(format!("{name} = :seen_{name}"));
                    change.values.insert(format!(":seen_{name}"), value.clone());
                }
                None => change
                    .condition
                    .push(format!("attribute_not_exists({name})")),
            }
            match next.get(name) {
                value if value == seen.get(name) => {}
                Some(value) => change.set(name, value.clone()),
                None => change.remove(name),
            }
        }
        Ok(change)
    }

    /// Sets another attribute. A name that is a reserved word of DynamoDB's begins with `#`.
    pub(crate) fn set(&mut self, name: &str, value: AttributeValue) {
        let placeholder = format!(":{}", name.trim_start_matches('#'));
        self.set.push(format!("{name} = {placeholder}"));
        self.values.insert(placeholder, value);
    }

    /// Removes another attribute.
    pub(crate) fn remove(&mut self, name: &str) {
        self.remove.push(name.to_owned());
    }

    /// The update expression.
    pub(crate) fn expression(&self) -> String {
        let mut expression = String::new();
        if !self.set.is_empty() {
            expression.push_str(&format!("SET {} ", self.set.join(", ")));
        }
        if !self.remove.is_empty() {
            expression.push_str(&format!("REMOVE {}", self.remove.join(", ")));
        }
        expression
    }

    /// The condition expression: `first`, and that nothing in the state has changed.
    pub(crate) fn condition(&self, first: &str) -> String {
        let conditions = self.condition.iter().map(String::as_str);
        let all: Vec<&str> = std::iter::once(first).chain(conditions).collect();
        all.join(" AND ")
    }

    /// The values of both expressions.
    pub(crate) fn values(&self) -> HashMap<String, AttributeValue> {
        self.values.clone()
    }
}

fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}
