//! The queues that carry events, and what is in them.
//!
//! A step of a delivery takes a message off its queue only once the next step has
//! it: a function reports the messages that it failed on ([`batch`]), and SQS brings
//! them again.

pub mod batch;
mod consume;
pub mod dead_letters;
pub mod messages;
mod queue;

pub use consume::{Sources, consume};
pub use messages::{
    AudienceEvent, Delivery, DeliveryKind, EventType, FanOut, Hops, Protocol, Publication, Replay,
    Work,
};
pub use queue::{LONGEST_DELAY, Message, Queue, QueueError};
