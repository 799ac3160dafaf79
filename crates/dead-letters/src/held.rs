//! The dead letters that somebody reads: hidden from everybody else meanwhile, and visible again
//! at once when they have ended, however that is; within [`HIDDEN_SECONDS`] if they are killed.

use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bellwire_queues::QueueError;
use bellwire_queues::dead_letters::{DeadLetter, HIDDEN_SECONDS};
use futures_util::future::try_join_all;

use crate::DeadQueue;

/// How often the dead letters are hidden anew: two calls may fail before one is visible too early.
const HIDDEN_EVERY: Duration = Duration::from_secs(HIDDEN_SECONDS as u64 / 3);

/// The dead letters that a command holds, by queue.
#[derive(Debug)]
pub struct Held<'a> {
    most: usize,
    queues: Vec<(&'a DeadQueue, Mutex<Vec<DeadLetter>>)>,
}

impl<'a> Held<'a> {
    /// Holds no dead letters of these queues yet; of each, `most` are read.
    pub fn new(queues: &'a [DeadQueue], most: usize) -> Self {
        let queues = queues.iter().map(|queue| (queue, Mutex::default()));
        Self {
            most,
            queues: queues.collect(),
        }
    }

    /// Takes dead letters of each queue, and returns them with their queues.
    pub async fn take(&self) -> Result<Vec<(&'a DeadQueue, DeadLetter)>, QueueError> {
        let taken = self.queues.iter();
        try_join_all(taken.map(|(queue, held)| take(queue, held, self.most))).await?;
        let all = self.queues.iter().flat_map(|(queue, held)| {
            let letters = locked(held).clone();
            letters.into_iter().map(|letter| (*queue, letter))
        });
        Ok(all.collect())
    }

    /// Whether a queue may have more dead letters than were taken.
    pub fn may_be_more(&self) -> bool {
        self.queues
            .iter()
            .any(|(_, held)| locked(held).len() >= self.most)
    }

    /// Removes a dead letter for good.
    pub async fn remove(&self, queue: &DeadQueue, letter: &DeadLetter) -> Result<(), QueueError> {
        queue.dead.remove(letter).await?;
        for (_, held) in self.queues.iter().filter(|(it, _)| it.name == queue.name) {
            locked(held).retain(|it| it.id != letter.id);
        }
        Ok(())
    }

    /// Keeps the held dead letters hidden, for as long as it is polled.
    pub async fn keep_hidden(&self) -> Infallible {
        loop {
            tokio::time::sleep(HIDDEN_EVERY).await;
            for (queue, held) in &self.queues {
                let letters = locked(held).clone();
                // The next round repeats what fails.
                let _ = queue.dead.hide(&letters).await;
            }
        }
    }

    /// Makes the dead letters that are still held visible to others.
    pub async fn release(self) {
        for (queue, held) in self.queues {
            // A dead letter that can't be released becomes visible by itself.
            let _ = queue
                .dead
                .release(&held.into_inner().unwrap_or_else(PoisonError::into_inner))
                .await;
        }
    }
}

fn locked(held: &Mutex<Vec<DeadLetter>>) -> MutexGuard<'_, Vec<DeadLetter>> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Receives dead letters until there are no more, or `most`. Each is held at once, so that a
/// later failure doesn't leave it hidden.
async fn take(
    queue: &DeadQueue,
    held: &Mutex<Vec<DeadLetter>>,
    most: usize,
) -> Result<(), QueueError> {
    while locked(held).len() < most {
        let received = queue.dead.receive().await?;
        let mut held = locked(held);
        let before = held.len();
        for letter in received {
            // SQS may hand out a message that is hidden: from then on, its last receipt is valid.
            match held.iter_mut().find(|it| it.id == letter.id) {
                Some(known) => *known = letter,
                None => held.push(letter),
            }
        }
        if held.len() == before {
            break;
        }
    }
    Ok(())
}
