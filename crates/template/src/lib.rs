//! What tests read from `template.yaml`: the environment variables of functions, and the calls of the
//! API that reach them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::{BTreeSet, HashSet};
use std::fmt::Debug;
use std::hash::Hash;

use saphyr::{LoadableYamlNode, Yaml};

const TEMPLATE: &str = include_str!("../../../template.yaml");

/// The names of all environment variables of functions.
///
/// # Panics
/// When the template has another structure.
pub fn variables() -> BTreeSet<String> {
    let template = &Yaml::load_from_str(TEMPLATE).unwrap()[0];
    let resources = pairs(value(template, "Resources"));
    let mut found = BTreeSet::new();
    for (_, resource) in resources {
        if text(value(resource, "Type")) != "AWS::Serverless::Function" {
            continue;
        }
        let environment = value(value(resource, "Properties"), "Environment");
        let names = pairs(value(environment, "Variables"));
        found.extend(names.map(|(name, _)| name));
    }
    found
}

/// The calls of the API that reach a function, such as `("GET", "/topics/{topicId}")`. `function` is its
/// logical id without `Function`: `Topics`.
///
/// # Panics
/// When the template has another structure, or the API has no calls of the function.
pub fn calls(function: &str) -> Vec<(String, String)> {
    let template = &Yaml::load_from_str(TEMPLATE).unwrap()[0];
    let api = value(value(value(template, "Resources"), "Api"), "Properties");
    let paths = pairs(value(value(api, "DefinitionBody"), "paths"));
    let mut found = Vec::new();
    for (path, methods) in paths {
        for (method, call) in pairs(methods) {
            let integration = value(call, "x-amazon-apigateway-integration");
            let uri = text(value(integration, "uri"));
            if uri.contains(&format!("${{{function}Function.Arn}}")) {
                found.push((method.to_uppercase(), path.clone()));
            }
        }
    }
    assert!(!found.is_empty(), "the API has no calls of {function}");
    found
}

/// Checks that every call of the template that reaches a function has a route, every route a call, and what is
/// no call no route.
///
/// # Panics
/// When that is not so.
pub fn compare_routes<R: Copy + Eq + Hash + Debug>(
    function: &str,
    of: fn(&str, &str) -> Option<R>,
    all: &[R],
) {
    let calls = calls(function);
    let found: HashSet<R> = calls
        .iter()
        .map(|(method, path)| {
            assert_eq!(of("PATCH", path), None);
            of(method, path).unwrap_or_else(|| panic!("no route: {method} {path}"))
        })
        .collect();
    assert_eq!(found, all.iter().copied().collect());
    assert_eq!(of("GET", "/"), None);
}

/// A node without its tag, such as `!Sub`.
fn plain<'a, 'y>(node: &'a Yaml<'y>) -> &'a Yaml<'y> {
    match node {
        Yaml::Tagged(_, inner) => inner,
        other => other,
    }
}

/// The value of a key in a mapping.
fn value<'a, 'y>(node: &'a Yaml<'y>, key: &str) -> &'a Yaml<'y> {
    plain(node)
        .as_mapping_get(key)
        .unwrap_or_else(|| panic!("no {key}"))
}

/// The keys and values of a mapping.
fn pairs<'a, 'y>(node: &'a Yaml<'y>) -> impl Iterator<Item = (String, &'a Yaml<'y>)> {
    let mapping = plain(node).as_mapping().unwrap();
    mapping.iter().map(|(key, value)| (text(key), value))
}

fn text(node: &Yaml<'_>) -> String {
    plain(node).as_str().unwrap().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_found_behind_aliases() {
        let found = calls("Topics");
        for call in [
            ("POST", "/topics"),
            ("DELETE", "/streams/hub/api/v1/topics/{topicId}"),
        ] {
            assert!(found.contains(&(call.0.to_owned(), call.1.to_owned())));
        }
        assert!(variables().contains("CLIENTS_TABLE"));
    }
}
