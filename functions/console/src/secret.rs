//! The page that shows a signing secret, this once.

use askama::Template;
use bellwire_web::Shell;

/// The page.
#[derive(Template)]
#[template(path = "secret.html")]
pub struct SecretPage {
    /// What stands around it.
    pub shell: Shell,
    /// The secret.
    pub secret: String,
    /// The page that follows, relative to the console.
    pub page: String,
    /// Whether it takes the place of another secret.
    pub replaces: bool,
}
