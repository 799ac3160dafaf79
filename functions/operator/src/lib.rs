//! `/operator`: pages for whoever runs the stack: how it is, its clients and topics, dead letters, and what it costs.
//!
//! Which page is which file: `Operator::answer`. Clients and topics are those that the API shows the operator who is
//! signed in. Queues, alarms and usage are read from AWS with the function's own role (`stack`), after the API has said that
//! it is an operator who asks.

mod clients;
mod cost;
mod dead_letters;
mod health;
mod model;
mod stack;
mod topics;

use bellwire_app::{App, BadSetting};
use bellwire_web::api::Api;
use bellwire_web::{
    Answer, Call, InvokedApi, NavItem, Notice, Site, Theme, Trouble, Visit, redirect, site,
};
use lambda_http::http::Method;
use lambda_http::{Body, Request, Response};
use serde::Deserialize;

use crate::stack::Stack;

/// The console.
static SITE: Site = Site {
    folder: "operator",
    home: HEALTH,
    nav: &[
        NavItem {
            text: "Health",
            page: HEALTH,
        },
        NavItem {
            text: "Clients",
            page: CLIENTS,
        },
        NavItem {
            text: "Topics",
            page: TOPICS,
        },
        NavItem {
            text: "Dead letters",
            page: DEAD_LETTERS,
        },
        NavItem {
            text: "Cost",
            page: COST,
        },
    ],
    of_operators: true,
};
const HEALTH: &str = "health";
const CLIENTS: &str = "clients";
const TOPICS: &str = "topics";
const DEAD_LETTERS: &str = "dead-letters";
const COST: &str = "cost";

/// The console, with what it keeps between requests.
#[derive(Debug)]
pub struct Operator<A> {
    api: A,
    theme: Theme,
    stack: Stack,
}

impl Operator<InvokedApi> {
    /// The console of a stack.
    ///
    /// # Errors
    /// When a setting is missing or malformed.
    pub fn on_aws(app: &App) -> Result<Self, BadSetting> {
        Self::new(InvokedApi::new(app)?, app)
    }
}

impl<A: Api> Operator<A> {
    /// The console of an API.
    ///
    /// # Errors
    /// When a setting is missing or malformed.
    pub fn new(api: A, app: &App) -> Result<Self, BadSetting> {
        Ok(Self {
            api,
            theme: Theme::new(app)?,
            stack: Stack::new(app)?,
        })
    }

    /// How it looks.
    pub fn theme(&self) -> &Theme {
        &self.theme
    }

    /// Responds to a request. What goes wrong is a page as well.
    pub async fn handle(&self, request: &Request) -> Response<Body> {
        let visit = match SITE.visit(&self.api, &self.theme, request) {
            Ok(visit) => visit,
            Err(response) => return *response,
        };
        let answer = match site::common(&visit).await {
            Some(answer) => answer,
            None => self.answer(&visit).await,
        };
        site::response(&visit, answer)
    }

    /// The page that a request asks for, or what comes of its form.
    async fn answer(&self, visit: &Visit<'_, A>) -> Answer {
        let parts = visit.place.parts();
        let parts = parts.as_slice();
        if *visit.request.method() == Method::POST {
            return match parts {
                ["clients", "new"] => clients::send_new(visit).await,
                ["clients", id, action] => clients::send(visit, id, action).await,
                ["dead-letters", action] => dead_letters::send(visit, &self.stack, action).await,
                _ => Err(Trouble::NotFound),
            };
        }
        match parts {
            ["health"] => health::show(visit, &self.stack).await,
            ["clients"] => clients::list(visit).await,
            ["clients", "new"] => clients::show_new(visit),
            // The address of a form whose page was shown again.
            ["clients", id, _] => redirect(&format!("../{id}")),
            ["dead-letters", _] => redirect("../dead-letters"),
            ["clients", id] => clients::show(visit, id).await,
            ["topics"] => topics::list(visit).await,
            ["dead-letters"] => dead_letters::show(visit, &self.stack).await,
            ["cost"] => cost::show(visit, &self.stack).await,
            _ => Err(Trouble::NotFound),
        }
    }
}

/// That an operator is signed in: what the function reads itself is for nobody else.
///
/// # Errors
/// When nobody is, the session has ended, or it is somebody else's.
async fn must_be_operator<A: Api>(visit: &Visit<'_, A>) -> Result<(), Trouble> {
    #[derive(Deserialize)]
    struct Session {
        operator: bool,
    }
    let session: Session = visit.read(Call::get("/sessions/current")).await?;
    if session.operator {
        Ok(())
    } else {
        Err(Trouble::SignedOut)
    }
}

/// The notice of what a form has done, which the page that follows it names in `done`.
fn done(visit: &Visit<'_, impl Api>) -> Option<Notice> {
    let text = match visit.query().get("done") {
        "saved" => "Saved.",
        "made" => "The client is there. Give it a key, or a link to the console.",
        "disabled" => "Disabled: its keys don't work, and nothing is sent to it.",
        "enabled" => "Enabled: its keys work, and deliveries go on.",
        "deleted" => "Deleted, or being deleted: what belongs to it is removed within minutes.",
        "revoked" => "Revoked. Functions that know the key accept it for another minute.",
        "redriven" => "They are processed again.",
        "dropped" => "Dropped.",
        "some" => "That was done with some of the chosen; the others are gone, or are still here.",
        "nothing" => "Nothing was chosen, or it is gone already.",
        _ => return None,
    };
    Some(Notice::done(text))
}
