//! What serde says of JSON that it refuses, in the words of callers, who know JSON and not Rust.

use serde_json::error::Category;

use crate::Failure;

/// The most characters of what the caller has sent that a message repeats.
const MAX_REPEATED: usize = 60;
/// The most characters of a message.
const MAX_PROBLEM: usize = 300;

/// The failure, 400, for a body that is not of the wanted shape: `path` is where, as of `serde_path_to_error`.
pub(crate) fn explain(path: &str, error: &serde_json::Error) -> Failure {
    let text = error.to_string();
    // The place in the text is of no use to whoever knows the field.
    let problem = text.rsplit_once(" at line ").map_or(&*text, |(it, _)| it);
    let path = if path == "." { "" } else { path };
    if let Some(name) = quoted_after(problem, "missing field ") {
        return Failure::field(joined(path, name), "is missing");
    }
    if let Some(name) = quoted_after(problem, "duplicate field ") {
        return Failure::field(joined(path, name), "is there twice");
    }
    if let Some(name) = quoted_after(problem, "unknown field ") {
        let name = shortened(if path.is_empty() { name } else { path });
        return Failure::unknown_field(name, known("there is no such field", problem));
    }
    let said = if let Some(name) = quoted_after(problem, "unknown variant ") {
        let name = shortened(name);
        known(&format!("can't be \"{name}\""), problem)
    } else if error.classify() == Category::Data {
        expected(problem)
    } else {
        // serde_json reports a number in the place of a name as a syntax error.
        "is of the wrong type".to_owned()
    };
    let said: String = said.chars().take(MAX_PROBLEM).collect();
    if path.is_empty() {
        Failure::bad_request(format!("the body {said}"))
    } else {
        Failure::field(path, said)
    }
}

/// The name of a field in the part of the body at `path`.
fn joined(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

/// What stands between backticks after `start`.
fn quoted_after<'a>(problem: &'a str, start: &str) -> Option<&'a str> {
    let rest = problem.strip_prefix(start)?.strip_prefix('`')?;
    // A name that the caller has made up may have backticks itself.
    let end = match rest
        .rfind("`, expected ")
        .or_else(|| rest.rfind("`, there are no "))
    {
        Some(end) => end,
        None => rest.rfind('`')?,
    };
    rest.get(..end)
}

/// `said`, and what there is instead: the names at the end of serde's text.
fn known(said: &str, problem: &str) -> String {
    let names = problem.rsplit_once("`, expected ").map(|(_, names)| names);
    let names = names.map(|it| it.trim_start_matches("one of ").replace('`', ""));
    match names {
        Some(names) => format!("{said}; known: {}", names.replace(" or ", ", ")),
        None => said.to_owned(),
    }
}

/// `must be a string, and is the number 5`, from `invalid type: integer `5`, expected a string`. What doesn't have this form
/// is a text of ours already.
fn expected(problem: &str) -> String {
    let Some((got, wanted)) = problem
        .strip_prefix("invalid type: ")
        .or_else(|| problem.strip_prefix("invalid value: "))
        .and_then(|it| it.rsplit_once(", expected "))
    else {
        return match problem {
            // A struct that is read field by field.
            _ if problem.starts_with("invalid length") => {
                "must be an object, and is an array".to_owned()
            }
            _ if problem.starts_with("data did not match") => "is of the wrong type".to_owned(),
            ours => ours.to_owned(),
        };
    };
    format!("must be {}, and is {}", wanted_type(wanted), given(got))
}

/// A type that serde expects, in the words of JSON.
fn wanted_type(wanted: &str) -> &str {
    match wanted {
        "a string" | "a borrowed string" | "a character" => "a string",
        "a boolean" => "true or false",
        "a map" => "an object",
        "a sequence" | "a tuple" => "an array",
        "f32" | "f64" => "a number",
        "i8" | "i16" | "i32" | "i64" => "a whole number",
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number from 0 on",
        _ if wanted.starts_with("struct ") => "an object",
        _ if wanted.starts_with("enum ") || wanted == "variant identifier" => {
            "one of the known names"
        }
        "string or map" => "one of the known names",
        // A visitor of ours says it in words of ours.
        ours => ours,
    }
}

/// What was given, as serde names it, in the words of JSON.
fn given(got: &str) -> String {
    let (kind, value) = got.split_once(' ').unwrap_or((got, ""));
    let value = value.trim_matches('`');
    match kind {
        "integer" => format!("the number {}", shortened(value)),
        "floating" => {
            let number = value.trim_start_matches("point `");
            format!("the number {}", shortened(number))
        }
        "boolean" => value.to_owned(),
        "string" => format!("the string \"{}\"", shortened(value.trim_matches('"'))),
        "map" => "an object".to_owned(),
        "sequence" => "an array".to_owned(),
        "null" | "unit" => "null".to_owned(),
        _ => "something else".to_owned(),
    }
}

fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(MAX_REPEATED).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
