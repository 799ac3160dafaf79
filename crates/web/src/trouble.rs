//! The pages of what goes wrong.

use askama::Template;
use form_urlencoded::byte_serialize;
use lambda_http::http::{Method, StatusCode};
use lambda_http::{Context, RequestExt};

use crate::api::Api;
use crate::place::safe_page;
use crate::{Answer, Shell, Trouble, Visit, redirect, status_page};

#[derive(Template)]
#[template(path = "trouble.html")]
struct TroublePage {
    shell: Shell,
    text: String,
    request_id: String,
    home: &'static str,
}

/// The page that says what is wrong; whoever isn't signed in is asked to, and led back then.
pub fn page<A: Api>(visit: &Visit<'_, A>, trouble: Trouble) -> Answer {
    let (status, title, text) = match trouble {
        Trouble::SignedOut => return signed_out(visit),
        Trouble::NotFound => (
            StatusCode::NOT_FOUND,
            "Not found",
            "There is no such page, or what it was about is gone.".to_owned(),
        ),
        Trouble::Refused(refusal) => (
            refusal.page_status(),
            "That isn't possible",
            sentence(&refusal.message),
        ),
        Trouble::Forged => (
            StatusCode::FORBIDDEN,
            "This form has expired",
            "It was made for another session. Please go back, load the page again, and repeat what you did.".to_owned(),
        ),
        Trouble::Busy => (
            StatusCode::SERVICE_UNAVAILABLE,
            "Too many requests",
            "Please try again in a moment.".to_owned(),
        ),
        Trouble::Broken(cause) => {
            tracing::error!(%cause, "request failed");
            (
                StatusCode::INTERNAL_SERVER_ERROR,
                "Something went wrong",
                "Please try again, and quote the number below if it lasts.".to_owned(),
            )
        }
    };
    let context = visit.request.lambda_context_ref();
    let page = TroublePage {
        shell: visit.shell(title),
        text,
        home: visit.site.home,
        request_id: match status {
            StatusCode::INTERNAL_SERVER_ERROR => context.map(id).unwrap_or_default(),
            _ => String::new(),
        },
    };
    status_page(status, &page)
}

fn id(context: &Context) -> String {
    context.request_id.clone()
}

/// A message of the API as a sentence.
pub fn sentence(message: &str) -> String {
    let mut characters = message.chars();
    let first = characters.next().into_iter().flat_map(char::to_uppercase);
    let mut text: String = first.chain(characters).collect();
    if !text.ends_with(['.', '!', '?']) {
        text.push('.');
    }
    text
}

fn signed_out<A: Api>(visit: &Visit<'_, A>) -> Answer {
    let mut page = visit.place.page.clone();
    if let Some(query) = visit.request.uri().query() {
        page.push('?');
        page.push_str(query);
    }
    let back = safe_page(&page).filter(|_| *visit.request.method() == Method::GET);
    let back = back.map(|page| byte_serialize(page.as_bytes()).collect::<String>());
    let had_session = visit.caller.token.is_some();
    let ended = if had_session { "ended=yes&" } else { "" };
    let to = match back {
        Some(page) => format!("{}sign-in?{ended}to={page}", visit.place.root),
        None => format!("{}sign-in?{ended}", visit.place.root),
    };
    redirect(to.trim_end_matches(['?', '&']))
}
