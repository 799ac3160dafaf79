//! Requests to URLs that are not trusted.
//!
//! A callback URL makes Bellwire send a request, so it is checked twice: as it is written, before
//! the connection, and by the address that its name resolves to, at the connection (`guard`). The
//! connection is made to the addresses that the guard let through, so that a name can't change in
//! between. Redirects are not followed, certificates are verified, and answers are read only up to
//! a limit.

mod consent;
mod guard;
mod sender;

pub use consent::{Consent, EndpointConsent, NoConsent};
pub use guard::Guard;
pub use sender::{Answer, Exchange, Failure, Limits, Sender};
