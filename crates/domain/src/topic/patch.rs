//! The change from one version of a document to the next, as RFC 6902 operations.
//!
//! Only `add`, `replace` and `remove` are used: a difference needs no others, and protocol B allows
//! no others.

use crate::topic::document::Document;

/// The longest patch, in bytes, that is sent even where the whole document is shorter.
const ALWAYS_SENT_BYTES: usize = 4 * 1024;

/// How a subscriber learns of a change of a document.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Nothing has changed.
    None,
    /// The operations that turn the old document into the new one: a JSON array.
    Patch(String),
    /// The whole new document: operations would be much longer, or would round a number.
    Snapshot,
}

/// The change from `old` to `new`: a patch, unless that is both longer than `new` and longer than
/// 4096 bytes. In a short patch a receiver sees what has changed, and a few bytes more cost nobody anything.
///
/// A document with a number that isn't exact ([`Document::is_exact`]) is delivered as a snapshot,
/// in the publisher's own text: a patch would round it.
///
/// # Errors
/// None, as long as operations have a form in JSON.
pub fn change(old: &Document, new: &Document) -> Result<Change, serde_json::Error> {
    if old.text() == new.text() {
        return Ok(Change::None);
    }
    if !(old.is_exact() && new.is_exact()) {
        return Ok(Change::Snapshot);
    }
    let operations = json_patch::diff(old.value(), new.value());
    if operations.is_empty() {
        return Ok(Change::None);
    }
    let patch = serde_json::to_string(&operations)?;
    Ok(if patch.len() > new.text().len().max(ALWAYS_SENT_BYTES) {
        Change::Snapshot
    } else {
        Change::Patch(patch)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    /// The document of a value, long enough that no patch is longer.
    fn document(value: &Value) -> Document {
        Document::parse(format!("{value}{}", " ".repeat(100_000)).as_bytes()).unwrap()
    }

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
        match change(&document(old), &document(new)).unwrap() {
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
        fn a_document_does_not_differ_from_itself(value in arbitrary_json()) {
            let pretty = serde_json::to_string_pretty(&value).unwrap();
            let pretty = Document::parse(pretty.as_bytes()).unwrap();
            prop_assert_eq!(change(&document(&value), &pretty).unwrap(), Change::None);
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

    fn parse(text: &str) -> Document {
        Document::parse(text.as_bytes()).unwrap()
    }

    /// The change from a document with one key to `{}` and so many spaces, by a patch of so many bytes.
    fn removal(patch_bytes: usize, spaces: usize) -> Change {
        let key = "k".repeat(patch_bytes - r#"[{"op":"remove","path":"/"}]"#.len());
        let new = format!("{{{}}}", " ".repeat(spaces));
        change(&parse(&json!({ key: 1 }).to_string()), &parse(&new)).unwrap()
    }

    #[test]
    fn a_patch_is_not_sent_when_it_is_longer_than_the_document_and_than_four_kilobytes() {
        for (patch_bytes, document_bytes, sent) in [
            (29, 2, true),
            (4095, 2, true),
            (4096, 2, true),
            (4097, 2, false),
            (4097, 4096, false),
            (4097, 4097, true),
            (4097, 10_000, true),
            (10_000, 9_999, false),
            (10_000, 10_000, true),
        ] {
            let change = removal(patch_bytes, document_bytes - 2);
            match &change {
                Change::Patch(text) => assert_eq!(text.len(), patch_bytes),
                other => assert_eq!(other, &Change::Snapshot),
            }
            let is_patch = matches!(change, Change::Patch(_));
            assert_eq!(is_patch, sent, "{patch_bytes} for {document_bytes}");
        }
    }

    #[test]
    fn a_document_that_becomes_another_one_is_replaced_at_its_root() {
        for (old, new) in [(r#"{"a": 1}"#, "null"), ("null", "1"), ("1", "[]")] {
            let value: Value = serde_json::from_str(new).unwrap();
            let replaced = json!([{"op": "replace", "path": "", "value": value}]);
            let change = change(&parse(old), &parse(new)).unwrap();
            assert_eq!(change, Change::Patch(replaced.to_string()), "{old} {new}");
        }
    }

    #[test]
    fn a_number_that_would_be_rounded_is_sent_in_a_snapshot() {
        let old = parse(r#"{"id": 123456789012345678901, "other": "a rather long text"}"#);
        let new = parse(r#"{"id": 123456789012345678902, "other": "a rather long text"}"#);
        assert_eq!(change(&old, &new).unwrap(), Change::Snapshot);
        assert_eq!(change(&old, &old).unwrap(), Change::None);
    }
}
