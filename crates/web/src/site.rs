//! A console: what it is called, and what is done with each request whatever its page is.

use lambda_http::http::{HeaderValue, Method, StatusCode, header};
use lambda_http::{Body, Request, RequestExt, Response};

use crate::api::Api;
use crate::{Answer, NavItem, Place, Theme, Trouble, Visit, redirect, sign_in, trouble};

/// How long browsers keep the style sheet, whose name changes with it.
const KEPT: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// A console.
#[derive(Clone, Copy, Debug)]
pub struct Site {
    /// The last segment of its own path: `console`.
    pub folder: &'static str,
    /// The page after signing in.
    pub home: &'static str,
    /// Its navigation.
    pub nav: &'static [NavItem],
    /// Whether operators sign in, and nobody else.
    pub of_operators: bool,
}

impl Site {
    /// The visit that a request is; the response to a request for the console's own path.
    ///
    /// # Errors
    /// The response that leads to the first page.
    pub fn visit<'a, A: Api>(
        &'static self,
        api: &'a A,
        theme: &'a Theme,
        request: &'a Request,
    ) -> Result<Visit<'a, A>, Box<Response<Body>>> {
        match Place::of(request) {
            Some(place) => Ok(Visit::new(api, theme, self, request, place)),
            // With or without a slash at its end.
            None => {
                let home = self.home;
                let to = match request.raw_http_path().ends_with('/') {
                    true => home.to_owned(),
                    false => format!("{}/{home}", self.folder),
                };
                Err(Box::new(whole(redirect(&to))))
            }
        }
    }
}

/// The answer of the pages that all consoles have; `None` if the visit is to another page.
pub async fn common<A: Api>(visit: &Visit<'_, A>) -> Option<Answer> {
    let sheet = &visit.theme.sheet;
    if *visit.request.method() == Method::GET && visit.place.parts() == [sheet.name.as_str()] {
        return Some(Ok(style_sheet(visit.theme)));
    }
    sign_in::answer(visit).await
}

/// The response to a visit. What goes wrong is a page as well.
pub fn response<A: Api>(visit: &Visit<'_, A>, answer: Answer) -> Response<Body> {
    whole(answer.or_else(|trouble| trouble::page(visit, trouble)))
}

fn whole(answer: Answer) -> Response<Body> {
    answer.unwrap_or_else(|trouble: Trouble| {
        tracing::error!(?trouble, "no page could be made");
        let mut response = Response::new(Body::Empty);
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response
    })
}

/// The style sheet. Whoever has it may keep it: another one has another name.
fn style_sheet(theme: &Theme) -> Response<Body> {
    let mut response = Response::new(Body::Text(theme.sheet.css.clone()));
    let headers = response.headers_mut();
    let media_type = HeaderValue::from_static("text/css; charset=utf-8");
    headers.insert(header::CONTENT_TYPE, media_type);
    headers.insert(header::CACHE_CONTROL, KEPT);
    response
}
