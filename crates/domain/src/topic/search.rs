//! Search expressions over lists: `name:orders AND (publisher.type:http-post OR description?)`.
//!
//! `property:value`: the property has this value; `property!value`: it is missing or has another
//! one; `property?`: it is there at all. `AND` binds more tightly than `OR`. A value with spaces is
//! written in double quotes; a property of a property is written `a.b`.

use serde_json::Value;
use winnow::ascii::{multispace0, multispace1};
use winnow::combinator::{alt, delimited, preceded, repeat, terminated};
use winnow::prelude::*;
use winnow::token::{take_till, take_while};

/// The longest expression, in characters.
const MAX_SEARCH_LENGTH: usize = 1000;
/// How deep parentheses may be nested.
const MAX_DEPTH: usize = 20;

/// A search expression, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Search {
    /// One of these holds.
    Any(Vec<Search>),
    /// All of these hold.
    All(Vec<Search>),
    /// The property has this value.
    Is(String, String),
    /// The property is missing, or has another value.
    IsNot(String, String),
    /// The property is there, and not null.
    Has(String),
}

/// The text is not a search expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be written like name:value AND (a.b!\"other value\" OR c?), with at most {MAX_SEARCH_LENGTH} characters"
)]
pub struct BadSearch;

impl Search {
    /// Parses an expression.
    pub fn parse(text: &str) -> Result<Self, BadSearch> {
        let depth = text.chars().scan(0usize, |depth, c| {
            match c {
                '(' => *depth += 1,
                ')' => *depth = depth.saturating_sub(1),
                _ => {}
            }
            Some(*depth)
        });
        if text.chars().count() > MAX_SEARCH_LENGTH || depth.max().unwrap_or(0) > MAX_DEPTH {
            return Err(BadSearch);
        }
        delimited(multispace0, any_of, multispace0)
            .parse(text)
            .map_err(|_| BadSearch)
    }

    /// Whether an item matches the expression.
    pub fn matches(&self, item: &Value) -> bool {
        match self {
            Self::Any(terms) => terms.iter().any(|term| term.matches(item)),
            Self::All(terms) => terms.iter().all(|term| term.matches(item)),
            Self::Is(property, value) => find(item, property).is_some_and(|found| is(found, value)),
            Self::IsNot(property, value) => {
                !find(item, property).is_some_and(|found| is(found, value))
            }
            Self::Has(property) => find(item, property).is_some_and(|found| !found.is_null()),
        }
    }
}

fn find<'a>(item: &'a Value, property: &str) -> Option<&'a Value> {
    property
        .split('.')
        .try_fold(item, |inner, key| inner.get(key))
}

/// Whether a value equals a text. A list equals each of its elements.
fn is(found: &Value, value: &str) -> bool {
    match found {
        Value::String(text) => text == value,
        Value::Array(elements) => elements.iter().any(|element| is(element, value)),
        Value::Number(number) => number.to_string() == value,
        Value::Bool(yes) => value == if *yes { "true" } else { "false" },
        Value::Null | Value::Object(_) => false,
    }
}

fn any_of(input: &mut &str) -> ModalResult<Search> {
    joined(all_of, "OR", Search::Any, input)
}

fn all_of(input: &mut &str) -> ModalResult<Search> {
    joined(term, "AND", Search::All, input)
}

/// One or more of `part`, joined by a word such as `AND`.
fn joined(
    mut part: impl FnMut(&mut &str) -> ModalResult<Search>,
    word: &'static str,
    join: fn(Vec<Search>) -> Search,
    input: &mut &str,
) -> ModalResult<Search> {
    let first = part(input)?;
    let between = (multispace1, word, multispace1);
    let more: Vec<Search> = repeat(0.., preceded(between, part)).parse_next(input)?;
    if more.is_empty() {
        return Ok(first);
    }
    Ok(join(std::iter::once(first).chain(more).collect()))
}

fn term(input: &mut &str) -> ModalResult<Search> {
    alt((
        delimited(('(', multispace0), any_of, (multispace0, ')')),
        (property, preceded(':', value)).map(|(property, value)| Search::Is(property, value)),
        (property, preceded('!', value)).map(|(property, value)| Search::IsNot(property, value)),
        terminated(property, '?').map(Search::Has),
    ))
    .parse_next(input)
}

fn property(input: &mut &str) -> ModalResult<String> {
    take_while(1.., |c: char| c.is_alphanumeric() || "_-.".contains(c))
        .map(str::to_owned)
        .parse_next(input)
}

fn value(input: &mut &str) -> ModalResult<String> {
    alt((
        delimited('"', take_till(0.., '"'), '"'),
        take_while(1.., |c: char| !c.is_whitespace() && !"()\"".contains(c)),
    ))
    .map(str::to_owned)
    .parse_next(input)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn finds(expression: &str) -> bool {
        let item = json!({
            "name": "orders", "description": "all the orders", "count": 3, "open": true, "nothing": null,
            "publisher": {"type": "http-post"}, "modes": ["a", "b"],
        });
        Search::parse(expression).unwrap().matches(&item)
    }

    #[test]
    fn expressions_find_what_they_say() {
        for expression in [
            "name:orders",
            "name!customers",
            "missing!x",
            "description?",
            "description:\"all the orders\"",
            "publisher.type:http-post",
            "count:3",
            "open:true",
            "modes:b",
            "name:orders AND count:3",
            "name:x OR count:3",
            "name:orders OR name:x AND name:y",
            " ( name:x OR name:orders ) AND ( count:3 ) ",
            "name!x AND publisher.type!x AND name?",
        ] {
            assert!(finds(expression), "{expression}");
        }
        for expression in [
            "name:customers",
            "name!orders",
            "missing?",
            "nothing?",
            "publisher.type.more:x",
            "publisher:http-post",
            "modes!a",
            "(name:orders OR name:x) AND name:y",
            "description:\"\"",
        ] {
            assert!(!finds(expression), "{expression}");
        }
    }

    #[test]
    fn broken_expressions_are_refused() {
        let deep = format!("{}a:b{}", "(".repeat(21), ")".repeat(21));
        for expression in [
            "",
            " ",
            "name",
            "name:",
            ":x",
            "name:x AND",
            "AND name:x",
            "name:x name:y",
            "(name:x",
            "name:x)",
            "name:\"x",
            "name:x and name:y",
            "name:x ANDname:y",
            "a b:c",
            "()",
            &deep,
            &"a".repeat(1001),
        ] {
            assert_eq!(Search::parse(expression), Err(BadSearch), "{expression}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[a-c:!?()\" .ANDOR]{0,40}") {
            let _ = Search::parse(&text);
        }
    }
}
