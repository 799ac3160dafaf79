//! `dead-letters`: what could not be processed, to be processed again or dropped.

use askama::Template;
use bellwire_dead_letters::{Carried, DeadQueue, Held, RedriveError, again};
use bellwire_queues::dead_letters::DeadLetter;
use bellwire_runtime::deadline::leaves_time;
use bellwire_web::api::Api;
use bellwire_web::{Answer, Shell, Trouble, Visit, When, page, redirect};
use futures_util::future::join_all;

use crate::stack::{Stack, broken};
use crate::{DEAD_LETTERS, done, must_be_operator};

/// How many of each queue are shown, about.
const MOST: usize = 100;
/// How many of each queue are looked through for those that are chosen.
const MOST_LOOKED_THROUGH: usize = 1000;
/// How many are processed at once.
const AT_ONCE: usize = 8;
/// What is said of those that a service has given up.
const NO_REASON: &str = "given up by SQS or Lambda; the function's log has the cause";

#[derive(Template)]
#[template(path = "dead_letters.html")]
struct DeadLettersPage {
    shell: Shell,
    rows: Vec<Row>,
    more: bool,
}

struct Row {
    /// Its id, by which it is chosen.
    id: String,
    queue: &'static str,
    whom: String,
    what: String,
    at: When,
    reason: String,
    /// Why it can't be processed again.
    refusal: Option<&'static str>,
}

/// The page.
pub async fn show<A: Api>(visit: &Visit<'_, A>, stack: &Stack) -> Answer {
    must_be_operator(visit).await?;
    let held = Held::new(stack.dead_queues(), MOST);
    let taken = held.take().await;
    let more = held.may_be_more();
    // They are hidden from others no longer than they are looked at here.
    held.release().await;
    let mut taken = taken.map_err(broken)?;
    taken.sort_by_key(|(_, letter)| letter.sent_at);
    let rows = taken.into_iter().map(|(queue, letter)| {
        let carried = Carried::of(queue.name, &letter.body);
        Row {
            id: letter.id.clone(),
            queue: queue.name,
            whom: carried
                .subscription()
                .or(carried.topic())
                .unwrap_or_default()
                .to_owned(),
            what: carried.what(),
            at: visit.when(letter.sent_at),
            reason: letter
                .reason
                .clone()
                .unwrap_or_else(|| NO_REASON.to_owned()),
            refusal: queue.way_back.refusal(),
        }
    });
    page(&DeadLettersPage {
        shell: visit
            .shell("Dead letters")
            .under(DEAD_LETTERS)
            .with(done(visit)),
        rows: rows.collect(),
        more,
    })
}

/// Has those that are chosen processed again, or drops them.
pub async fn send<A: Api>(visit: &Visit<'_, A>, stack: &Stack, action: &str) -> Answer {
    let redrive = match action {
        "redrive" => true,
        "drop" => false,
        _ => return Err(Trouble::NotFound),
    };
    let form = visit.form()?;
    must_be_operator(visit).await?;
    let chosen: Vec<&str> = form.all("id").collect();
    let held = Held::new(stack.dead_queues(), MOST_LOOKED_THROUGH);
    let carried_out = carry_out(&held, &chosen, redrive).await;
    held.release().await;
    match carried_out? {
        0 => redirect("../dead-letters?done=nothing"),
        some if some < chosen.len() => redirect("../dead-letters?done=some"),
        _ if redrive => redirect("../dead-letters?done=redriven"),
        _ => redirect("../dead-letters?done=dropped"),
    }
}

/// Returns how many it was done with: others are gone, can't be processed again, or have failed, which is logged.
async fn carry_out(held: &Held<'_>, chosen: &[&str], redrive: bool) -> Result<usize, Trouble> {
    let mut wanted = Vec::new();
    for (queue, letter) in held.take().await.map_err(broken)? {
        let can_be = !redrive || queue.way_back.refusal().is_none();
        if can_be && chosen.contains(&letter.id.as_str()) {
            wanted.push((queue, letter));
        }
    }
    let mut done = 0;
    for batch in wanted.chunks(AT_ONCE) {
        // What there is no time for stays where it is.
        if !leaves_time() {
            break;
        }
        let mut under_way = Vec::new();
        for (queue, letter) in batch {
            under_way.push(one(held, queue, letter, redrive));
        }
        for one in join_all(under_way).await {
            match one {
                Ok(()) => done += 1,
                Err(error) => tracing::error!(%error, "a dead letter stays"),
            }
        }
    }
    tracing::info!(done, redrive, "dead letters");
    Ok(done)
}

async fn one(
    held: &Held<'_>,
    queue: &DeadQueue,
    letter: &DeadLetter,
    redrive: bool,
) -> Result<(), RedriveError> {
    if redrive {
        let carried = Carried::of(queue.name, &letter.body);
        let message = again(queue, letter, &carried)?;
        // Sent before it is removed: if the removal fails, it is still here and may be sent again, and is then found to
        // have been delivered.
        queue.way_back.send(message).await?;
    }
    Ok(held.remove(queue, letter).await?)
}
