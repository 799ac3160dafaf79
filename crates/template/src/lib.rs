//! What tests read from `template.yaml`: the environment variables of functions, the calls of the API that
//! reach them, and the keys of tables.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::LazyLock;

use saphyr::{LoadableYamlNode, Yaml};

static TEMPLATE: LazyLock<Yaml<'static>> = LazyLock::new(|| {
    let mut documents = Yaml::load_from_str(include_str!("../../../template.yaml")).unwrap();
    documents.remove(0)
});

/// The names of all environment variables of functions.
///
/// # Panics
/// When the template has another structure.
pub fn variables() -> BTreeSet<String> {
    let template = &*TEMPLATE;
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

/// The environment variables of a function, with the values of a stack whose parameters have their defaults.
/// The name of a resource is its logical id; the URLs of queues, and ARNs, are made of it. `function` is the
/// function's logical id without `Function`: `Topics`.
///
/// # Panics
/// When the template has another structure.
pub fn settings(function: &str) -> BTreeMap<String, String> {
    let template = &*TEMPLATE;
    let function = resource(template, &format!("{function}Function"));
    let environment = value(value(function, "Properties"), "Environment");
    let variables = pairs(value(environment, "Variables"));
    variables
        .map(|(name, setting)| (name, resolved(template, setting)))
        .collect()
}

/// A table, or an index of one: its name, its partition key and, if it has one, its sort key.
#[derive(Clone, Debug)]
pub struct Keys {
    /// The logical id of the table; the name of the index.
    pub name: String,
    /// The names of the keys, all of which are texts.
    pub keys: Vec<String>,
    /// The indexes of the table.
    pub indexes: Vec<Keys>,
}

/// The tables.
///
/// # Panics
/// When the template has another structure.
pub fn tables() -> Vec<Keys> {
    let template = &*TEMPLATE;
    let keys = |of: &Yaml<'_>| -> Vec<String> {
        let keys = value(of, "KeySchema").as_vec().unwrap();
        keys.iter()
            .map(|key| text(value(key, "AttributeName")))
            .collect()
    };
    let tables = pairs(value(template, "Resources"))
        .filter(|(_, resource)| text(value(resource, "Type")) == "AWS::DynamoDB::Table");
    tables
        .map(|(name, table)| {
            let properties = value(table, "Properties");
            let indexes = properties.as_mapping_get("GlobalSecondaryIndexes");
            let indexes = indexes.and_then(|it| it.as_vec()).into_iter().flatten();
            Keys {
                name,
                keys: keys(properties),
                indexes: indexes
                    .map(|index| Keys {
                        name: text(value(index, "IndexName")),
                        keys: keys(index),
                        indexes: Vec::new(),
                    })
                    .collect(),
            }
        })
        .collect()
}

fn resource<'a, 'y>(template: &'a Yaml<'y>, id: &str) -> &'a Yaml<'y> {
    value(value(template, "Resources"), id)
}

/// What CloudFormation makes of a value.
fn resolved(template: &Yaml<'_>, node: &Yaml<'_>) -> String {
    let Yaml::Tagged(tag, inner) = node else {
        return scalar(node);
    };
    match tag.suffix.as_str() {
        "Ref" => reference(template, &text(inner)),
        "Sub" => substituted(&text(inner)),
        "GetAtt" => {
            let id = text(inner);
            let id = id.strip_suffix(".Arn").unwrap();
            match text(value(resource(template, id), "Type")).as_str() {
                "AWS::SQS::Queue" => substituted(&format!(
                    "arn:aws:sqs:${{AWS::Region}}:${{AWS::AccountId}}:{id}"
                )),
                _ => substituted(&format!("arn:aws:iam::${{AWS::AccountId}}:role/{id}")),
            }
        }
        // Of a condition, what holds when the feature is used; of a list, its first part.
        "If" | "Select" => resolved(template, &inner.as_vec().unwrap()[1]),
        other => panic!("!{other}"),
    }
}

fn reference(template: &Yaml<'_>, name: &str) -> String {
    if name.starts_with("AWS::") {
        return substituted(&format!("${{{name}}}"));
    }
    if let Some(parameter) = value(template, "Parameters").as_mapping_get(name) {
        return scalar(value(parameter, "Default"));
    }
    match text(value(resource(template, name), "Type")).as_str() {
        "AWS::SQS::Queue" => queue_url(name),
        _ => name.to_owned(),
    }
}

/// The URL of a queue, of which `id` is the logical id.
pub fn queue_url(id: &str) -> String {
    substituted(&format!(
        "https://sqs.${{AWS::Region}}.amazonaws.com/${{AWS::AccountId}}/{id}"
    ))
}

fn substituted(text: &str) -> String {
    [
        ("AWS::Partition", "aws"),
        ("AWS::Region", "us-east-1"),
        ("AWS::AccountId", "123456789012"),
        ("AWS::StackName", "bellwire"),
    ]
    .iter()
    .fold(text.to_owned(), |text, (name, value)| {
        text.replace(&format!("${{{name}}}"), value)
    })
}

/// The paths of the API whose calls reach a function, such as `/topics/{topicId}`. `function` is its logical id without
/// `Function`: `Topics`.
///
/// # Panics
/// When the template has another structure, or no path is the function's.
pub fn paths(function: &str) -> Vec<String> {
    let template = &*TEMPLATE;
    let api = value(value(value(template, "Resources"), "Api"), "Properties");
    let paths = pairs(value(value(api, "DefinitionBody"), "paths"));
    let mut found = Vec::new();
    for (path, methods) in paths {
        // Which methods a path has is said in the function's routes.
        let call = value(methods, "x-amazon-apigateway-any-method");
        let integration = value(call, "x-amazon-apigateway-integration");
        let uri = text(value(integration, "uri"));
        if uri.contains(&format!("${{{function}Function.Arn}}")) {
            found.push(path);
        }
    }
    assert!(!found.is_empty(), "the API has no path of {function}");
    found
}

/// Checks that every path of the template that reaches a function has a route, unless it stands for `others`, every route a
/// path, and what is no call no route.
///
/// # Panics
/// When that is not so.
pub fn compare_routes<R: Copy + Eq + Hash + Debug>(
    function: &str,
    of: fn(&str, &str) -> Option<R>,
    all: &[R],
    others: &[&str],
) {
    let mut found = HashSet::new();
    for path in paths(function) {
        let methods = ["GET", "POST", "PUT", "PATCH", "DELETE"];
        let routes: Vec<R> = methods.iter().filter_map(|it| of(it, &path)).collect();
        let is_other = others.contains(&path.as_str());
        assert_eq!(routes.is_empty(), is_other, "the routes of {path}");
        assert_eq!(of("TRACE", &path), None);
        found.extend(routes);
    }
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

/// A text, a number or a boolean as a text.
fn scalar(node: &Yaml<'_>) -> String {
    let node = plain(node);
    node.as_str()
        .map(str::to_owned)
        .or_else(|| node.as_integer().map(|number| number.to_string()))
        .or_else(|| node.as_bool().map(|truth| truth.to_string()))
        .unwrap_or_else(|| panic!("no scalar: {node:?}"))
}

fn text(node: &Yaml<'_>) -> String {
    plain(node).as_str().unwrap().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_found_behind_aliases() {
        let found = paths("Topics");
        for path in ["/topics", "/streams/hub/api/v1/topics/{topicId}"] {
            assert!(found.contains(&path.to_owned()), "{path}");
        }
        assert!(variables().contains("CLIENTS_TABLE"));
    }

    #[test]
    fn settings_are_those_of_a_stack_with_defaults() {
        let settings = settings("Commit");
        assert_eq!(settings["EVENTS_TABLE"], "EventsTable");
        assert_eq!(settings["EVENTS_KEPT_DAYS"], "7");
        let url = "https://sqs.us-east-1.amazonaws.com/123456789012/DeliveriesQueue";
        assert_eq!(settings["DELIVERIES_QUEUE_URL"], url);
        let tables = tables();
        let topics = tables
            .iter()
            .find(|table| table.name == "TopicsTable")
            .unwrap();
        assert_eq!(topics.keys, ["topic_id"]);
        assert_eq!(topics.indexes[0].keys, ["listed", "created_at"]);
    }
}
