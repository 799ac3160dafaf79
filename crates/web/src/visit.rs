//! One request of somebody who uses a console, and the calls of the API that it comes to.

use bellwire_domain::Secret;
use lambda_http::Request;
use lambda_http::RequestExt;
use lambda_http::request::RequestContext;
use serde::de::DeserializeOwned;
use time::OffsetDateTime;

use crate::api::{Api, Call, Caller, Response};
use crate::cookies::{self, Portal};
use crate::site::Site;
use crate::{Form, Place, Shell, Theme, Trouble, When};

/// A request, with what is known of who makes it.
#[derive(Debug)]
pub struct Visit<'a, A> {
    /// The API.
    pub api: &'a A,
    /// How the console looks.
    pub theme: &'a Theme,
    /// The console.
    pub site: &'static Site,
    /// The request.
    pub request: &'a Request,
    /// Where it leads.
    pub place: Place,
    /// Who makes it.
    pub caller: Caller,
    /// What is shown of who that is.
    pub portal: Portal,
    /// The current time.
    pub now: OffsetDateTime,
}

impl<'a, A: Api> Visit<'a, A> {
    /// The visit that a request is.
    pub fn new(
        api: &'a A,
        theme: &'a Theme,
        site: &'static Site,
        request: &'a Request,
        place: Place,
    ) -> Self {
        Self {
            api,
            theme,
            site,
            request,
            place,
            caller: caller(request),
            portal: cookies::portal(request),
            now: OffsetDateTime::now_utc(),
        }
    }

    /// The token of the session.
    ///
    /// # Errors
    /// When nobody is signed in.
    pub fn token(&self) -> Result<&Secret, Trouble> {
        self.caller.token.as_ref().ok_or(Trouble::SignedOut)
    }

    /// Makes a call that has to succeed.
    ///
    /// # Errors
    /// When nobody is signed in, the API refuses it, or it fails.
    pub async fn send(&self, call: Call) -> Result<Response, Trouble> {
        self.token()?;
        self.send_as_nobody(call).await
    }

    /// As [`Self::send`], before somebody has signed in.
    ///
    /// # Errors
    /// When the API refuses it, or it fails.
    pub async fn send_as_nobody(&self, call: Call) -> Result<Response, Trouble> {
        let response = self.api.call(&self.caller, call).await?;
        match response.status {
            200..300 => Ok(response),
            _ => Err(Trouble::of(&response)),
        }
    }

    /// Makes a call, and reads the response.
    ///
    /// # Errors
    /// As [`Self::send`]; and when the response isn't a `T`.
    pub async fn read<T: DeserializeOwned>(&self, call: Call) -> Result<T, Trouble> {
        let response = self.send(call).await?;
        serde_json::from_str(&response.body).map_err(|bad| Trouble::Broken(bad.into()))
    }

    /// The form that was sent with the request.
    ///
    /// # Errors
    /// When nobody is signed in, or the form wasn't made for this session.
    pub fn form(&self) -> Result<Form, Trouble> {
        Form::of(self.request, self.token()?)
    }

    /// The parameters of the query string.
    pub fn query(&self) -> Form {
        Form::query(self.request)
    }

    /// The base URL of the API, as the console was called: `https://api.example.com/live`.
    pub fn base_url(&self) -> String {
        let text = |name: &str| self.request.headers().get(name)?.to_str().ok();
        let scheme = text("x-forwarded-proto").unwrap_or("https");
        let host = text("host").unwrap_or(&self.caller.domain);
        let path = match self.request.request_context_ref() {
            Some(RequestContext::ApiGatewayV1(context)) => context.path.as_deref(),
            _ => None,
        };
        let path = path.unwrap_or_default();
        let console = format!("/{}/", self.site.folder);
        let base = path.split_once(&console).map_or("", |(base, _)| base);
        format!("{scheme}://{host}{base}")
    }

    /// What stands around a page with this title.
    pub fn shell(&self, title: &str) -> Shell {
        Shell::new(self, title)
    }

    /// A time, as it is shown now.
    pub fn when(&self, at: OffsetDateTime) -> When {
        When::new(at, self.now)
    }
}

/// Who makes the request, as far as API Gateway says it.
fn caller(request: &Request) -> Caller {
    let (address, domain) = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV1(context)) => (
            context.identity.source_ip.clone(),
            context.domain_name.clone(),
        ),
        _ => (None, None),
    };
    Caller {
        token: cookies::token(request),
        address: address.unwrap_or_default(),
        domain: domain.unwrap_or_default(),
    }
}
