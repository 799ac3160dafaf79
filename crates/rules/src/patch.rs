//! The change from one version of a document to the next, as RFC 6902 operations.
//!
//! Only `add`, `replace` and `remove` are used: that is all that a difference needs,
//! and all that protocol B allows.

use serde_json::Value;

/// What a subscriber is sent when a document has changed.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Nothing has changed.
    None,
    /// The operations that make the new document out of the old: a JSON array.
    Patch(String),
    /// The new document, because the operations would be longer than it is.
    Snapshot,
}

/// The change from `old` to `new`, where `new` is `new_length` bytes long when sent.
///
/// # Errors
/// Never, as long as operations have a form in JSON.
pub fn change(old: &Value, new: &Value, new_length: usize) -> Result<Change, serde_json::Error> {
    let operations = json_patch::diff(old, new);
    if operations.is_empty() {
        return Ok(Change::None);
    }
    let patch = serde_json::to_string(&operations)?;
    Ok(if patch.len() > new_length {
        Change::Snapshot
    } else {
        Change::Patch(patch)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn arbitrary_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "[a-c~/é\u{0}]{0,4}".prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 48, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map("[a-c~/0-9]{0,2}", inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    fn operations(old: &Value, new: &Value) -> Vec<Value> {
        match change(old, new, usize::MAX).unwrap() {
            Change::None => Vec::new(),
            Change::Patch(text) => serde_json::from_str(&text).unwrap(),
            Change::Snapshot => panic!("the patch is longer than any document"),
        }
    }

    proptest! {
        #[test]
        fn applying_the_change_gives_the_new_document(old in arbitrary_json(), new in arbitrary_json()) {
            let operations = operations(&old, &new);
            for operation in &operations {
                let op = operation["op"].as_str().unwrap();
                prop_assert!(["add", "replace", "remove"].contains(&op), "{}", op);
            }
            let mut patched = old.clone();
            let patch: json_patch::Patch = serde_json::from_value(Value::Array(operations)).unwrap();
            json_patch::patch(&mut patched, &patch).unwrap();
            prop_assert_eq!(patched, new);
        }

        #[test]
        fn a_document_does_not_differ_from_itself(document in arbitrary_json()) {
            prop_assert_eq!(change(&document, &document, 0).unwrap(), Change::None);
        }
    }

    #[test]
    fn a_small_change_is_a_small_patch() {
        let old = json!({"a": [1, 2, 3], "b": "x"});
        let new = json!({"a": [1, 2, 3, 4], "b": "x"});
        assert_eq!(
            operations(&old, &new),
            [json!({"op": "add", "path": "/a/3", "value": 4})]
        );
    }

    #[test]
    fn a_patch_longer_than_the_document_is_not_sent() {
        let (old, new) = (json!({"a": 1, "b": 2}), json!({}));
        assert_eq!(change(&old, &new, 2).unwrap(), Change::Snapshot);
    }
}
