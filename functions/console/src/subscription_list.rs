//! `subscriptions`: a client's subscriptions by their kind, with a search.

use askama::Template;
use bellwire_web::api::Api;
use bellwire_web::{Answer, Call, Shell, Trouble, Visit, page};

use crate::endpoints::{self, Endpoint};
use crate::model::{Entities, Envelope};
use crate::{SUBSCRIPTIONS, done};

/// How many a page has.
const PAGE: usize = 50;

#[derive(Template)]
#[template(path = "subscription_list.html")]
struct ListPage {
    shell: Shell,
    kind: &'static str,
    /// Whether subscriptions to entities are shown, and not those to topics.
    of_entities: bool,
    search: String,
    rows: Vec<Endpoint>,
    all: usize,
    previous: Option<usize>,
    next: Option<usize>,
    /// Whether there are more subscriptions than were searched.
    more: bool,
}

/// The page.
pub async fn show<A: Api>(visit: &Visit<'_, A>) -> Answer {
    let query = visit.query();
    let of_entities = query.get("kind") == "entities";
    let search = query.get("search");
    let (found, more) = match (of_entities, search) {
        (false, _) => endpoints::webhooks(visit).await?,
        (true, "") => endpoints::entities(visit).await?,
        (true, entity) => {
            let (all, more) = endpoints::entities(visit).await?;
            // Of so many, those to an entity are found by its whole key.
            let named = if more {
                of_entity(visit, entity).await?
            } else {
                Vec::new()
            };
            (named.into_iter().chain(all).collect(), more)
        }
    };
    let wanted = search.to_lowercase();
    let mut rows: Vec<Endpoint> = found
        .into_iter()
        .filter(|it| {
            let mut texts = [&it.url, &it.source, &it.id].into_iter();
            texts.any(|text| text.to_lowercase().contains(&wanted))
        })
        .collect();
    let mut seen = std::collections::HashSet::new();
    rows.retain(|it| seen.insert(it.id.clone()));
    let all = rows.len();
    let last = all.div_ceil(PAGE).max(1);
    // A page that isn't there is the last one.
    let number = query.get("page").parse().unwrap_or(1).clamp(1, last);
    let rows = rows.into_iter().skip((number - 1) * PAGE).take(PAGE);
    page(&ListPage {
        shell: visit
            .shell("Subscriptions")
            .under(SUBSCRIPTIONS)
            .with(done(visit)),
        kind: if of_entities { "entities" } else { "topics" },
        of_entities,
        search: search.to_owned(),
        rows: rows.collect(),
        all,
        previous: (number > 1).then(|| number - 1),
        next: (number < last).then(|| number + 1),
        more,
    })
}

/// The subscriptions to an entity; none if the text can't be its key.
async fn of_entity<A: Api>(visit: &Visit<'_, A>, key: &str) -> Result<Vec<Endpoint>, Trouble> {
    let call = Call::get("/subscriptions").query("entity_key", key);
    match visit.read::<Envelope<Entities>>(call).await {
        Ok(found) => {
            let found = found.data.subscriptions.iter();
            Ok(found.map(|it| Endpoint::of_entity(it, visit)).collect())
        }
        Err(Trouble::Refused(_) | Trouble::NotFound) => Ok(Vec::new()),
        Err(other) => Err(other),
    }
}
