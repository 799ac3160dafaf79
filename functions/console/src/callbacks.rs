//! `callbacks`: the URLs that are notified when queries end.

use askama::Template;
use bellwire_web::api::Api;
use bellwire_web::{
    Answer, Call, Notice, Shell, Trouble, Visit, page, redirect, sentence, status_page,
};
use serde_json::json;

use crate::endpoints::{self, Endpoint};
use crate::{SUBSCRIPTIONS, done};

#[derive(Template)]
#[template(path = "callbacks.html")]
struct CallbacksPage {
    shell: Shell,
    kind: &'static str,
    rows: Vec<Endpoint>,
    /// Whether one is confirmed, to which a test can be sent.
    confirmed: bool,
    token: String,
}

/// The page.
pub async fn show<A: Api>(visit: &Visit<'_, A>) -> Answer {
    page(&shown(visit, String::new(), done(visit)).await?)
}

/// What a form of the page asks for.
pub async fn send<A: Api>(visit: &Visit<'_, A>, action: &str) -> Answer {
    let form = visit.form()?;
    let url = json!({ "callbackUrl": form.get("url") });
    let (call, what) = match action {
        "confirm" => {
            let token = json!({ "token": form.get("token") });
            (Call::post("/v1/subscribe").body(token), "confirmed")
        }
        "again" => (Call::post("/v1/subscribe").body(url), "registered"),
        "delete" => (Call::post("/v1/unsubscribe").body(url), "deleted"),
        "test" => (Call::post("/v1/publish").body(json!({})), "sent"),
        _ => return Err(Trouble::NotFound),
    };
    match visit.send(call).await {
        Ok(_) => redirect(&format!("../callbacks?done={what}")),
        Err(Trouble::Refused(refusal)) => {
            let notice = Notice::error(sentence(&refusal.message));
            let token = form.get("token").to_owned();
            status_page(
                refusal.page_status(),
                &shown(visit, token, Some(notice)).await?,
            )
        }
        Err(Trouble::NotFound) => redirect("../callbacks"),
        Err(other) => Err(other),
    }
}

async fn shown<A: Api>(
    visit: &Visit<'_, A>,
    token: String,
    notice: Option<Notice>,
) -> Result<CallbacksPage, Trouble> {
    let rows = endpoints::callbacks(visit).await?;
    Ok(CallbacksPage {
        shell: visit
            .shell("Query notifications")
            .under(SUBSCRIPTIONS)
            .with(notice),
        kind: "callbacks",
        confirmed: rows.iter().any(|it| it.state == endpoints::State::Active),
        rows,
        token,
    })
}
