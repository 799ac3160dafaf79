//! Signing in, by an API key or a portal link, and signing out.

use askama::Template;
use bellwire_domain::Secret;
use lambda_http::http::header::SET_COOKIE;
use lambda_http::http::{HeaderValue, Method, StatusCode};
use serde::Deserialize;
use serde_json::json;

use crate::api::{Api, Caller};
use crate::cookies::{self, Portal};
use crate::place::safe_page;
use crate::trouble::sentence;
use crate::{Answer, Call, Form, Notice, Shell, Trouble, Visit, page, redirect, status_page};

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    shell: Shell,
    to: String,
}

#[derive(Template)]
#[template(path = "link.html")]
struct LinkPage {
    shell: Shell,
    token: String,
}

/// A session, as the function `sessions` answers.
#[derive(Deserialize)]
struct Session {
    token: String,
    name: String,
    operator: bool,
    return_url: Option<String>,
    theme: Option<String>,
}

/// The answer of a page that is there before somebody has signed in; `None` if the visit is to another page.
pub async fn answer<A: Api>(visit: &Visit<'_, A>) -> Option<Answer> {
    let is_form = *visit.request.method() == Method::POST;
    let with_links = !visit.site.of_operators;
    Some(match (is_form, visit.place.parts().as_slice()) {
        (false, ["sign-in"]) => show(visit),
        (true, ["sign-in"]) => send(visit).await,
        (true, ["sign-out"]) => sign_out(visit).await,
        (false, ["link"]) if with_links => show_link(visit),
        (true, ["link"]) if with_links => open_link(visit).await,
        _ => return None,
    })
}

/// The form that asks for an API key.
fn show<A: Api>(visit: &Visit<'_, A>) -> Answer {
    let query = visit.query();
    let ended = query.get("ended") == "yes";
    let out = query.get("done") == "out";
    let notice = if ended {
        Some(Notice::error(
            "Your session has ended. Please sign in again.",
        ))
    } else {
        out.then(|| Notice::done("You are signed out."))
    };
    page(&SignInPage {
        shell: shell(visit, "Sign in").with(notice),
        to: query.get("to").to_owned(),
    })
}

/// Signs in with the key in the form.
async fn send<A: Api>(visit: &Visit<'_, A>) -> Answer {
    let form = Form::of_nobody(visit.request)?;
    let call = Call::post("/sessions").body(json!({ "api_key": form.get("api_key") }));
    let refused = |status, text: String| {
        let page = SignInPage {
            shell: shell(visit, "Sign in").with(Some(Notice::error(text))),
            to: form.get("to").to_owned(),
        };
        status_page(status, &page)
    };
    let session = match begin(visit, call).await {
        Ok(session) => session,
        Err(Trouble::SignedOut) => {
            let text = "This is no API key that works. Please check it, or ask for another.";
            return refused(StatusCode::UNAUTHORIZED, text.to_owned());
        }
        Err(Trouble::Refused(refusal)) => {
            return refused(refusal.page_status(), sentence(&refusal.message));
        }
        Err(other) => return Err(other),
    };
    if session.operator != visit.site.of_operators {
        end(visit, Secret::new(session.token)).await?;
        let text = if session.operator {
            "This is the key of an operator. Operators sign in at /operator."
        } else {
            "This is no key of an operator. Customers sign in at /console."
        };
        return refused(StatusCode::FORBIDDEN, text.to_owned());
    }
    signed_in(
        &session,
        safe_page(form.get("to")).unwrap_or(visit.site.home),
    )
}

/// The page of a portal link: a button, since whoever looks at a link beforehand would use it up otherwise.
fn show_link<A: Api>(visit: &Visit<'_, A>) -> Answer {
    page(&LinkPage {
        shell: shell(visit, "Open the console"),
        token: visit.query().get("token").to_owned(),
    })
}

/// Signs in with a portal link, which is used up.
async fn open_link<A: Api>(visit: &Visit<'_, A>) -> Answer {
    let form = Form::of_nobody(visit.request)?;
    let call = Call::post("/sessions").body(json!({ "link": form.get("token") }));
    match begin(visit, call).await {
        Ok(session) => signed_in(&session, visit.site.home),
        Err(Trouble::NotFound | Trouble::Refused(_)) => {
            let text = "This link has expired, or was used before. Please go back to where you got it, and open it again.";
            let page = LinkPage {
                shell: shell(visit, "The link doesn't work any more")
                    .with(Some(Notice::error(text))),
                token: String::new(),
            };
            status_page(StatusCode::GONE, &page)
        }
        Err(other) => Err(other),
    }
}

/// Ends the session.
async fn sign_out<A: Api>(visit: &Visit<'_, A>) -> Answer {
    visit.form()?;
    end(visit, visit.token()?.clone()).await?;
    with_cookies(redirect("sign-in?done=out")?, &cookies::end())
}

async fn begin<A: Api>(visit: &Visit<'_, A>, call: Call) -> Result<Session, Trouble> {
    let answer = visit.send_as_nobody(call).await?;
    serde_json::from_str(&answer.body).map_err(|bad| Trouble::Broken(bad.into()))
}

async fn end<A: Api>(visit: &Visit<'_, A>, token: Secret) -> Result<(), Trouble> {
    let caller = Caller {
        token: Some(token),
        ..visit.caller.clone()
    };
    let call = Call::new(Method::DELETE, "/sessions/current");
    let answer = visit.api.call(&caller, call).await?;
    match answer.status {
        200..300 => Ok(()),
        _ => Err(Trouble::of(&answer)),
    }
}

/// The page after signing in, with the cookies of the session. They belong to the folder of this page: it has to lie
/// directly in the console's.
fn signed_in(session: &Session, to: &str) -> Answer {
    let portal = Portal::new(
        &session.name,
        session.theme.as_deref(),
        session.return_url.as_deref(),
    );
    let token = Secret::new(session.token.as_str());
    with_cookies(redirect(to)?, &cookies::begin(&token, &portal))
}

fn with_cookies(
    mut response: lambda_http::Response<lambda_http::Body>,
    cookies: &[String],
) -> Answer {
    for cookie in cookies {
        let cookie = HeaderValue::from_str(cookie).map_err(|bad| Trouble::Broken(bad.into()))?;
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    Ok(response)
}

/// What stands around pages for somebody who isn't signed in, even if an earlier session goes on.
fn shell<A: Api>(visit: &Visit<'_, A>, title: &str) -> Shell {
    Shell {
        nav: &[],
        ..visit.shell(title)
    }
}
