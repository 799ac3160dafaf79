//! `/console`: pages on which customers see what happened to their deliveries, and put it right.
//!
//! Which page is which file: [`Console::answer`]. Its template has the same name in `templates/`. A page is made of calls
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
mod sign_in;
mod subscription;
mod subscription_list;
mod topics;
mod trouble;

use bellwire_app::{App, BadSetting};
use bellwire_web::api::Api;
use bellwire_web::{Answer, InvokedApi, NavItem, Notice, Place, Theme, Trouble, Visit, redirect};
use lambda_http::http::{HeaderValue, Method, StatusCode, header};
use lambda_http::{Body, Request, RequestExt, Response};

use crate::deliveries::Kind;

/// The navigation.
const NAV: &[NavItem] = &[
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
];
const OVERVIEW: &str = "overview";
const SUBSCRIPTIONS: &str = "subscriptions";
const TOPICS: &str = "topics";
const QUERIES: &str = "queries";
const CHECKER: &str = "checker";
/// How long browsers keep the style sheet, whose name changes with it.
const KEPT: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

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
        let place = Place::of(request);
        let answer = match &place {
            Some(place) => {
                let visit = Visit::new(&self.api, &self.theme, NAV, request, place.clone());
                match self.answer(&visit).await {
                    Ok(response) => Ok(response),
                    Err(trouble) => trouble::page(&visit, trouble),
                }
            }
            // The console's own path, with or without a slash at its end.
            None if request.raw_http_path().ends_with('/') => redirect(OVERVIEW),
            None => redirect("console/overview"),
        };
        answer.unwrap_or_else(|trouble| {
            tracing::error!(?trouble, "no page could be made");
            let mut response = Response::new(Body::Empty);
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            response
        })
    }

    /// The page that a request asks for, or what comes of its form.
    async fn answer(&self, visit: &Visit<'_, A>) -> Answer {
        let parts = visit.place.parts();
        let parts = parts.as_slice();
        if *visit.request.method() == Method::POST {
            return match parts {
                ["sign-in"] => sign_in::send(visit).await,
                ["link"] => sign_in::open_link(visit).await,
                ["sign-out"] => sign_in::sign_out(visit).await,
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
            [sheet] if *sheet == self.theme.sheet.name => Ok(style_sheet(&self.theme)),
            ["sign-in"] => sign_in::show(visit),
            ["link"] => sign_in::show_link(visit),
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
            _ => Err(Trouble::NotFound),
        }
    }
}

/// The style sheet. Whoever has it may keep it: another one has another name.
fn style_sheet(theme: &Theme) -> Response<Body> {
    let mut response = Response::new(Body::Text(theme.sheet.css.clone()));
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/css; charset=utf-8"),
    );
    headers.insert(header::CACHE_CONTROL, KEPT);
    response
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
        "confirmed" => "Confirmed.",
        "registered" => {
            "A confirmation is on its way to the URL. Enter the token that arrives there."
        }
        _ => return None,
    };
    Some(Notice::done(text))
}
