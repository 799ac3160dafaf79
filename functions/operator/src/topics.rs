//! `topics`: all topics.

use askama::Template;
use bellwire_web::api::Api;
use bellwire_web::{Answer, Call, Shell, Visit, page};

use crate::TOPICS;
use crate::model::{Items, Topic};

/// How many a page has.
const PAGE: &str = "50";

#[derive(Template)]
#[template(path = "all_topics.html")]
struct TopicsPage {
    shell: Shell,
    rows: Vec<Topic>,
    previous: Option<u32>,
    next: Option<u32>,
}

/// The page.
pub async fn list<A: Api>(visit: &Visit<'_, A>) -> Answer {
    let number: u32 = visit.query().get("page").parse().unwrap_or(1).max(1);
    let call = Call::get("/topics")
        .query("pageSize", PAGE)
        .query("page", number.to_string())
        .query("sort", "name");
    let found: Items<Topic> = visit.read(call).await?;
    page(&TopicsPage {
        shell: visit.shell("Topics").under(TOPICS),
        rows: found.items,
        previous: (number > 1).then(|| number - 1),
        next: found.links.next.map(|_| number + 1),
    })
}
