//! `entities/{key}`: a subscription to an entity, and what can be done with it.

use askama::Template;
use bellwire_web::api::Api;
use bellwire_web::form::once;
use bellwire_web::period::Period;
use bellwire_web::{
    Answer, Call, Notice, Shell, Trouble, Visit, page, redirect, sentence, status_page,
};
use lambda_http::http::Method;
use serde::Deserialize;

use crate::endpoints::Endpoint;
use crate::model::{Envelope, OneEntity, Stats};
use crate::secret::SecretPage;
use crate::summary::{self, Summary};
use crate::{SUBSCRIPTIONS, done};

/// A subscription.
const ONE: &str = "/subscriptions/{key}";

#[derive(Template)]
#[template(path = "entity.html")]
struct EntityPage {
    shell: Shell,
    endpoint: Endpoint,
    reason: String,
    summary: Summary,
    once: String,
}

#[derive(Deserialize)]
struct OfStats {
    stats: Stats,
}

/// The page.
pub async fn show<A: Api>(visit: &Visit<'_, A>, key: &str) -> Answer {
    page(&shown(visit, key, done(visit)).await?)
}

/// What a form of the page asks for.
pub async fn send<A: Api>(visit: &Visit<'_, A>, key: &str, action: &str) -> Answer {
    let form = visit.form()?;
    let answered = match action {
        "rotate" => {
            let call = Call::post("/subscriptions/{key}/secret/rotate").at("key", key);
            let call = call.once(form.get("once"));
            let rotated = visit.read::<Envelope<OneEntity>>(call).await;
            rotated.and_then(|rotated| {
                page(&SecretPage {
                    shell: visit.shell("The new signing secret").under(SUBSCRIPTIONS),
                    secret: rotated.data.subscription.secret.unwrap_or_default(),
                    page: format!("entities/{key}"),
                    replaces: true,
                })
            })
        }
        "delete" => {
            let call = Call::new(Method::DELETE, ONE).at("key", key);
            let deleted = visit.send(call).await;
            deleted.and_then(|_| redirect("../../subscriptions?kind=entities&done=deleted"))
        }
        _ => Err(Trouble::NotFound),
    };
    match answered {
        Err(Trouble::Refused(refusal)) => {
            let notice = Notice::error(sentence(&refusal.message));
            let page = shown(visit, key, Some(notice)).await?;
            status_page(refusal.page_status(), &page)
        }
        other => other,
    }
}

async fn shown<A: Api>(
    visit: &Visit<'_, A>,
    key: &str,
    notice: Option<Notice>,
) -> Result<EntityPage, Trouble> {
    let period = Period::of(visit.query().get("period"));
    let counts = summary::asked(
        Call::get("/subscriptions/{key}/stats").at("key", key),
        period,
        visit.now,
    );
    let (entity, stats) = tokio::join!(
        visit.read::<Envelope<OneEntity>>(Call::get(ONE).at("key", key)),
        visit.read::<Envelope<OfStats>>(counts),
    );
    let (entity, stats) = (entity?.data.subscription, stats?.data.stats);
    Ok(EntityPage {
        shell: visit
            .shell(&entity.callback)
            .under(SUBSCRIPTIONS)
            .with(notice),
        endpoint: Endpoint::of_entity(&entity, visit),
        reason: entity.disabled_reason.unwrap_or_default(),
        summary: Summary::new(&stats, period, visit.now),
        once: once(),
    })
}
