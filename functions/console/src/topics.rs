//! `topics`: the topics that a client may see, and `topics/{id}`: one with its current document.

use askama::Template;
use bellwire_web::api::Api;
use bellwire_web::laid_out::laid_out;
use bellwire_web::{Answer, Call, Shell, Trouble, Visit, page};

use crate::TOPICS;
use crate::endpoints::Endpoint;
use crate::model::{Items, Topic, Webhook};

/// The most topics, and subscriptions to one, that are shown.
const MOST: &str = "1000";

#[derive(Template)]
#[template(path = "topics.html")]
struct TopicsPage {
    shell: Shell,
    search: String,
    rows: Vec<Topic>,
}

#[derive(Template)]
#[template(path = "topic.html")]
struct TopicPage {
    shell: Shell,
    topic: Topic,
    document: Option<String>,
    cut: bool,
    rows: Vec<Endpoint>,
}

/// The list.
pub async fn list<A: Api>(visit: &Visit<'_, A>) -> Answer {
    let search = visit.query().get("search").to_owned();
    let call = Call::get("/topics")
        .query("pageSize", MOST)
        .query("sort", "name");
    let mut rows = visit.read::<Items<Topic>>(call).await?.items;
    let wanted = search.to_lowercase();
    rows.retain(|it| it.name.to_lowercase().contains(&wanted) || it.id == wanted);
    page(&TopicsPage {
        shell: visit.shell("Topics").under(TOPICS),
        search,
        rows,
    })
}

/// One topic.
pub async fn show<A: Api>(visit: &Visit<'_, A>, id: &str) -> Answer {
    let call = |resource| Call::get(resource).at("topicId", id);
    let subscriptions = call("/subscribers/webhook/topics/{topicId}/subscriptions");
    let (topic, found) = tokio::join!(
        visit.read::<Topic>(call("/topics/{topicId}")),
        visit.read::<Items<Webhook>>(subscriptions.query("pageSize", MOST)),
    );
    let (topic, found) = (topic?, found?);
    let document = if topic.has_events() {
        None
    } else {
        match visit
            .send(call("/subscribers/webhook/topics/{topicId}/document"))
            .await
        {
            Ok(response) => Some(response.body),
            Err(Trouble::NotFound) => None,
            Err(other) => return Err(other),
        }
    };
    let document = document.as_deref().map(laid_out);
    let cut = document.as_ref().is_some_and(|it| it.cut);
    page(&TopicPage {
        shell: visit.shell(&topic.name).under(TOPICS),
        document: document.map(|it| it.text),
        cut,
        rows: found
            .items
            .iter()
            .map(|it| Endpoint::of_webhook(it, visit))
            .collect(),
        topic,
    })
}
