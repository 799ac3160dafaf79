//! A world: a subscription's state, messages, functions, the receiver, and what may happen next.

mod function;

use bellwire_domain::delivery::lease::{Ending, Then};
use bellwire_domain::delivery::session::Session;
use bellwire_domain::endpoint::{self, EndpointState};
use time::OffsetDateTime;

/// Times, as functions compare them: `PAST` is before now, `LATER` after it.
const PAST: u64 = 1;
const NOW: u64 = 2;
const LATER: u64 = 3;
/// How many retries the schedule has.
const RETRIES: usize = 1;

/// What may be wrong with a world.
pub const CORRUPT: &str = "the receiver has an older document, or a patch on another base";
pub const UNDELIVERED: &str = "what is wanted is neither delivered nor a dead letter";

/// What may go wrong or be done, and how often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Budget {
    /// Versions that are published after the first.
    pub publications: u8,
    /// Messages that SQS duplicates. (A message isn't received again while it is being processed: a
    /// queue's visibility timeout outlasts its function.)
    pub copies: u8,
    /// Functions that are killed.
    pub crashes: u8,
    /// Writes to the table that take effect, and whose answer is lost.
    pub lost_writes: u8,
    /// Attempts that are refused, or fail before they reach the receiver.
    pub refusals: u8,
    /// Attempts that take effect, and whose answer doesn't arrive.
    pub lost_answers: u8,
    /// Attempts that time out and take effect at any time afterwards.
    pub late_effects: u8,
    /// Answers of 410.
    pub gone: u8,
    /// Schedules that end after the endpoint has failed for days.
    pub days_of_failure: u8,
    /// Functions that have no time left for another attempt.
    pub out_of_time: u8,
    /// Calls by which the owner enables the endpoint.
    pub enables: u8,
    /// Calls by which the owner disables it.
    pub disables: u8,
    /// Calls by which the owner asks for another snapshot.
    pub resends: u8,
    /// Calls by which the owner gives the endpoint another URL: there are two, by turns.
    pub moves: u8,
    /// Times that the operator disables the client, and enables it again.
    pub shut_outs: u8,
    pub let_ins: u8,
}

/// What is left out, to check that the model finds what goes wrong without it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Without {
    /// The receiver's rule to drop what is not newer, for which deliveries carry their versions.
    pub receivers_rule: bool,
    /// A new schedule for what was wanted during the last one.
    pub new_schedules: bool,
    /// The doubt about what an endpoint has that was given another URL.
    pub doubt_after_a_move: bool,
    /// Random nonces. Without them, two receipts of a message in the same millisecond are one.
    pub nonces: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Message {
    pub id: u8,
    pub version: u64,
    pub failures: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Request {
    /// The number of the receiver that it is sent to.
    pub to: usize,
    pub version: u64,
    pub base: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    Begun,
    /// The lease was asked for, and the answer was lost.
    AskedOnce,
    Holding(Session),
    InFlight(Session, Request),
    Releasing(Session, Ending, bool),
    Following(Then, u64),
    ArrangingRetry,
    NotifyingOwner,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Function {
    pub message: Message,
    pub nonce: u64,
    /// The number of the receiver, as it was when the function last read the subscription.
    pub to: usize,
    pub step: Step,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    pub state: EndpointState,
    pub published: u64,
    pub queue: Vec<Message>,
    pub functions: Vec<Function>,
    /// The number of the receiver that the subscription's URL leads to.
    pub at: usize,
    /// The version that each receiver has.
    pub received: [u64; 2],
    pub corrupt: bool,
    pub late: Vec<Request>,
    /// The newest version that is a dead letter, and how often a snapshot had been asked for by
    /// then.
    pub dead: (u64, u64),
    pub left: Budget,
}

/// Takes a world that may come next, as a change of the current one.
pub type Add<'a> = dyn FnMut(&dyn Fn(&mut World)) + 'a;

impl World {
    pub fn new(budget: Budget) -> Self {
        let mut world = Self {
            state: EndpointState::default(),
            published: 1,
            queue: Vec::new(),
            functions: Vec::new(),
            at: 0,
            received: [0; 2],
            corrupt: false,
            late: Vec::new(),
            dead: (0, 0),
            left: budget,
        };
        world.send(1, 0);
        world
    }

    /// Puts a message into a queue, with an id that nothing else has.
    fn send(&mut self, version: u64, failures: usize) {
        let progress = &self.state.progress;
        let mut used: Vec<String> = Vec::new();
        used.extend(self.queue.iter().map(|it| it.id.to_string()));
        used.extend(self.functions.iter().map(|it| it.message.id.to_string()));
        used.extend(progress.lease.iter().map(|it| it.message_id.to_string()));
        used.extend(progress.retry.iter().map(|it| it.message_id.to_string()));
        let id = (0..).find(|id: &u8| !used.contains(&id.to_string()));
        self.queue.push(Message {
            id: id.unwrap(),
            version,
            failures,
        });
    }

    /// Starts a function with a message, and with a nonce of its own unless nonces are left out.
    fn start(&mut self, message: Message, without: Without) {
        let mut used: Vec<u64> = self.functions.iter().map(|it| it.nonce).collect();
        used.extend(self.state.progress.lease.iter().map(|it| it.nonce));
        let free = (1..).find(|nonce| !used.contains(nonce)).unwrap();
        self.functions.push(Function {
            nonce: if without.nonces { 0 } else { free },
            to: self.at,
            message,
            step: Step::Begun,
        });
    }

    /// Lets a request take effect. Returns whether the receiver acknowledges it.
    fn receive(&mut self, request: Request, without: Without) -> bool {
        let received = self.received[request.to];
        let mismatch = request.base.is_some_and(|base| base != received);
        if !without.receivers_rule {
            // Drop what is not newer, and refuse a patch whose base isn't there.
            if request.version <= received {
                return true;
            }
            if mismatch {
                return false;
            }
        }
        self.corrupt |= mismatch || request.version < received;
        self.received[request.to] = request.version;
        true
    }

    pub fn is_quiet(&self) -> bool {
        self.queue.is_empty() && self.functions.is_empty() && self.late.is_empty()
    }

    /// What must hold in every world.
    pub fn check(&self) -> Result<(), &'static str> {
        if self.corrupt {
            return Err(CORRUPT);
        }
        if !self.is_quiet() {
            return Ok(());
        }
        if self.state.is_silent() {
            return if self.state.owner_unnotified && !self.state.client_disabled {
                Err("nobody has notified the owner")
            } else {
                Ok(())
            };
        }
        let progress = &self.state.progress;
        let delivered = self.received[self.at] == self.published
            && progress.acknowledged == self.published
            && !progress.in_doubt;
        let told = self.dead == (self.published, progress.snapshots_asked);
        if delivered || told {
            Ok(())
        } else {
            Err(UNDELIVERED)
        }
    }

    /// Every world that may come next.
    pub fn next(&self, without: Without) -> Vec<World> {
        let mut next = Vec::new();
        let mut add = |change: &dyn Fn(&mut World)| {
            let mut world = self.clone();
            change(&mut world);
            world.queue.sort_by_key(|it| it.id);
            next.push(world);
        };
        if self.left.publications > 0 {
            add(&|world| {
                world.left.publications -= 1;
                world.published += 1;
                world.send(world.published, 0);
            });
        }
        if self.left.enables > 0 {
            add(&|world| {
                world.left.enables -= 1;
                world.state = endpoint::enable(&world.state);
                world.send(world.published, 0);
            });
        }
        if self.left.resends > 0
            && let Some(asked) = endpoint::ask_again(&self.state)
        {
            add(&|world| {
                world.left.resends -= 1;
                world.state = asked.clone();
                world.send(world.published, 0);
            });
        }
        if self.left.moves > 0 {
            add(&|world| {
                world.left.moves -= 1;
                world.at = 1 - world.at;
                if !without.doubt_after_a_move {
                    world.state = endpoint::moved(&world.state);
                }
                world.send(world.published, 0);
            });
        }
        if self.left.disables > 0
            && let Some(disabled) = endpoint::disable(&self.state, OffsetDateTime::UNIX_EPOCH)
        {
            add(&|world| {
                world.left.disables -= 1;
                world.state = disabled.clone();
            });
        }
        if self.left.shut_outs > 0
            && let Some(shut_out) = endpoint::disable_client(&self.state)
        {
            add(&|world| {
                world.left.shut_outs -= 1;
                world.state = shut_out.clone();
            });
        }
        if self.left.let_ins > 0
            && let Some(let_in) = endpoint::enable_client(&self.state)
        {
            add(&|world| {
                world.left.let_ins -= 1;
                world.state = let_in.clone();
                world.send(world.published, 0);
            });
        }
        for n in 0..self.queue.len() {
            add(&|world| {
                let message = world.queue.remove(n);
                world.start(message, without);
            });
        }
        for n in 0..self.late.len() {
            add(&|world| {
                let request = world.late.remove(n);
                world.receive(request, without);
            });
        }
        let progress = &self.state.progress;
        if let Some(lease) = &progress.lease {
            // The lease outlasts its holder.
            let held = self.functions.iter().any(|it| it.nonce == lease.nonce);
            if lease.until == LATER && !held {
                add(&|world| world.state.progress.lease.as_mut().unwrap().until = PAST);
            }
        }
        if progress.retry.as_ref().is_some_and(|it| it.at == LATER) {
            add(&|world| world.state.progress.retry.as_mut().unwrap().at = PAST);
        }
        for n in 0..self.functions.len() {
            let function = &self.functions[n];
            if self.left.copies > 0 {
                add(&|world| {
                    world.left.copies -= 1;
                    world.start(function.message.clone(), without);
                });
            }
            if self.left.crashes > 0 {
                let killed = |world: &mut World, effect: bool| {
                    world.left.crashes -= 1;
                    let function = world.functions.remove(n);
                    if let (Step::InFlight(_, request), true) = (function.step, effect) {
                        world.receive(request, without);
                    }
                    world.queue.push(function.message);
                };
                add(&|world| killed(world, false));
                if matches!(self.functions[n].step, Step::InFlight(..)) {
                    add(&|world| killed(world, true));
                }
            }
            self.work(n, without, &mut add);
        }
        next
    }
}
