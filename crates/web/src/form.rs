//! Forms that were sent.

use bellwire_domain::Secret;
use lambda_http::Request;
use lambda_http::http::HeaderName;
use lambda_http::http::header::{HOST, ORIGIN};
use uuid::Uuid;

use crate::Trouble;
use crate::answers::Refusal;
use crate::cookies::form_token;

/// The largest form, in bytes: some fields have JSON of a page or two.
const MAX_BYTES: usize = 256 * 1024;
/// The name of the field that has the form's token.
const TOKEN: &str = "form_token";

/// The fields of a form, in their order.
#[derive(Clone, Debug, Default)]
pub struct Form(Vec<(String, String)>);

impl Form {
    /// The form in the body of a request, which the page of this session has sent.
    ///
    /// # Errors
    /// [`Trouble::Forged`] when it is too large, of another site or session, or there is none.
    pub fn of(request: &Request, token: &Secret) -> Result<Self, Trouble> {
        let form = Self::of_nobody(request)?;
        let made_here = Secret::new(form.get(TOKEN)) == Secret::new(form_token(token));
        made_here.then_some(form).ok_or(Trouble::Forged)
    }

    /// As [`Self::of`], of a page that is shown before somebody has signed in.
    ///
    /// # Errors
    /// [`Trouble::Forged`] when it is too large, or the browser says that it comes from another site.
    pub fn of_nobody(request: &Request) -> Result<Self, Trouble> {
        // Browsers say it, and pages can't change what they say. https://www.w3.org/TR/fetch-metadata/
        let site = request.headers().get("sec-fetch-site");
        let elsewhere = match site {
            Some(site) => !matches!(site.as_bytes(), b"same-origin" | b"none"),
            None => is_of_other_origin(request),
        };
        if elsewhere {
            return Err(Trouble::Forged);
        }
        let body = request.body().as_ref();
        if body.len() > MAX_BYTES {
            return Err(Trouble::Refused(Refusal::new(
                413,
                "what was written is too long",
            )));
        }
        Ok(Self::parse(body))
    }

    /// The fields of a query string, or of a body.
    pub fn parse(text: &[u8]) -> Self {
        let fields = form_urlencoded::parse(text);
        Self(
            fields
                .map(|(name, value)| (name.into_owned(), value.into_owned()))
                .collect(),
        )
    }

    /// The parameters in the query string of a request.
    pub fn query(request: &Request) -> Self {
        use lambda_http::RequestExt;
        let parameters = request.query_string_parameters();
        let pairs = parameters.iter();
        Self(
            pairs
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        )
    }

    /// The first value of a field, without spaces around it; empty if there is none.
    pub fn get(&self, name: &str) -> &str {
        let mut fields = self.0.iter();
        let found = fields.find(|(it, _)| it == name);
        found.map_or("", |(_, value)| value.trim())
    }

    /// The first value of a field, as it was sent.
    pub fn raw(&self, name: &str) -> &str {
        let mut fields = self.0.iter();
        fields
            .find(|(it, _)| it == name)
            .map_or("", |(_, value)| value)
    }

    /// All values of a field.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let fields = self.0.iter().filter(move |(it, _)| it == name);
        fields.map(|(_, value)| value.trim())
    }
}

/// Whether the browser names another origin than this one. Of pages like ours, which send no address along, it is `null`.
fn is_of_other_origin(request: &Request) -> bool {
    let header = |name: HeaderName| request.headers().get(name)?.to_str().ok();
    let origin = header(ORIGIN).and_then(|it| it.split_once("://"));
    origin.is_some_and(|(_, named)| Some(named) != header(HOST))
}

/// What a form has so that it makes one thing, however often it is sent.
pub fn once() -> String {
    Uuid::new_v4().to_string()
}
