//! What a console answers with: pages, redirections, and what stands in the way of either.

use std::error::Error;

use askama::Template;
use lambda_http::http::{HeaderValue, StatusCode, header};
use lambda_http::{Body, Response};
use serde::Deserialize;

use crate::api::{self, ApiError};

/// The answer to a request.
pub type Answer = Result<Response<Body>, Trouble>;

/// Why a page isn't shown, or what a form asks for isn't done.
#[derive(Debug)]
pub enum Trouble {
    /// Nobody is signed in, or the session has ended.
    SignedOut,
    /// There is no such thing, or it is another client's.
    NotFound,
    /// The API refuses what its caller asks for, and says why.
    Refused(Refusal),
    /// A form that wasn't made for this session.
    Forged,
    /// Too many requests.
    Busy,
    /// A failure of ours.
    Broken(Box<dyn Error + Send + Sync>),
}

/// A refusal of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// What is wrong, in the caller's words.
    pub message: String,
    /// The field at fault; `None` if it isn't a single one.
    pub field: Option<String>,
}

impl From<ApiError> for Trouble {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::Throttled(_) => Self::Busy,
            ApiError::Failed { .. } => Self::Broken(error.into()),
        }
    }
}

impl From<askama::Error> for Trouble {
    fn from(error: askama::Error) -> Self {
        Self::Broken(error.into())
    }
}

impl Refusal {
    /// What is wrong with a request itself.
    pub fn new(status: u16, message: &str) -> Self {
        Self {
            status,
            message: message.to_owned(),
            field: None,
        }
    }

    /// The HTTP status of the page that says so.
    pub fn page_status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_REQUEST)
    }
}

/// An error of the API in any of its forms.
#[derive(Deserialize)]
struct Said {
    message: Option<String>,
    field: Option<String>,
    /// Of protocol C.
    status: Option<SaidInside>,
}

#[derive(Deserialize)]
struct SaidInside {
    message: Option<String>,
    errors: Option<Vec<SaidMistake>>,
}

#[derive(Deserialize)]
struct SaidMistake {
    field: Option<String>,
}

impl Trouble {
    /// What a response of the API that is no success stands for.
    pub fn of(response: &api::Response) -> Self {
        match response.status {
            401 => return Self::SignedOut,
            404 => return Self::NotFound,
            503 => return Self::Busy,
            500.. | ..300 => {
                let status = response.status;
                return Self::Broken(format!("the API has answered {status}").into());
            }
            _ => {}
        }
        let said: Option<Said> = serde_json::from_str(&response.body).ok();
        let (message, field) = match said {
            Some(Said {
                status: Some(inside),
                ..
            }) => {
                let mut mistakes = inside.errors.unwrap_or_default().into_iter();
                (inside.message, mistakes.find_map(|it| it.field))
            }
            Some(said) => (said.message, said.field),
            None => (None, None),
        };
        Self::Refused(Refusal {
            status: response.status,
            message: message.unwrap_or_else(|| "the request was refused".to_owned()),
            field,
        })
    }
}

/// 200, with a page.
pub fn page(template: &impl Template) -> Answer {
    status_page(StatusCode::OK, template)
}

/// A page with another status.
pub fn status_page(status: StatusCode, template: &impl Template) -> Answer {
    let mut response = Response::new(Body::Text(template.render()?));
    *response.status_mut() = status;
    let media_type = HeaderValue::from_static("text/html; charset=utf-8");
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, media_type);
    Ok(response)
}

/// 303: the browser goes on with a `GET` of another page, whose address is relative to that of the request.
pub fn redirect(to: &str) -> Answer {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = StatusCode::SEE_OTHER;
    let to = HeaderValue::from_str(to).map_err(|bad| Trouble::Broken(bad.into()))?;
    response.headers_mut().insert(header::LOCATION, to);
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, body: &str) -> Trouble {
        Trouble::of(&api::Response {
            status,
            body: body.to_owned(),
        })
    }

    #[test]
    fn refusals_are_read_in_every_form() {
        let refused = |body| match refusal(400, body) {
            Trouble::Refused(refusal) => (refusal.message, refusal.field),
            other => panic!("{other:?}"),
        };
        let of =
            |message: &str, field: Option<&str>| (message.to_owned(), field.map(str::to_owned));
        assert_eq!(
            refused(r#"{"message": "a: b", "field": "a"}"#),
            of("a: b", Some("a"))
        );
        assert_eq!(
            refused(
                r#"{"status": {"status_code": 400, "message": "m", "errors": [{"field": "f"}]}}"#
            ),
            of("m", Some("f"))
        );
        assert_eq!(refused("<html>"), of("the request was refused", None));
        assert!(matches!(refusal(401, ""), Trouble::SignedOut));
        assert!(matches!(refusal(404, ""), Trouble::NotFound));
        assert!(matches!(refusal(503, "{}"), Trouble::Busy));
        assert!(matches!(refusal(500, "{}"), Trouble::Broken(_)));
    }
}
