//! The HTTP edge, written once: who calls ([`Authenticator`]), what they sent
//! ([`body`]), and what they are told when it can't be done ([`Failure`]).

mod auth;
pub mod body;
mod domain;
pub mod envelope;
mod failure;
pub mod idempotency;
pub mod idempotency_key;
pub mod list;
mod serve;

pub use auth::Authenticator;
pub use domain::domain;
pub use failure::Failure;
pub use serve::{accepted, created, no_content, ok, serve};
