//! `dead-letters`: what could not be processed, to be processed again or dropped.

use askama::Template;
use bellwire_dead_letters::{Carried, Held, again};
use bellwire_web::api::Api;
use bellwire_web::{Answer, Shell, Trouble, Visit, When, page, redirect};

use crate::stack::{Stack, broken};
use crate::{DEAD_LETTERS, done, must_be_operator};

/// How many of each queue are shown, about.
const MOST: usize = 100;
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
    /// The queue and the id, by which it is chosen.
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
    let held = Held::new(stack.dead_queues(), MOST);
    let carried_out = carry_out(&held, &chosen, redrive).await;
    held.release().await;
    match carried_out? {
        0 => redirect("../dead-letters?done=nothing"),
        _ if redrive => redirect("../dead-letters?done=redriven"),
        _ => redirect("../dead-letters?done=dropped"),
    }
}

/// Returns how many there were.
async fn carry_out(held: &Held<'_>, chosen: &[&str], redrive: bool) -> Result<usize, Trouble> {
    let mut count = 0;
    for (queue, letter) in held.take().await.map_err(broken)? {
        if !chosen.contains(&letter.id.as_str()) || (redrive && queue.way_back.refusal().is_some())
        {
            continue;
        }
        if redrive {
            let carried = Carried::of(queue.name, &letter.body);
            let message = again(queue, &letter, &carried).map_err(broken)?;
            // Sent before it is removed: if the removal fails, it is still here and may be sent again, and is then found to
            // have been delivered.
            queue.way_back.send(message).await.map_err(broken)?;
        }
        held.remove(queue, &letter).await.map_err(broken)?;
        count += 1;
    }
    tracing::info!(count, redrive, "dead letters");
    Ok(count)
}
