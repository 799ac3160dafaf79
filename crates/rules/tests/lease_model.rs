//! Explores every course of events that the lease of one subscription can take, within bounds, with
//! the functions that `deliver` uses.
//!
//! A world consists of the subscription's state in its table, the messages in the queues, the
//! running functions, the receiver, and requests that have timed out and may still take effect.
//! Every world that can be reached is visited once, breadth first. In each of them, the receiver
//! must not have an older document than before, and must not have applied a patch to another base.
//! Where nothing is left to happen, what is wanted must have been delivered or be a dead letter, or
//! the endpoint must be disabled and its owner notified (unless its client is disabled). Such an
//! end must be reachable from every world.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::HashMap;

use bellwire_rules::endpoint::{self, EndpointState};
use bellwire_rules::ids::MessageId;
use bellwire_rules::lease::{self, Acquire, Acquired, Ending, NextVersion, Release, Session, Then};
use time::{Duration, OffsetDateTime};

/// Times, as functions compare them: `PAST` is before now, `LATER` after it.
const PAST: u64 = 1;
const NOW: u64 = 2;
const LATER: u64 = 3;
/// How many retries the schedule has.
const RETRIES: usize = 1;

/// What may go wrong or be done, and how often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Budget {
    /// Versions that are published after the first.
    publications: u8,
    /// Messages that SQS duplicates. (A message isn't received again while it is being processed: a
    /// queue's visibility timeout outlasts its function.)
    copies: u8,
    /// Functions that are killed.
    crashes: u8,
    /// Writes to the table that take effect, and whose answer is lost.
    lost_writes: u8,
    /// Attempts that are refused, or fail before they reach the receiver.
    refusals: u8,
    /// Attempts that take effect, and whose answer doesn't arrive.
    lost_answers: u8,
    /// Attempts that time out and take effect at any time afterwards.
    late_effects: u8,
    /// Answers of 410.
    gone: u8,
    /// Schedules that end after the endpoint has failed for days.
    days_of_failure: u8,
    /// Functions that have no time left for another attempt.
    out_of_time: u8,
    /// Calls by which the owner enables the endpoint.
    enables: u8,
    /// Calls by which the owner disables it.
    disables: u8,
    /// Times that the operator disables the client, and enables it again.
    shut_outs: u8,
    let_ins: u8,
}

/// What is left out, to check that the model finds what goes wrong without it.
#[derive(Clone, Copy, Debug, Default)]
struct Without {
    /// The receiver's rule to drop what is not newer, for which deliveries carry their versions.
    receivers_rule: bool,
    /// A new schedule for what was wanted during the last one.
    new_schedules: bool,
    /// Random nonces. Without them, two receipts of a message in the same millisecond are one.
    nonces: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Message {
    id: u8,
    version: u64,
    failures: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Request {
    version: u64,
    base: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Step {
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
struct Function {
    message: Message,
    nonce: u64,
    step: Step,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    state: EndpointState,
    published: u64,
    queue: Vec<Message>,
    functions: Vec<Function>,
    received: u64,
    corrupt: bool,
    late: Vec<Request>,
    /// The newest version that is a dead letter, and how often a snapshot had been asked for by
    /// then.
    dead: (u64, u64),
    left: Budget,
}

/// Takes a world that may come next, as a change of the current one.
type Add<'a> = dyn FnMut(&dyn Fn(&mut World)) + 'a;

impl World {
    fn new(budget: Budget) -> Self {
        let mut world = Self {
            state: EndpointState::default(),
            published: 1,
            queue: Vec::new(),
            functions: Vec::new(),
            received: 0,
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
            message,
            step: Step::Begun,
        });
    }

    /// Lets a request take effect. Returns whether the receiver acknowledges it.
    fn receive(&mut self, request: Request, without: Without) -> bool {
        let mismatch = request.base.is_some_and(|base| base != self.received);
        if !without.receivers_rule {
            // Drop what is not newer, and refuse a patch whose base isn't there.
            if request.version <= self.received {
                return true;
            }
            if mismatch {
                return false;
            }
        }
        self.corrupt |= mismatch || request.version < self.received;
        self.received = request.version;
        true
    }

    fn is_quiet(&self) -> bool {
        self.queue.is_empty() && self.functions.is_empty() && self.late.is_empty()
    }

    /// What must hold in every world.
    fn check(&self) -> Result<(), &'static str> {
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
        let delivered = self.received == self.published
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
    fn next(&self, without: Without) -> Vec<World> {
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

    /// What function `n` may do next.
    fn work(&self, n: usize, without: Without, add: &mut Add<'_>) {
        match self.functions[n].step.clone() {
            Step::Begun => {
                add(&|world| world.acquire(n));
                if self.left.lost_writes > 0 {
                    add(&|world| {
                        world.left.lost_writes -= 1;
                        let decision = world.functions[n].ask(&world.state);
                        if let Acquired::Granted(next) | Acquired::Pending(next) = decision {
                            world.state = next;
                        }
                        world.functions[n].step = Step::AskedOnce;
                    });
                }
            }
            Step::AskedOnce => add(&|world| world.acquire(n)),
            Step::Holding(session) => {
                let Some(next) = session.next() else {
                    let step = Step::Releasing(session, Ending::UpToDate, false);
                    return add(&|world| world.functions[n].step = step.clone());
                };
                let request = match next {
                    NextVersion::InARow(version) => Request {
                        version,
                        base: Some(version - 1),
                    },
                    NextVersion::Newest(version) => Request {
                        version,
                        base: None,
                    },
                };
                add(&|world| world.functions[n].step = Step::InFlight(session, request));
                if self.left.out_of_time > 0 {
                    let step = Step::Releasing(session, Ending::OutOfTime, false);
                    add(&|world| {
                        world.left.out_of_time -= 1;
                        world.functions[n].step = step.clone();
                    });
                }
            }
            Step::InFlight(session, request) => {
                let retry_at = (session.failures < RETRIES).then_some(LATER);
                let failed = Step::Releasing(session.failed(), Ending::Failed { retry_at }, false);
                add(&|world| {
                    world.functions[n].step = if world.receive(request, without) {
                        Step::Holding(session.acknowledged(request.version))
                    } else {
                        failed.clone()
                    };
                });
                if self.left.refusals > 0 {
                    add(&|world| {
                        world.left.refusals -= 1;
                        world.functions[n].step = failed.clone();
                    });
                }
                if self.left.lost_answers > 0 {
                    add(&|world| {
                        world.left.lost_answers -= 1;
                        world.receive(request, without);
                        world.functions[n].step = failed.clone();
                    });
                }
                if self.left.late_effects > 0 {
                    add(&|world| {
                        world.left.late_effects -= 1;
                        world.late.push(request);
                        world.functions[n].step = failed.clone();
                    });
                }
                if self.left.gone > 0 {
                    let gone = Step::Releasing(session.failed(), Ending::Gone, false);
                    add(&|world| {
                        world.left.gone -= 1;
                        world.functions[n].step = gone.clone();
                    });
                }
            }
            Step::Releasing(session, ending, hopeless) => {
                add(&|world| world.release(n, without, true));
                let exhausted = ending == Ending::Failed { retry_at: None };
                if exhausted && self.left.days_of_failure > 0 && !hopeless {
                    add(&|world| {
                        world.left.days_of_failure -= 1;
                        world.functions[n].step = Step::Releasing(session, ending, true);
                    });
                }
                if self.left.lost_writes > 0 {
                    // The store recognises its own write, unless others have written since.
                    add(&|world| {
                        world.left.lost_writes -= 1;
                        world.release(n, without, false);
                    });
                }
            }
            Step::Following(then, snapshots) => add(&|world| {
                match then {
                    Then::Done => {}
                    Then::NotifyOwner => world.state.owner_unnotified = false,
                    Then::SendOn { version } | Then::NewSchedule { version } => {
                        world.send(version, 0);
                    }
                    Then::Retry { version, failures } => world.send(version, failures),
                    Then::DeadLetter { version, .. } => {
                        world.dead = world.dead.max((version, snapshots));
                    }
                }
                world.functions.remove(n);
            }),
            Step::ArrangingRetry => add(&|world| {
                let progress = &world.state.progress;
                world.send(progress.wanted, progress.failures);
                world.functions.remove(n);
            }),
            Step::NotifyingOwner => add(&|world| {
                world.state.owner_unnotified = false;
                world.functions.remove(n);
            }),
        }
    }

    fn acquire(&mut self, n: usize) {
        let step = match self.functions[n].ask(&self.state) {
            Acquired::Granted(next) => {
                self.state = next;
                Some(Step::Holding(Session::begin(&self.state.progress)))
            }
            Acquired::Yours => Some(Step::Holding(Session::begin(&self.state.progress))),
            Acquired::Pending(next) => {
                self.state = next;
                None
            }
            Acquired::Nothing => None,
            Acquired::Busy => {
                let function = self.functions.remove(n);
                return self.queue.push(function.message);
            }
            Acquired::ArrangeRetry(_) => Some(Step::ArrangingRetry),
            Acquired::Disabled if self.state.owner_unnotified => Some(Step::NotifyingOwner),
            Acquired::Disabled => None,
        };
        match step {
            Some(step) => self.functions[n].step = step,
            None => drop(self.functions.remove(n)),
        }
    }

    /// Releases the lease. Where the function doesn't get the answer, its message is received
    /// again.
    fn release(&mut self, n: usize, without: Without, heard: bool) {
        let function = &self.functions[n];
        let Step::Releasing(session, ending, hopeless) = function.step else {
            panic!("{function:?}");
        };
        let now = OffsetDateTime::UNIX_EPOCH;
        let patience = if hopeless {
            Duration::ZERO
        } else {
            Duration::MAX
        };
        match lease::release(&self.state, function.nonce, session, ending, now, patience) {
            Release::GoOn(session) => self.functions[n].step = Step::Holding(session),
            Release::Write(next, then) => {
                self.state = next;
                let then = match then {
                    Then::NewSchedule { .. } if without.new_schedules => Then::DeadLetter {
                        version: session.wanted,
                        failures: 0,
                    },
                    then => then,
                };
                if heard {
                    let snapshots = self.state.progress.snapshots_asked;
                    self.functions[n].step = Step::Following(then, snapshots);
                } else {
                    self.lose(n, ending);
                }
            }
            Release::Lost => self.lose(n, ending),
        }
    }

    fn lose(&mut self, n: usize, ending: Ending) {
        let function = self.functions.remove(n);
        if ending != Ending::UpToDate {
            self.queue.push(function.message);
        }
    }
}

impl Function {
    /// Asks for the lease with the function's message.
    fn ask(&self, state: &EndpointState) -> Acquired {
        let request = Acquire {
            version: self.message.version,
            message_id: &MessageId::new(self.message.id.to_string()),
            nonce: self.nonce,
            failures: self.message.failures,
            now: NOW,
            until: LATER,
        };
        lease::acquire(state, request)
    }
}

/// Visits every world. Returns how many there are; or what is wrong with one, and the worlds that
/// led to it.
fn explore(budget: Budget, without: Without) -> Result<usize, String> {
    let mut numbers: HashMap<World, usize> = HashMap::new();
    let mut worlds = vec![World::new(budget)];
    let mut before: Vec<Vec<usize>> = vec![Vec::new()];
    numbers.insert(worlds[0].clone(), 0);
    let mut n = 0;
    while n < worlds.len() {
        let world = worlds[n].clone();
        if let Err(wrong) = world.check() {
            return Err(story(wrong, n, &worlds, &before));
        }
        for next in world.next(without) {
            let known = numbers.get(&next).copied();
            let number = known.unwrap_or_else(|| {
                numbers.insert(next.clone(), worlds.len());
                worlds.push(next);
                before.push(Vec::new());
                worlds.len() - 1
            });
            before[number].push(n);
        }
        n += 1;
    }
    // An end must be reachable from every world.
    let mut ends: Vec<bool> = worlds.iter().map(World::is_quiet).collect();
    let mut open: Vec<usize> = (0..worlds.len()).filter(|n| ends[*n]).collect();
    while let Some(n) = open.pop() {
        for before in &before[n] {
            if !ends[*before] {
                ends[*before] = true;
                open.push(*before);
            }
        }
    }
    match ends.iter().position(|ends| !ends) {
        Some(n) => Err(story("there is no end", n, &worlds, &before)),
        None => Ok(worlds.len()),
    }
}

fn story(wrong: &str, mut n: usize, worlds: &[World], before: &[Vec<usize>]) -> String {
    let mut steps = vec![format!("{:?}", worlds[n])];
    while let Some(first) = before[n].first() {
        n = *first;
        steps.push(format!("{:?}", worlds[n]));
    }
    steps.reverse();
    format!("{wrong}:\n{}", steps.join("\n\n"))
}

const CORRUPT: &str = "the receiver has an older document, or a patch on another base";
const UNDELIVERED: &str = "what is wanted is neither delivered nor a dead letter";

/// A budget for nothing but a second version.
const CALM: Budget = Budget {
    publications: 1,
    copies: 0,
    crashes: 0,
    lost_writes: 0,
    refusals: 0,
    lost_answers: 0,
    late_effects: 0,
    gone: 0,
    days_of_failure: 0,
    out_of_time: 0,
    enables: 0,
    disables: 0,
    shut_outs: 0,
    let_ins: 0,
};

/// Requests may take effect late.
const LATE: Budget = Budget {
    publications: 2,
    refusals: 1,
    late_effects: 1,
    ..CALM
};

/// Faults of functions, messages, the table and answers.
const FAULTS: [Budget; 5] = [
    Budget {
        publications: 2,
        refusals: 2,
        ..CALM
    },
    Budget {
        crashes: 1,
        refusals: 2,
        lost_answers: 1,
        ..CALM
    },
    Budget {
        copies: 1,
        crashes: 1,
        refusals: 1,
        ..CALM
    },
    Budget {
        copies: 1,
        lost_writes: 1,
        refusals: 1,
        ..CALM
    },
    Budget {
        crashes: 1,
        refusals: 1,
        out_of_time: 1,
        ..CALM
    },
];

/// What owners and operators do, and endpoints that are gone or keep failing.
const OWNERS: [Budget; 4] = [
    Budget {
        refusals: 2,
        enables: 1,
        ..CALM
    },
    Budget {
        publications: 0,
        crashes: 1,
        gone: 1,
        enables: 1,
        disables: 1,
        ..CALM
    },
    Budget {
        publications: 0,
        crashes: 1,
        refusals: 2,
        days_of_failure: 1,
        enables: 1,
        ..CALM
    },
    Budget {
        crashes: 1,
        gone: 1,
        shut_outs: 1,
        let_ins: 1,
        ..CALM
    },
];

/// Without the receiver's rule: any receiver that applies what it receives.
const ANY_RECEIVER: Without = Without {
    receivers_rule: true,
    new_schedules: false,
    nonces: false,
};

fn assert_holds(budgets: &[Budget], without: Without) {
    for budget in budgets {
        match explore(*budget, without) {
            Ok(worlds) => println!("{worlds} worlds"),
            Err(story) => panic!("{story}"),
        }
    }
}

fn assert_is_missed(budget: Budget, without: Without, wrong: &str) {
    match explore(budget, without) {
        Ok(worlds) => panic!("nothing is wrong with {worlds} worlds"),
        Err(story) => assert!(story.starts_with(wrong), "{story}"),
    }
}

#[test]
fn documents_reach_a_receiver_that_follows_the_rule_though_requests_take_effect_late() {
    assert_holds(&[LATE], Without::default());
}

#[test]
fn documents_reach_any_receiver_whatever_happens_to_functions_and_messages() {
    assert_holds(&FAULTS, ANY_RECEIVER);
}

#[test]
fn documents_reach_any_receiver_whatever_owners_do() {
    assert_holds(&OWNERS, ANY_RECEIVER);
}

#[test]
fn without_the_receivers_rule_a_late_effect_is_found() {
    assert_is_missed(LATE, ANY_RECEIVER, CORRUPT);
}

#[test]
fn without_new_schedules_a_version_that_nobody_tries_is_found() {
    let without = Without {
        new_schedules: true,
        ..ANY_RECEIVER
    };
    assert_is_missed(FAULTS[0], without, UNDELIVERED);
    assert_is_missed(OWNERS[0], without, UNDELIVERED);
}

#[test]
fn with_milliseconds_in_place_of_nonces_two_holders_are_found() {
    let without = Without {
        nonces: true,
        ..ANY_RECEIVER
    };
    let twice = Budget {
        copies: 1,
        refusals: 1,
        ..CALM
    };
    assert_is_missed(twice, without, CORRUPT);
}
