//! Patches: how long it takes to find one and to apply it, and how long it is.

use std::time::Instant;

use anyhow::{Result, bail};
use bellwire_domain::topic::document::Document;
use bellwire_domain::topic::patch::{Change, change};
use serde::Serialize;
use serde_json::{Value, json};

use crate::figures::{Spread, millis};

/// The sizes of the documents, in kilobytes.
const KILOBYTES: [usize; 4] = [1, 10, 100, 1000];
/// How many of a hundred entries are changed.
const CHANGED: [usize; 3] = [1, 20, 100];
/// How often each measurement is repeated.
const RUNS: usize = 15;

/// The results. Times are in milliseconds, sizes in bytes.
#[derive(Serialize)]
pub struct Patching {
    document: usize,
    changed: usize,
    /// The length of the patch; `None` when it is so much longer than the whole document that this is
    /// delivered instead.
    patch: Option<usize>,
    diff: Spread,
    apply: Option<Spread>,
}

/// Measures all sizes with all numbers of changes.
pub fn measure() -> Result<Vec<Patching>> {
    let mut measured = Vec::new();
    for kilobytes in KILOBYTES {
        for changed in CHANGED {
            measured.push(one(kilobytes * 1024, changed)?);
        }
    }
    Ok(measured)
}

fn one(size: usize, changed: usize) -> Result<Patching> {
    let entries = (size / 100).max(10);
    let old = parse(&document(entries, 0))?;
    let new = parse(&document(entries, changed))?;
    let (mut diff, mut apply) = (Vec::new(), Vec::new());
    let mut patch = None;
    for _ in 0..RUNS {
        let began = Instant::now();
        let found = change(&old, &new)?;
        diff.push(millis(began.elapsed()));
        let Change::Patch(text) = found else {
            continue;
        };
        let mut value = old.value().clone();
        let operations: json_patch::Patch = serde_json::from_str(&text)?;
        let began = Instant::now();
        json_patch::patch(&mut value, &operations)?;
        apply.push(millis(began.elapsed()));
        if &value != new.value() {
            bail!("the patch doesn't lead to the new document");
        }
        patch = Some(text.len());
    }
    Ok(Patching {
        document: new.text().len(),
        changed,
        patch,
        diff: Spread::of(diff),
        apply: patch.map(|_| Spread::of(apply)),
    })
}

/// Orders, of which so many of a hundred have another state, spread evenly; at least one if any.
fn document(entries: usize, changed: usize) -> Value {
    let order = |n: usize| {
        let spread = (n + 1) * changed / 100 > n * changed / 100;
        let is_changed = spread || (changed > 0 && n == 0);
        json!({
            "id": format!("order-{n:08}"),
            "customer": format!("customer-{}", n * 7919 % 9973),
            "amount": n * 104_729 % 99_991,
            "state": if is_changed { "delivered" } else { "shipped" },
        })
    };
    (0..entries).map(order).collect()
}

fn parse(value: &Value) -> Result<Document> {
    match Document::parse(value.to_string().as_bytes()) {
        Ok(document) => Ok(document),
        Err(bad) => bail!("{bad}"),
    }
}
