//! `subscriptions/{id}`: a subscription to a topic, and what can be done with it.

use askama::Template;
use bellwire_domain::timestamp;
use bellwire_web::answers::Refusal;
use bellwire_web::api::Api;
use bellwire_web::form::once;
use bellwire_web::period::Period;
use bellwire_web::{
    Answer, Call, Form, Notice, Shell, Trouble, Visit, page, redirect, sentence, status_page,
};
use lambda_http::http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use time::Duration;

use crate::endpoints::Endpoint;
use crate::local_time::LocalTime;
use crate::model::{Stats, Topic, Webhook};
use crate::secret::SecretPage;
use crate::summary::{self, Summary};
use crate::{SUBSCRIPTIONS, done};

/// A subscription.
const ONE: &str = "/subscribers/webhook/subscriptions/{subscriptionId}";
/// What a test sends, unless something else is written.
const TEST: &str = "{\n  \"test\": true\n}";

#[derive(Template)]
#[template(path = "subscription.html")]
struct SubscriptionPage {
    shell: Shell,
    endpoint: Endpoint,
    topic: Topic,
    mode: String,
    modes: Vec<&'static str>,
    headers: Vec<String>,
    reason: String,
    summary: Summary,
    test: String,
    url: String,
    new_headers: String,
    replay_from: LocalTime,
    replay_to: LocalTime,
    once: String,
}

/// The response to a rotation.
#[derive(Deserialize)]
struct Rotated {
    secret: String,
}

/// The page.
pub async fn show<A: Api>(visit: &Visit<'_, A>, id: &str) -> Answer {
    let page = shown(visit, id, &Form::default(), done(visit)).await?;
    bellwire_web::page(&page)
}

/// What a form of the page asks for.
pub async fn send<A: Api>(visit: &Visit<'_, A>, id: &str, action: &str) -> Answer {
    let form = visit.form()?;
    let answered = match action {
        "rotate" => rotate(visit, id, &form).await,
        _ => carry_out(visit, id, &form, action).await,
    };
    match answered {
        Err(Trouble::Refused(refusal)) => again(visit, id, &form, &refusal.message).await,
        other => other,
    }
}

async fn carry_out<A: Api>(visit: &Visit<'_, A>, id: &str, form: &Form, action: &str) -> Answer {
    let (call, what) = asked(id, form, action)?;
    visit.send(call).await?;
    match what {
        "deleted" => redirect("../../subscriptions?done=deleted"),
        _ => redirect(&format!("../{id}?done={what}")),
    }
}

/// The call that a form asks for, and what is said when it is done.
fn asked(id: &str, form: &Form, action: &str) -> Result<(Call, &'static str), Trouble> {
    let refused = |problem: &str| Trouble::Refused(Refusal::new(400, problem));
    let on = |method: Method, resource| Call::new(method, resource).at("subscriptionId", id);
    let post = |resource| on(Method::POST, resource).once(form.get("once"));
    Ok(match action {
        "edit" => {
            let patch = patch(form).map_err(|problem| refused(&problem))?;
            (on(Method::PATCH, ONE).body(patch), "saved")
        }
        "test" => {
            let body: Value = serde_json::from_str(form.get("test"))
                .map_err(|_| refused("The test is not JSON."))?;
            let call = post("/subscribers/webhook/subscriptions/{subscriptionId}/test");
            (call.body(body), "tested")
        }
        "enable" => (
            post("/subscribers/webhook/subscriptions/{subscriptionId}/enable"),
            "enabled",
        ),
        "disable" => (
            post("/subscribers/webhook/subscriptions/{subscriptionId}/disable"),
            "disabled",
        ),
        "replay" => {
            let at = |name| LocalTime::parse(form.get(name), form.get("zone")).map(timestamp::iso);
            let from =
                at("start").ok_or_else(|| refused("A replay needs a time from which on."))?;
            let call = post("/subscribers/webhook/subscriptions/{subscriptionId}/replay");
            let stretch = match at("end") {
                Some(to) => json!({ "start": from, "end": to }),
                None => json!({ "start": from }),
            };
            (call.body(stretch), "replayed")
        }
        "delete" => (on(Method::DELETE, ONE), "deleted"),
        _ => return Err(Trouble::NotFound),
    })
}

/// Replaces the signing secret, and shows the new one.
async fn rotate<A: Api>(visit: &Visit<'_, A>, id: &str, form: &Form) -> Answer {
    let call = Call::post("/subscribers/webhook/subscriptions/{subscriptionId}/secret/rotate");
    let call = call.at("subscriptionId", id).once(form.get("once"));
    let rotated: Rotated = visit.read(call).await?;
    page(&SecretPage {
        shell: visit.shell("The new signing secret").under(SUBSCRIPTIONS),
        secret: rotated.secret,
        page: format!("subscriptions/{id}"),
        replaces: true,
    })
}

/// The page once more, with what was written into a form, and what is wrong with it.
async fn again<A: Api>(visit: &Visit<'_, A>, id: &str, form: &Form, problem: &str) -> Answer {
    let notice = Some(Notice::error(sentence(problem)));
    let page = shown(visit, id, form, notice).await?;
    status_page(StatusCode::BAD_REQUEST, &page)
}

async fn shown<A: Api>(
    visit: &Visit<'_, A>,
    id: &str,
    form: &Form,
    notice: Option<Notice>,
) -> Result<SubscriptionPage, Trouble> {
    let period = Period::of(visit.query().get("period"));
    let counts = summary::asked(
        Call::get("/subscribers/webhook/subscriptions/{subscriptionId}/stats")
            .at("subscriptionId", id),
        period,
        visit.now,
    );
    let (webhook, stats) = tokio::join!(
        visit.read::<Webhook>(Call::get(ONE).at("subscriptionId", id)),
        visit.read::<Stats>(counts),
    );
    let (webhook, stats) = (webhook?, stats?);
    let topic = topic(visit, &webhook.topic_id).await?;
    let endpoint = Endpoint {
        source: topic.name.clone(),
        ..Endpoint::of_webhook(&webhook, visit)
    };
    let said = |name: &str, otherwise: &str| match form.get(name) {
        "" => otherwise.to_owned(),
        text => text.to_owned(),
    };
    let zone = form.get("zone");
    Ok(SubscriptionPage {
        shell: visit
            .shell(&webhook.webhook_url)
            .under(SUBSCRIPTIONS)
            .with(notice),
        mode: said("mode", &webhook.subscription_mode),
        modes: modes(&topic),
        headers: webhook.webhook_headers.into_keys().collect(),
        reason: webhook.disabled_reason.unwrap_or_default(),
        summary: Summary::new(&stats, period, visit.now),
        test: said("test", TEST),
        url: said("url", &webhook.webhook_url),
        new_headers: form.get("new_headers").to_owned(),
        replay_from: LocalTime::written(form.get("start"), zone, visit.now - Duration::HOUR),
        replay_to: LocalTime {
            // Up to now, unless something else is said: the control has whole minutes.
            text: form.get("end").to_owned(),
            zone: zone.to_owned(),
        },
        once: once(),
        topic,
        endpoint,
    })
}

/// The topic; one that isn't shown any more is called by its id.
async fn topic<A: Api>(visit: &Visit<'_, A>, id: &str) -> Result<Topic, Trouble> {
    let found = visit
        .read(Call::get("/topics/{topicId}").at("topicId", id))
        .await;
    match found {
        Err(Trouble::NotFound) => Ok(Topic {
            id: id.to_owned(),
            name: id.to_owned(),
            publisher: bellwire_web::model::Publisher {
                payload: bellwire_web::model::Payload {
                    kind: String::new(),
                },
            },
        }),
        other => other,
    }
}

/// The forms in which publications of a topic may be delivered.
pub fn modes(topic: &Topic) -> Vec<&'static str> {
    match topic.publisher.payload.kind.as_str() {
        "snapshot" => vec!["snapshot-patch", "snapshot-only"],
        "event" => vec!["event"],
        _ => Vec::new(),
    }
}

/// The change that a form asks for, as a merge patch; what is wrong with the form if it can't be one.
fn patch(form: &Form) -> Result<Value, String> {
    let mut headers: Map<String, Value> = form
        .all("remove_header")
        .map(|name| (name.to_owned(), Value::Null))
        .collect();
    for (name, value) in written_headers(form.get("new_headers"))? {
        headers.insert(name, json!(value));
    }
    let mut patch = Map::new();
    patch.insert("webhookUrl".to_owned(), json!(form.get("url")));
    if !form.get("mode").is_empty() {
        patch.insert("subscriptionMode".to_owned(), json!(form.get("mode")));
    }
    if !headers.is_empty() {
        patch.insert("webhookHeaders".to_owned(), Value::Object(headers));
    }
    Ok(Value::Object(patch))
}

/// Headers as they are written in a form, one a line; which line is none if one isn't.
pub fn written_headers(text: &str) -> Result<Vec<(String, String)>, String> {
    let lines = text.lines().map(str::trim).enumerate();
    lines
        .filter(|(_, line)| !line.is_empty())
        .map(|(number, line)| match line.split_once(':') {
            Some((name, value)) => Ok((name.trim().to_owned(), value.trim().to_owned())),
            None => Err(format!(
                "Line {} of the headers is not a name, a colon and a value.",
                number + 1
            )),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_has_what_the_form_changes() {
        let form = Form::parse(
            b"url=https%3A%2F%2Fa.example&mode=event&remove_header=X-Old&new_headers=X-A%3A+b%3Ac%0A%0A",
        );
        let wanted = json!({
            "webhookUrl": "https://a.example", "subscriptionMode": "event",
            "webhookHeaders": {"X-Old": null, "X-A": "b:c"},
        });
        assert_eq!(patch(&form).unwrap(), wanted);
        let bare = Form::parse(b"url=x");
        assert_eq!(patch(&bare).unwrap(), json!({"webhookUrl": "x"}));
        assert!(
            patch(&Form::parse(b"new_headers=X-A"))
                .unwrap_err()
                .contains("Line 1")
        );
    }
}
