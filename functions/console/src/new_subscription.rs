//! `subscriptions/new`: subscribes an endpoint to a topic, to an entity, or to the end of queries.

use askama::Template;
use bellwire_web::answers::Refusal;
use bellwire_web::api::Api;
use bellwire_web::form::once;
use bellwire_web::{
    Answer, Call, Form, Notice, Shell, Trouble, Visit, page, redirect, sentence, status_page,
};
use lambda_http::http::StatusCode;
use serde_json::{Map, Value, json};

use crate::SUBSCRIPTIONS;
use crate::model::{Envelope, Items, OneEntity, Topic, Webhook};
use crate::secret::SecretPage;
use crate::subscription::written_headers;

/// The outcomes of queries.
const OUTCOMES: [&str; 3] = ["SUCCEEDED", "FAILED", "CANCELLED"];
/// The most topics that are offered.
const MOST: &str = "1000";

#[derive(Template)]
#[template(path = "new_subscription.html")]
struct NewPage {
    shell: Shell,
    kind: Kind,
    topics: Vec<Topic>,
    topic: String,
    url: String,
    mode: String,
    headers: String,
    entity: String,
    outcomes: Vec<(&'static str, bool)>,
    format: String,
    once: String,
}

/// What an endpoint can be subscribed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Topic,
    Entity,
    Queries,
}

impl Kind {
    fn of(text: &str) -> Self {
        match text {
            "entity" => Self::Entity,
            "queries" => Self::Queries,
            _ => Self::Topic,
        }
    }
}

/// The form.
pub async fn show<A: Api>(visit: &Visit<'_, A>) -> Answer {
    let query = visit.query();
    page(&shown(visit, &query, None).await?)
}

/// Makes the subscription that the form asks for.
pub async fn send<A: Api>(visit: &Visit<'_, A>) -> Answer {
    let form = visit.form()?;
    let made = match Kind::of(form.get("kind")) {
        Kind::Topic => of_topic(visit, &form).await,
        Kind::Entity => of_entity(visit, &form).await,
        Kind::Queries => of_queries(visit, &form).await,
    };
    let problem = match made {
        Err(Trouble::Refused(refusal)) => sentence(&refusal.message),
        Err(Trouble::NotFound) => "There is no such topic.".to_owned(),
        other => return other,
    };
    let page = shown(visit, &form, Some(Notice::error(problem))).await?;
    status_page(StatusCode::BAD_REQUEST, &page)
}

async fn of_topic<A: Api>(visit: &Visit<'_, A>, form: &Form) -> Answer {
    let headers = written_headers(form.get("headers"))
        .map_err(|message| Trouble::Refused(Refusal::new(400, &message)))?;
    let mut body = Map::new();
    body.insert("webhookUrl".to_owned(), json!(form.get("url")));
    if !form.get("mode").is_empty() {
        body.insert("subscriptionMode".to_owned(), json!(form.get("mode")));
    }
    if !headers.is_empty() {
        let headers: Map<String, Value> = headers
            .into_iter()
            .map(|(name, value)| (name, json!(value)))
            .collect();
        body.insert("webhookHeaders".to_owned(), Value::Object(headers));
    }
    let call = Call::post("/subscribers/webhook/topics/{topicId}/subscriptions")
        .at("topicId", form.get("topic"))
        .body(Value::Object(body))
        .once(form.get("once"));
    let made: Webhook = visit.read(call).await?;
    secret(visit, made.secret, format!("subscriptions/{}", made.id))
}

async fn of_entity<A: Api>(visit: &Visit<'_, A>, form: &Form) -> Answer {
    let body = json!({
        "subscription": {"entity_key": form.get("entity"), "callback": form.get("url")},
    });
    let call = Call::post("/subscriptions")
        .body(body)
        .once(form.get("once"));
    let made: Envelope<OneEntity> = visit.read(call).await?;
    let made = made.data.subscription;
    secret(visit, made.secret, format!("entities/{}", made.key))
}

async fn of_queries<A: Api>(visit: &Visit<'_, A>, form: &Form) -> Answer {
    let outcomes: Vec<&str> = form.all("outcome").collect();
    let mut body = json!({ "callbackUrl": form.get("url") });
    if let Some(body) = body.as_object_mut() {
        if !outcomes.is_empty() {
            body.insert("statuses".to_owned(), json!(outcomes));
        }
        if !form.get("format").is_empty() {
            body.insert("format".to_owned(), json!(form.get("format")));
        }
    }
    visit.send(Call::post("/v1/subscribe").body(body)).await?;
    redirect("../callbacks?done=registered")
}

/// The page with the signing secret; that of the subscription if there is none to show, since it was there before.
fn secret<A: Api>(visit: &Visit<'_, A>, secret: Option<String>, after: String) -> Answer {
    match secret {
        Some(secret) => page(&SecretPage {
            shell: visit.shell("The signing secret").under(SUBSCRIPTIONS),
            secret,
            page: after,
            replaces: false,
        }),
        None => redirect(&format!("../{after}")),
    }
}

async fn shown<A: Api>(
    visit: &Visit<'_, A>,
    form: &Form,
    notice: Option<Notice>,
) -> Result<NewPage, Trouble> {
    visit.token()?;
    let kind = Kind::of(form.get("kind"));
    let topics = match kind {
        Kind::Topic => {
            let call = Call::get("/topics")
                .query("pageSize", MOST)
                .query("sort", "name");
            visit.read::<Items<Topic>>(call).await?.items
        }
        Kind::Entity | Kind::Queries => Vec::new(),
    };
    let chosen: Vec<&str> = form.all("outcome").collect();
    let outcomes = OUTCOMES.map(|it| {
        (
            it,
            chosen.contains(&it) || (chosen.is_empty() && it == "SUCCEEDED"),
        )
    });
    Ok(NewPage {
        shell: visit
            .shell("New subscription")
            .under(SUBSCRIPTIONS)
            .with(notice),
        kind,
        topics,
        topic: form.get("topic").to_owned(),
        url: form.get("url").to_owned(),
        mode: form.get("mode").to_owned(),
        headers: form.get("headers").to_owned(),
        entity: form.get("entity").to_owned(),
        outcomes: outcomes.to_vec(),
        format: form.get("format").to_owned(),
        once: once(),
    })
}
