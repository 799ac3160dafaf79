//! The style sheet and the script of the consoles.

use std::sync::LazyLock;

use data_encoding::{BASE64, HEXLOWER};
use sha2::{Digest, Sha256};

/// The style sheet, without the colours of the provider.
const CSS: &str = include_str!("../assets/console.css");
/// The script, which stands in each page.
pub const SCRIPT: &str = include_str!("../assets/console.js");

/// The source expression by which the policy of pages allows the script, and no other.
/// <https://www.w3.org/TR/CSP3/#grammardef-hash-source>
pub static SCRIPT_SOURCE: LazyLock<String> =
    LazyLock::new(|| format!("'sha256-{}'", BASE64.encode(&Sha256::digest(SCRIPT))));

/// The style sheet with the provider's colours.
#[derive(Clone, Debug)]
pub struct StyleSheet {
    /// Its name, which is another one when its content is.
    pub name: String,
    /// Its content.
    pub css: String,
}

impl StyleSheet {
    /// The style sheet with these definitions before it.
    pub fn new(definitions: &str) -> Self {
        let css = format!("{definitions}{CSS}");
        let digest = Sha256::digest(&css);
        let short: String = HEXLOWER.encode(&digest).chars().take(12).collect();
        Self {
            name: format!("console-{short}.css"),
            css,
        }
    }
}
