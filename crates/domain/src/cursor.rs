//! Cursors: opaque texts that say where a list continues.

use data_encoding::BASE64URL_NOPAD;

/// The longest cursor, in bytes: no position in a list needs more.
const MAX_CURSOR_LENGTH: usize = 4096;

/// The cursor of a position in a list: text that is safe in a URL and opaque to clients.
pub fn encode(position: &str) -> String {
    BASE64URL_NOPAD.encode(position.as_bytes())
}

/// The position that a cursor stands for; `None` when the text is not a cursor.
pub fn decode(cursor: &str) -> Option<String> {
    if cursor.is_empty() || cursor.len() > MAX_CURSOR_LENGTH {
        return None;
    }
    String::from_utf8(BASE64URL_NOPAD.decode(cursor.as_bytes()).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cursor_leads_back_to_its_place(text in "[a-z#0-9:.-]{1,100}") {
            prop_assert_eq!(decode(&encode(&text)), Some(text));
        }

        #[test]
        fn no_input_panics(text in ".{0,300}") {
            let _ = decode(&text);
        }
    }

    #[test]
    fn garbage_is_no_cursor() {
        let long = encode(&"a".repeat(4096));
        for text in ["", "*", "a", "YQ==", "_w", long.as_str()] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
