//! What the functions behind API Gateway have in common: authentication ([`Authenticator`]), the bodies
//! of requests ([`body`]), repeated requests ([`idempotency`]), lists ([`list`]), and responses to
//! requests that fail ([`Failure`]).

mod auth;
pub mod batch;
pub mod body;
mod domain;
pub mod envelope;
mod failure;
pub mod idempotency;
pub mod idempotency_key;
pub mod list;
mod route;
mod serve;

pub use auth::Authenticator;
pub use domain::domain;
pub use failure::Failure;
pub use route::{path_parameter, route};
pub use serve::{accepted, created, multi_status, no_content, ok, serve};
