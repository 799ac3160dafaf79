//! What could not be processed: the queues of dead letters, what is in them, and the ways back.
//!
//! `queues` are the queues that there are, `held` keeps their messages while somebody looks at them, `carried` is what a
//! message carries, and `again` what is sent of it when it is processed again.

mod again;
mod carried;
mod held;
mod queues;

pub use again::again;
pub use carried::Carried;
pub use held::Held;
pub use queues::{DeadQueue, RedriveError, WayBack, of, urls};
