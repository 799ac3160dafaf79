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

mod world;

use std::collections::HashMap;

use world::{Budget, CORRUPT, UNDELIVERED, Without, World};

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
    resends: 0,
    moves: 0,
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

/// What happens to an endpoint that is given another URL.
const MOVES: [Budget; 5] = [
    Budget {
        refusals: 1,
        moves: 1,
        ..CALM
    },
    Budget {
        publications: 0,
        refusals: 1,
        moves: 2,
        ..CALM
    },
    Budget {
        publications: 0,
        crashes: 1,
        lost_answers: 1,
        moves: 1,
        ..CALM
    },
    Budget {
        publications: 0,
        gone: 1,
        enables: 1,
        moves: 1,
        ..CALM
    },
    Budget {
        publications: 0,
        enables: 1,
        disables: 1,
        moves: 1,
        ..CALM
    },
];

/// What happens when the owner asks for a snapshot again.
const RESENDS: [Budget; 4] = [
    Budget {
        refusals: 2,
        days_of_failure: 1,
        resends: 1,
        ..CALM
    },
    Budget {
        publications: 0,
        crashes: 1,
        lost_writes: 1,
        lost_answers: 1,
        resends: 1,
        ..CALM
    },
    Budget {
        publications: 0,
        copies: 1,
        resends: 1,
        ..CALM
    },
    Budget {
        publications: 0,
        gone: 1,
        disables: 1,
        enables: 1,
        resends: 1,
        ..CALM
    },
];

/// Without the receiver's rule: any receiver that applies what it receives.
const ANY_RECEIVER: Without = Without {
    receivers_rule: true,
    new_schedules: false,
    doubt_after_a_move: false,
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
fn documents_reach_any_receiver_however_often_they_are_asked_for() {
    assert_holds(&RESENDS, ANY_RECEIVER);
}

#[test]
fn documents_reach_any_receiver_at_whatever_url_it_is() {
    assert_holds(&MOVES, ANY_RECEIVER);
}

#[test]
fn without_doubt_after_a_move_a_receiver_without_the_document_is_found() {
    let without = Without {
        doubt_after_a_move: true,
        ..ANY_RECEIVER
    };
    let budget = Budget {
        publications: 0,
        moves: 1,
        ..CALM
    };
    assert_is_missed(budget, without, UNDELIVERED);
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
