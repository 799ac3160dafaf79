//! What the names of hosts look like, and which of them can't be public.

/// The longest host name, and the longest label of one (RFC 1035, 2.3.4), in characters.
const MAX_NAME_LENGTH: usize = 253;
const MAX_LABEL_LENGTH: usize = 63;
/// Domains for use in private networks (RFC 6762, and ICANN's resolution of 2024 on `.internal`).
const PRIVATE_DOMAINS: [&str; 2] = [".local", ".internal"];

/// Whether a name has the form of a host name (RFC 1123, 2.1). Underscores are allowed, as in
/// browsers.
pub(crate) fn is_name(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=MAX_LABEL_LENGTH).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    name.len() <= MAX_NAME_LENGTH && name.split('.').all(is_label)
}

/// Whether a name can't be public: a single label, or a name in a domain for private use.
pub(crate) fn is_private_name(name: &str) -> bool {
    !name.contains('.') || PRIVATE_DOMAINS.iter().any(|domain| name.ends_with(domain))
}

/// Whether a name stands for the local machine: `localhost` and the names below it (RFC 6761, 6.3).
pub(crate) fn is_localhost(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}
