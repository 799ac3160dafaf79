//! `/console`: pages on which customers see what happened to their deliveries, and put it right.
//!
//! Which page is which file: `Console::answer`. Its template has the same name in `templates/`. A page is made of calls
//! of the API with the token of whoever is signed in ([`bellwire_web::visit`]), so that what it shows and does is what the
//! API does for this client.

mod callbacks;
mod checker;
mod deliveries;
mod delivery_view;
mod endpoints;
mod entity;
mod local_time;
mod model;
mod new_subscription;
mod overview;
mod queries;
mod secret;
mod subscription;
mod subscription_list;
mod summary;
mod topics;

use bellwire_app::{App, BadSetting};
use bellwire_web::api::Api;
use bellwire_web::{
    Answer, InvokedApi, NavItem, Notice, Site, Theme, Trouble, Visit, redirect, site,
};
use lambda_http::http::Method;
use lambda_http::{Body, Request, Response};

use crate::deliveries::Kind;

/// The console.
static SITE: Site = Site {
    folder: "console",
    home: OVERVIEW,
    nav: &[
        NavItem {
            text: "Overview",
            page: OVERVIEW,
        },
        NavItem {
            text: "Subscriptions",
            page: SUBSCRIPTIONS,
        },
        NavItem {
            text: "Topics",
            page: TOPICS,
        },
        NavItem {
            text: "Queries",
            page: QUERIES,
        },
        NavItem {
            text: "Checker",
            page: CHECKER,
        },
    ],
    of_operators: false,
};
const OVERVIEW: &str = "overview";
const SUBSCRIPTIONS: &str = "subscriptions";
const TOPICS: &str = "topics";
const QUERIES: &str = "queries";
const CHECKER: &str = "checker";

/// What forms ask for, as the last segment of their addresses.
const ACTIONS: [&str; 8] = [
    "delete", "disable", "edit", "enable", "replay", "resend", "rotate", "test",
];

/// The console, with what it keeps between requests.
#[derive(Debug)]
pub struct Console<A> {
    api: A,
    theme: Theme,
}

impl Console<InvokedApi> {
    /// The console of a stack.
    ///
    /// # Errors
    /// When a setting is missing or malformed.
    pub fn on_aws(app: &App) -> Result<Self, BadSetting> {
        Self::new(InvokedApi::new(app)?, app)
    }
}

impl<A: Api> Console<A> {
    /// The console of an API.
    ///
    /// # Errors
    /// When a setting is missing or malformed.
    pub fn new(api: A, app: &App) -> Result<Self, BadSetting> {
        let theme = Theme::new(app)?;
        Ok(Self { api, theme })
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
                ["checker"] => checker::send(visit),
                ["subscriptions", "new"] => new_subscription::send(visit).await,
                ["callbacks", action] => callbacks::send(visit, action).await,
                ["subscriptions", id, "deliveries", delivery, "resend"] => {
                    deliveries::resend(visit, Kind::Webhook, id, delivery).await
                }
                ["entities", key, "deliveries", delivery, "resend"] => {
                    deliveries::resend(visit, Kind::Entity, key, delivery).await
                }
                ["subscriptions", id, action] => subscription::send(visit, id, action).await,
                ["entities", key, action] => entity::send(visit, key, action).await,
                _ => Err(Trouble::NotFound),
            };
        }
        match parts {
            ["overview"] => overview::show(visit).await,
            ["subscriptions"] => subscription_list::show(visit).await,
            ["topics"] => topics::list(visit).await,
            ["topics", id] => topics::show(visit, id).await,
            ["queries"] => queries::list(visit).await,
            ["queries", id] => queries::show(visit, id).await,
            ["checker"] => checker::show(visit),
            ["callbacks"] => callbacks::show(visit).await,
            ["subscriptions", "new"] => new_subscription::show(visit).await,
            ["subscriptions", id] => subscription::show(visit, id).await,
            ["entities", key] => entity::show(visit, key).await,
            ["subscriptions", id, "deliveries"] => deliveries::list(visit, Kind::Webhook, id).await,
            ["entities", key, "deliveries"] => deliveries::list(visit, Kind::Entity, key).await,
            ["subscriptions", id, "deliveries", delivery] => {
                deliveries::show(visit, Kind::Webhook, id, delivery).await
            }
            ["entities", key, "deliveries", delivery] => {
                deliveries::show(visit, Kind::Entity, key, delivery).await
            }
            // The address of a form whose page was shown again.
            ["callbacks", _] => redirect("../callbacks"),
            [.., page, action] if ACTIONS.contains(action) => redirect(&format!("../{page}")),
            _ => Err(Trouble::NotFound),
        }
    }
}

/// The notice of what a form has done, which the page that follows it names in `done`.
fn done(visit: &Visit<'_, impl Api>) -> Option<Notice> {
    let text = match visit.query().get("done") {
        "saved" => "Saved.",
        "deleted" => "Deleted.",
        "enabled" => "Enabled: deliveries go on.",
        "disabled" => "Disabled: nothing is sent until you enable it.",
        "tested" => "A test is on its way. It is among the deliveries in a moment.",
        "resent" => "It is sent once more. The attempt is shown here in a moment.",
        "replayed" => "The events that have not arrived are sent again.",
        "sent" => "A test is on its way to all confirmed URLs.",
        "confirmed" => "Confirmed.",
        "registered" => {
            "A confirmation is on its way to the URL. Enter the token that arrives there."
        }
        _ => return None,
    };
    Some(Notice::done(text))
}
