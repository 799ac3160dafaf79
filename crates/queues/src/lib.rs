//! The queues between the functions, and their messages.
//!
//! A message is deleted from its queue only once the next step of its processing is in a queue or a
//! table: a function reports the messages that it failed on ([`consume()`]), and they are received again.

mod client_task;
mod consume;
pub mod dead_letters;
mod delivery;
mod hops;
pub mod messages;
mod queue;

pub use client_task::ClientTask;
pub use consume::{Received, Source, consume};
pub use delivery::{Delivery, DeliveryKind, EventType, Protocol};
pub use hops::Hops;
pub use messages::{AudienceEvent, FanOut, Publication, Replay, Work};
pub use queue::{LONGEST_DELAY, Message, Queue, QueueError};
