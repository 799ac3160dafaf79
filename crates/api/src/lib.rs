//! What the functions behind API Gateway have in common: authentication ([`Authenticator`]), the bodies
//! of requests ([`body`]), repeated requests ([`idempotency`]), lists ([`list`], [`deliveries`]), and responses to
//! requests that fail ([`Failure`]).

mod accept;
mod auth;
pub mod batch;
pub mod body;
mod called;
mod client_path;
pub mod deliveries;
mod edge;
pub mod envelope;
pub mod etag;
mod failure;
pub mod idempotency;
pub mod idempotency_key;
pub mod list;
mod merge_patch;
mod mistakes;
mod route;
mod segment;
mod serve;
pub mod stats;
mod topic_path;
mod topic_permissions;
mod words;

pub use auth::{ACTS_FOR, Authenticator, Caller, presented};
pub use called::{base_url, called_path, domain, located};
pub use client_path::client_reference;
pub use edge::Edge;
pub use failure::Failure;
pub use merge_patch::{MergePatch, must_be_merge_patch};
pub use mistakes::Mistakes;
pub use route::{path_parameter, route};
pub use serve::{accepted, created, json_text, multi_status, no_content, ok, serve};
pub use topic_path::topic_reference;
pub use topic_permissions::TopicPermissions;
