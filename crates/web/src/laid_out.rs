//! Bodies as people read them.

use serde::de::IgnoredAny;

/// How much of a body is shown, in bytes.
const MOST: usize = 32 * 1024;

/// A body as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaidOut {
    /// Its text, or the beginning of it.
    pub text: String,
    /// Whether there is more.
    pub cut: bool,
}

/// The text with line breaks and indentation if it is JSON, and nothing else changed; other text as it is. Of a long text
/// it is the beginning.
pub fn laid_out(text: &str) -> LaidOut {
    let mut shown = indented(text);
    let cut = shown.len() > MOST;
    if cut {
        let ends = (0..=MOST).rev().find(|end| shown.is_char_boundary(*end));
        shown.truncate(ends.unwrap_or_default());
    }
    LaidOut { text: shown, cut }
}

/// As far as it is shown: a deeply nested text would become many times as long.
fn indented(text: &str) -> String {
    if serde_json::from_str::<IgnoredAny>(text).is_err() {
        return text.to_owned();
    }
    let mut shown = String::with_capacity(text.len().min(MOST) * 2);
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    // In JSON these stand between values alone.
    let between = |it: &char| matches!(it, '\n' | '\r' | '\t');
    let mut characters = text.chars().filter(|it| !between(it)).peekable();
    while let Some(character) = characters.next() {
        if shown.len() > MOST {
            break;
        }
        if quoted {
            shown.push(character);
            quoted = escaped || character != '"';
            escaped = !escaped && character == '\\';
            continue;
        }
        match character {
            ' ' => {}
            '"' => {
                quoted = true;
                shown.push(character);
            }
            '{' | '[' => {
                shown.push(character);
                while characters.next_if_eq(&' ').is_some() {}
                if characters
                    .peek()
                    .is_some_and(|next| !matches!(next, '}' | ']'))
                {
                    depth += 1;
                    new_line(&mut shown, depth);
                } else {
                    shown.extend(characters.next());
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                new_line(&mut shown, depth);
                shown.push(character);
            }
            ',' => {
                shown.push(character);
                new_line(&mut shown, depth);
            }
            ':' => shown.push_str(": "),
            other => shown.push(other),
        }
    }
    shown
}

fn new_line(text: &mut String, depth: usize) {
    text.push('\n');
    text.extend(std::iter::repeat_n("  ", depth));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn json_is_indented_and_nothing_else_is_changed() {
        let text = r#"{ "b":[1.50,{},[ ]],"a": "x, {\"y\": 1}\\" }"#;
        let shown = "{\n  \"b\": [\n    1.50,\n    {},\n    []\n  ],\n  \"a\": \"x, {\\\"y\\\": 1}\\\\\"\n}";
        assert_eq!(laid_out(text).text, shown);
        for other in ["", "plain", "<b>", "{\"a\":", "a\nb"] {
            assert_eq!(laid_out(other).text, other);
        }
        assert_eq!(
            laid_out("12345678901234567890.10").text,
            "12345678901234567890.10"
        );
    }

    #[test]
    fn of_a_long_text_it_is_the_beginning() {
        let deep = format!(
            "{}{}{}",
            "[".repeat(100),
            "1,".repeat(300_000) + "1",
            "]".repeat(100)
        );
        let shown = laid_out(&deep);
        assert!(shown.cut && shown.text.len() <= MOST);
        let long = laid_out(&"ä".repeat(MOST));
        assert!(long.cut && long.text.len() == MOST);
        assert_eq!(
            laid_out("[\"\u{7f}\u{85}\"]").text,
            "[\n  \"\u{7f}\u{85}\"\n]"
        );
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..4).prop_map(|it| json!(it)),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_stays_the_same_value(value in values(), pretty in any::<bool>()) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
            let shown = indented(&text.unwrap());
            prop_assume!(shown.len() <= MOST);
            prop_assert_eq!(serde_json::from_str::<Value>(&shown).unwrap(), value);
        }
    }
}
