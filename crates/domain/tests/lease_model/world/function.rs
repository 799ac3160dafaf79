//! What a running function does next, and what may happen to it.

use bellwire_domain::delivery::lease::{self, Acquire, Acquired, Ending, Release, Then};
use bellwire_domain::delivery::session::{NextVersion, Session};
use bellwire_domain::endpoint::EndpointState;
use bellwire_domain::ids::MessageId;
use time::{Duration, OffsetDateTime};

use super::{Add, Function, LATER, NOW, RETRIES, Request, Step, Without, World};

impl World {
    /// What function `n` may do next.
    pub fn work(&self, n: usize, without: Without, add: &mut Add<'_>) {
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
                let to = self.functions[n].to;
                let request = match next {
                    NextVersion::InARow(version) => Request {
                        to,
                        version,
                        base: Some(version - 1),
                    },
                    NextVersion::Newest(version) => Request {
                        to,
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
        self.functions[n].to = self.at;
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
        let disable_after = if hopeless {
            Duration::ZERO
        } else {
            Duration::MAX
        };
        match lease::release(
            &self.state,
            function.nonce,
            session,
            ending,
            now,
            disable_after,
        ) {
            Release::GoOn(session) => {
                self.functions[n].to = self.at;
                self.functions[n].step = Step::Holding(session);
            }
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
