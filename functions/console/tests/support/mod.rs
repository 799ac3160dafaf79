//! An API that answers what a test says, and remembers what it was asked.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
// Each test file has use for another part.
#![allow(dead_code)]

use std::collections::HashMap;
use std::sync::Mutex;

use bellwire_doubles::Aws;
use bellwire_web::api::{Api, ApiError, Call, Caller, Response};
use console::Console;
use lambda_http::http::HeaderValue;
use lambda_http::{Body, Request, RequestExt};
use serde_json::{Value, json};

/// The token of the session.
pub const TOKEN: &str = "bwt_session";

/// The API: an answer for each method and path of the template.
#[derive(Debug, Default)]
pub struct Canned {
    pub answers: Mutex<HashMap<String, (u16, Value)>>,
    pub calls: Mutex<Vec<(Option<String>, Call)>>,
}

impl Api for &Canned {
    async fn call(&self, caller: &Caller, call: Call) -> Result<Response, ApiError> {
        let name = format!("{} {}", call.method, call.resource);
        let token = caller.token.as_ref().map(|it| it.expose().to_owned());
        self.calls.lock().unwrap().push((token, call));
        let answers = self.answers.lock().unwrap();
        let (status, body) = answers
            .get(&name)
            .cloned()
            .unwrap_or((404, json!({"message": "none"})));
        match status {
            429 => Err(ApiError::Throttled("x")),
            0 => Err(ApiError::Failed {
                function: "x",
                cause: "it broke".to_owned(),
            }),
            _ => Ok(Response {
                status,
                body: body.to_string(),
            }),
        }
    }
}

impl Canned {
    pub fn answer(&self, call: &str, status: u16, body: Value) -> &Self {
        self.answers
            .lock()
            .unwrap()
            .insert(call.to_owned(), (status, body));
        self
    }

    /// The calls since the last time, as method, path and body.
    pub fn asked(&self) -> Vec<(String, Value)> {
        let calls = std::mem::take(&mut *self.calls.lock().unwrap());
        calls
            .into_iter()
            .map(|(_, call)| {
                let path = format!("{} {}", call.method, call.path());
                (path, call.body.unwrap_or_default())
            })
            .collect()
    }
}

/// A page: status, headers that matter, and text.
#[derive(Debug)]
pub struct Rendered {
    pub status: u16,
    pub location: String,
    pub cookies: Vec<String>,
    pub text: String,
}

/// A request to the console.
pub fn request(method: &str, page: &str, query: &[(&str, &str)], form: Option<&str>) -> Request {
    let path = format!("/console/{page}");
    let body = form
        .map(|it| Body::Text(it.to_owned()))
        .unwrap_or(Body::Empty);
    let request = lambda_http::http::Request::builder()
        .method(method)
        .uri(path.as_str())
        .header(
            "cookie",
            format!("bellwire-session={TOKEN}; bellwire-portal=name=Acme"),
        )
        .body(body)
        .unwrap();
    let query: HashMap<String, String> = query
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    request
        .with_path_parameters(HashMap::from([("proxy".to_owned(), page.to_owned())]))
        .with_query_string_parameters(query)
        .with_raw_http_path(&path)
}

/// A form that was made for the session.
pub fn form(fields: &[(&str, &str)]) -> String {
    let token = bellwire_web::cookies::form_token(&bellwire_domain::Secret::new(TOKEN));
    let mut text = form_urlencoded::Serializer::new(String::new());
    text.append_pair("form_token", &token).extend_pairs(fields);
    text.finish()
}

pub async fn shown(api: &Canned, request: Request) -> Rendered {
    let app = Aws::with_tables(&[]).await.app("Console", &[]);
    let console = Console::new(api, &app).unwrap();
    let response = console.handle(&request).await;
    let header = |name: &str| response.headers().get(name).and_then(|it| it.to_str().ok());
    Rendered {
        status: response.status().as_u16(),
        location: header("location").unwrap_or_default().to_owned(),
        cookies: response
            .headers()
            .get_all("set-cookie")
            .iter()
            .map(|it: &HeaderValue| it.to_str().unwrap().to_owned())
            .collect(),
        text: String::from_utf8(response.body().as_ref().to_vec()).unwrap(),
    }
}

pub async fn get(api: &Canned, page: &str) -> Rendered {
    shown(api, request("GET", page, &[], None)).await
}

pub async fn get_with(api: &Canned, page: &str, query: &[(&str, &str)]) -> Rendered {
    shown(api, request("GET", page, query, None)).await
}

pub async fn post(api: &Canned, page: &str, fields: &[(&str, &str)]) -> Rendered {
    shown(api, request("POST", page, &[], Some(&form(fields)))).await
}
