//! Writes `openapi.yaml` as JSON, without its `servers` and what only its writer needs (`x-…`), so that no function has to
//! parse YAML.

use std::error::Error;
use std::path::Path;

use saphyr::{LoadableYamlNode, MappingOwned, ScalarOwned, YamlOwned};

fn main() -> Result<(), Box<dyn Error>> {
    let source = "../../openapi.yaml";
    println!("cargo::rerun-if-changed={source}");
    let yaml = std::fs::read_to_string(source)?;
    let documents = YamlOwned::load_from_str(&yaml)?;
    let document = documents.first().ok_or("openapi.yaml is empty")?;
    let mut json = String::new();
    write(document, &mut json, true)?;
    let target = Path::new(&std::env::var("OUT_DIR")?).join("openapi.json");
    std::fs::write(target, json)?;
    Ok(())
}

/// Appends a node as JSON, in its own order. Of the document itself, `servers` and `x-…` are left out.
fn write(node: &YamlOwned, json: &mut String, is_document: bool) -> Result<(), Box<dyn Error>> {
    match node {
        YamlOwned::Mapping(mapping) => {
            json.push('{');
            let mut first = true;
            for (key, value) in members(mapping)? {
                if is_document && (key == "servers" || key.starts_with("x-")) {
                    continue;
                }
                if !std::mem::take(&mut first) {
                    json.push(',');
                }
                json.push_str(&serde_json::to_string(key)?);
                json.push(':');
                write(value, json, false)?;
            }
            json.push('}');
        }
        YamlOwned::Sequence(sequence) => {
            json.push('[');
            for (index, value) in sequence.iter().enumerate() {
                if index > 0 {
                    json.push(',');
                }
                write(value, json, false)?;
            }
            json.push(']');
        }
        YamlOwned::Value(scalar) => json.push_str(&match scalar {
            ScalarOwned::Null => "null".to_owned(),
            ScalarOwned::Boolean(value) => serde_json::to_string(value)?,
            ScalarOwned::Integer(value) => serde_json::to_string(value)?,
            ScalarOwned::FloatingPoint(value) => serde_json::to_string(&value.into_inner())?,
            ScalarOwned::String(value) => serde_json::to_string(value)?,
        }),
        other => return Err(format!("not of JSON: {other:?}").into()),
    }
    Ok(())
}

/// The members of a mapping: its own, then those of the mappings that its key `<<` has, as far as it has not its own.
/// <https://yaml.org/type/merge.html>
fn members(mapping: &MappingOwned) -> Result<Vec<(&str, &YamlOwned)>, Box<dyn Error>> {
    let mut own = Vec::new();
    let mut merged = Vec::new();
    for (key, value) in mapping {
        let key = key.as_str().ok_or("a key is no text: quote it")?;
        match (key, value) {
            ("<<", YamlOwned::Mapping(one)) => merged.push(one),
            ("<<", YamlOwned::Sequence(several)) => {
                merged.extend(several.iter().filter_map(YamlOwned::as_mapping));
            }
            ("<<", _) => return Err("<<: is no mapping".into()),
            _ => own.push((key, value)),
        }
    }
    for mapping in merged {
        for (key, value) in members(mapping)? {
            if !own.iter().any(|(it, _)| *it == key) {
                own.push((key, value));
            }
        }
    }
    Ok(own)
}
