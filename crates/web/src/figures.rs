//! Numbers as people read them.

/// A number with a comma for each three digits.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// How many of all there were, in percent: `99.2 %`. Never `100 %` when some are missing; a dash without any.
pub fn percent(part: u64, all: u64) -> String {
    if all == 0 {
        return "–".to_owned();
    }
    if part >= all {
        return "100 %".to_owned();
    }
    let thousandths = u128::from(part) * 1000 / u128::from(all);
    format!("{}.{} %", thousandths / 10, thousandths % 10)
}

/// A duration in milliseconds, or in seconds if it is long; a dash without one.
pub fn duration(milliseconds: Option<u64>) -> String {
    match milliseconds {
        None => "–".to_owned(),
        Some(short @ ..1000) => format!("{short} ms"),
        Some(long) => format!("{}.{} s", long / 1000, long % 1000 / 100),
    }
}

/// A number of bytes.
pub fn bytes(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{}.{} KB", bytes / 1024, bytes % 1024 * 10 / 1024),
        _ => format!(
            "{}.{} MB",
            bytes / 1_048_576,
            bytes % 1_048_576 * 10 / 1_048_576
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_right() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(percent(0, 0), "–");
        assert_eq!(percent(99_999, 100_000), "99.9 %");
        assert_eq!(percent(1, 3), "33.3 %");
        assert_eq!(percent(3, 3), "100 %");
        assert_eq!(duration(None), "–");
        assert_eq!(duration(Some(999)), "999 ms");
        assert_eq!(duration(Some(1500)), "1.5 s");
        assert_eq!(
            (bytes(12), bytes(1536), bytes(3 << 20)),
            ("12 B".into(), "1.5 KB".into(), "3.0 MB".into())
        );
    }
}
