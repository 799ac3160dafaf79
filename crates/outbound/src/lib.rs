//! Requests to URLs of strangers.
//!
//! A callback URL is an instruction to send a request, so it is checked twice: as
//! it is written, before the connection, and by the address that its name resolves
//! to, at the connection (`guard`). What the guard lets through is what is
//! connected to, so a name can't change in between. Redirects are not followed,
//! certificates are verified, and an answer is read only so far.

mod consent;
mod guard;
mod sender;

pub use consent::{Consent, EndpointConsent, NoConsent};
pub use guard::Guard;
pub use sender::{Answer, Exchange, Failure, Limits, Sender};
