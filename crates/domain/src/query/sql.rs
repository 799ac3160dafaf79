//! Which SQL a client may run: one statement that reads.
//!
//! This refuses mistakes before they reach Athena, and statements that write where the permissions
//! allow to write results (`UNLOAD`). What a statement may read is for IAM to decide:
//! `template.yaml` gives the function that starts queries permissions to read the named databases,
//! and none to change anything.

use sqlparser::dialect::Dialect;
use sqlparser::tokenizer::{Token, Tokenizer};

/// The longest statement that Athena takes, in bytes.
/// <https://docs.aws.amazon.com/athena/latest/ug/service-limits.html>
pub const MAX_SQL_BYTES: usize = 262_144;

/// The keywords that a reading statement begins with.
const READING: [&str; 2] = ["SELECT", "WITH"];

/// Why SQL was refused; the text is for the client.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SqlRefused {
    /// There is nothing but white space and comments.
    #[error("is empty")]
    Empty,
    /// It is longer than Athena accepts.
    #[error("must have at most {MAX_SQL_BYTES} bytes")]
    TooLong,
    /// It has control characters, or line separators that SQL doesn't know.
    #[error("must not contain control characters other than tabs and line ends")]
    Characters,
    /// It can't be split into tokens: a text, a quoted name or a comment has no end.
    #[error("{0}")]
    Malformed(String),
    /// It is more than one statement.
    #[error("must be one statement")]
    Several,
    /// It doesn't begin with one of the `READING` keywords.
    #[error("must be a SELECT, with or without WITH")]
    NotReading,
}

/// Athena's lexical rules: comments don't nest, and a backslash escapes nothing. Both are the
/// trait's default.
#[derive(Debug)]
struct Athena;

impl Dialect for Athena {
    fn is_identifier_start(&self, character: char) -> bool {
        character.is_alphabetic() || character == '_'
    }

    fn is_identifier_part(&self, character: char) -> bool {
        self.is_identifier_start(character) || character.is_ascii_digit()
    }
}

/// SQL that was checked. Exactly this text is sent to Athena.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadingSql(String);

impl ReadingSql {
    /// The SQL, with `\n` as the only line end.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Checks that the SQL is one statement that begins as reading statements do. Whether it is correct
/// is for Athena to decide. Line ends become `\n`: a `\r` alone ends a comment for Athena, but not
/// for this tokenizer. Other control characters are refused, since it is documented nowhere what
/// they end.
/// <https://github.com/trinodb/trino/blob/master/core/trino-grammar/src/main/antlr4/io/trino/grammar/sql/SqlBase.g4>
pub fn check(sql: &str) -> Result<ReadingSql, SqlRefused> {
    if sql.len() > MAX_SQL_BYTES {
        return Err(SqlRefused::TooLong);
    }
    let sql = sql.replace("\r\n", "\n").replace('\r', "\n");
    let is_line_end = |c| matches!(c, '\u{2028}' | '\u{2029}');
    if sql
        .chars()
        .any(|c| c.is_control() && c != '\n' && c != '\t' || is_line_end(c))
    {
        return Err(SqlRefused::Characters);
    }
    let tokens = Tokenizer::new(&Athena, &sql)
        .tokenize()
        .map_err(|error| SqlRefused::Malformed(error.to_string()))?;
    let mut tokens = tokens
        .iter()
        .filter(|token| !matches!(token, Token::Whitespace(_)));
    let first = tokens
        .by_ref()
        .find(|token| !matches!(token, Token::LParen | Token::SemiColon))
        .ok_or(SqlRefused::Empty)?;
    let reads = match first {
        Token::Word(word) => {
            word.quote_style.is_none()
                && READING.iter().any(|it| word.value.eq_ignore_ascii_case(it))
        }
        _ => false,
    };
    let mut behind_the_end = tokens.skip_while(|token| **token != Token::SemiColon);
    if behind_the_end.any(|token| *token != Token::SemiColon) {
        return Err(SqlRefused::Several);
    }
    if reads {
        Ok(ReadingSql(sql))
    } else {
        Err(SqlRefused::NotReading)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_reading_statement_passes() {
        for sql in [
            "SELECT 1",
            "select * from t where a = 'x;y' -- ; DROP TABLE t",
            "/* DROP */ SELECT 1 ;",
            "-- a; b\n\tWITH a AS (SELECT 1) SELECT * FROM a;;",
            "((SELECT 1) UNION (SELECT 2)) ORDER BY 1",
            "SELECT \"drop;\" FROM t",
            "SELECT 'it''s; fine', '\\' FROM t",
            "SELECT transform(ARRAY[1], x -> x + 1), m['k'], TIMESTAMP '2020-01-01 00:00:00'",
            // Incorrect, but for Athena to refuse.
            "SELECT FROM WHERE",
            "SELECT 1 UNION DROP TABLE t",
        ] {
            assert_eq!(check(sql).unwrap().as_str(), sql);
        }
    }

    #[test]
    fn what_was_checked_is_what_is_sent() {
        let checked = check("-- a\r\nSELECT 1,\r 2").unwrap();
        assert_eq!(checked.as_str(), "-- a\nSELECT 1,\n 2");
    }

    #[test]
    fn everything_else_is_refused() {
        let long = format!("SELECT '{}'", "x".repeat(300_000));
        for (sql, reason) in [
            ("", SqlRefused::Empty),
            (" \n ; -- SELECT 1", SqlRefused::Empty),
            ("/* SELECT 1 */", SqlRefused::Empty),
            (long.as_str(), SqlRefused::TooLong),
            ("SELECT 1; SELECT 2", SqlRefused::Several),
            ("SELECT 1; DROP TABLE t", SqlRefused::Several),
            ("SELECT '\\'; DROP TABLE t --'", SqlRefused::Several),
            // Comments don't nest: this one ends at the first end.
            (
                "/* /* */ DROP TABLE t; -- */ SELECT 1",
                SqlRefused::NotReading,
            ),
            // What ends a comment for Athena ends it here.
            (
                "-- \rUNLOAD (SELECT 1) TO 's3://b/' WITH (format='JSON')\n SELECT 1",
                SqlRefused::NotReading,
            ),
            ("SELECT 1 --\r; DROP TABLE t", SqlRefused::Several),
            ("-- \u{b}SELECT 1", SqlRefused::Characters),
            ("-- \u{85}SELECT 1", SqlRefused::Characters),
            ("-- \u{2028}UNLOAD\n SELECT 1", SqlRefused::Characters),
            ("SELECT '\0'", SqlRefused::Characters),
            ("DROP TABLE t", SqlRefused::NotReading),
            ("CREATE TABLE a AS SELECT 1", SqlRefused::NotReading),
            ("INSERT INTO t SELECT 1", SqlRefused::NotReading),
            (
                "UNLOAD (SELECT 1) TO 's3://b/' WITH (format='JSON')",
                SqlRefused::NotReading,
            ),
            ("EXECUTE statement", SqlRefused::NotReading),
            ("MSCK REPAIR TABLE t", SqlRefused::NotReading),
            ("\"SELECT\" 1", SqlRefused::NotReading),
            ("'SELECT' 1", SqlRefused::NotReading),
            ("1", SqlRefused::NotReading),
            ("ＳＥＬＥＣＴ 1", SqlRefused::NotReading),
        ] {
            assert_eq!(check(sql), Err(reason), "{sql:.60}");
        }
        for sql in ["SELECT 'x", "SELECT 1 /* x", "SELECT \"x"] {
            assert!(matches!(check(sql), Err(SqlRefused::Malformed(_))), "{sql}");
        }
    }

    proptest! {
        #[test]
        fn no_input_panics(sql in "[ -~]{0,60}") {
            let _ = check(&sql);
        }

        #[test]
        fn a_statement_behind_another_is_seen(
            before in "[a-z0-9 '\"-]{0,20}", after in "[a-z]{1,10}"
        ) {
            // Whatever precedes it, unless it is inside a text, a name or a comment.
            if check(&format!("SELECT {before}")).is_ok() && !before.contains("--") {
                let several = format!("SELECT {before}; {after}");
                prop_assert_eq!(check(&several), Err(SqlRefused::Several));
            }
        }
    }
}
