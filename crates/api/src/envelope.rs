//! Responses in the envelope of protocol C: `{"status": {"status_code": 200}, "data": {…}}`, and for
//! errors `{"status": {"status_code": 400, "message": "…", "errors": [{"code": 400, "message": "…"}], …}}`, with an
//! entry for each mistake. Lists have `pagination` beside `data`.

use http::{Response, StatusCode};
use lambda_http::{Body, Error, Request, RequestExt};
use serde::Serialize;
use serde_json::{Map, json};

use crate::accept::ErrorForm;
use crate::edge::Edge;
use crate::serve::{Said, json_text, serve_with};
use crate::{Failure, called_path};

/// The parameters of a list that are repeated in the path of its next page; `client_secret` is none of them.
const OF_LIST: [&str; 11] = [
    "client_id",
    "entity_key",
    "subscription_key",
    "webhook_key",
    "state",
    "callback_event",
    "code",
    "start",
    "end",
    "limit",
    ALWAYS_200,
];
/// With this parameter, `true`, every response has the HTTP status 200; `status_code` says the truth.
const ALWAYS_200: &str = "always_use_http_status_code_200";

/// As [`crate::serve()`], with failures in the envelope.
pub async fn serve<F, Fut>(edge: Edge, handle: F) -> Result<(), Error>
where
    F: Fn(Request) -> Fut,
    Fut: Future<Output = Result<Response<Body>, Failure>> + Send,
{
    serve_with(edge, handle, failed, always_200).await
}

/// The response to a request that failed, of a function that has paths of other protocols as well.
pub fn refused(request: &Request, failure: Failure) -> Response<Body> {
    failure.log();
    let context = request.lambda_context_ref();
    let said = Said {
        request_id: context.map_or("", |context| &context.request_id),
        form: ErrorForm::Plain,
    };
    let mut response = failed(failure, said);
    if always_200(request) {
        *response.status_mut() = StatusCode::OK;
    }
    response
}

/// A response with this status, and with data in the envelope.
///
/// # Errors
/// 500 when the data can't be written as JSON.
pub fn with(status: StatusCode, data: &impl Serialize) -> Result<Response<Body>, Failure> {
    let data = serde_json::to_value(data).map_err(Failure::internal)?;
    let body = json!({ "status": { "status_code": status.as_u16() }, "data": data });
    Ok(json_text(status, body.to_string()))
}

/// 200, with a page of a list in the envelope, and beside it `"pagination": {"next": …}`: the path of the next page, with
/// its query, or null on the last page. `next_cursor` is the cursor of the next page.
///
/// The path is as the caller sees it, with the parameters of its request that belong to the list. It has no secret: the
/// caller authenticates again.
///
/// # Errors
/// 500 when the data can't be written as JSON.
pub fn page(
    request: &Request,
    data: &impl Serialize,
    next_cursor: Option<&str>,
) -> Result<Response<Body>, Failure> {
    let data = serde_json::to_value(data).map_err(Failure::internal)?;
    let next = next_cursor.map(|cursor| next_page(request, cursor));
    let body = json!({
        "status": { "status_code": StatusCode::OK.as_u16() },
        "data": data,
        "pagination": { "next": next },
    });
    Ok(json_text(StatusCode::OK, body.to_string()))
}

/// The path and the query of the page of the same list that begins at the cursor.
fn next_page(request: &Request, cursor: &str) -> String {
    let parameters = request.query_string_parameters();
    let mut query = form_urlencoded::Serializer::new(String::new());
    for name in OF_LIST {
        if let Some(value) = parameters.first(name) {
            query.append_pair(name, value);
        }
    }
    query.append_pair("cursor", cursor);
    // Not everybody reads + as a space; a plus sign has become %2B already.
    let query = query.finish().replace('+', "%20");
    format!("{}?{query}", called_path(request))
}

/// 200, without data.
pub fn done() -> Result<Response<Body>, Failure> {
    let status = StatusCode::OK;
    let body = json!({ "status": { "status_code": status.as_u16() } });
    Ok(json_text(status, body.to_string()))
}

/// Whether the caller of a request wants every response to have the HTTP status 200.
fn always_200(request: &Request) -> bool {
    let parameters = request.query_string_parameters();
    parameters.first(ALWAYS_200) == Some("true")
}

/// The response to a request that failed.
fn failed(failure: Failure, said: Said<'_>) -> Response<Body> {
    let code = failure.status();
    let mut status = Map::new();
    status.insert("status_code".to_owned(), code.as_u16().into());
    status.insert("message".to_owned(), failure.message().into());
    if let Some(field) = failure.named_field() {
        status.insert("field".to_owned(), field.into());
    }
    status.insert("request_id".to_owned(), said.request_id.into());
    let errors = failure
        .mistakes()
        .map(|mistake| json!({ "code": code.as_u16(), "message": mistake.message }));
    status.insert("errors".to_owned(), errors.collect());
    failure.add_headers(json_text(code, json!({ "status": status }).to_string()))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde_json::Value;

    use super::*;
    use crate::Mistakes;

    fn body(response: &Response<Body>) -> Value {
        serde_json::from_slice(response.body().as_ref()).unwrap()
    }

    fn request(parameters: &[(&str, &str)]) -> Request {
        let request = http::Request::get("/subscriptions")
            .body(Body::Empty)
            .unwrap();
        let parameters = parameters.iter();
        let parameters: HashMap<String, Vec<String>> = parameters
            .map(|(name, value)| ((*name).to_owned(), vec![(*value).to_owned()]))
            .collect();
        request.with_query_string_parameters(parameters)
    }

    fn explained(failure: Failure) -> Value {
        let said = Said {
            request_id: "r1",
            form: ErrorForm::Problem,
        };
        let status = failure.status();
        let response = failed(failure, said);
        assert_eq!(response.status(), status);
        body(&response)["status"].clone()
    }

    #[test]
    fn an_error_has_an_entry_for_each_mistake() {
        assert_eq!(
            explained(Failure::field("limit", "is none")),
            json!({
                "status_code": 400, "message": "limit: is none", "field": "limit", "request_id": "r1",
                "errors": [{"code": 400, "message": "limit: is none"}],
            })
        );
        assert_eq!(
            explained(Failure::not_found("there is none")),
            json!({
                "status_code": 404, "message": "there is none", "request_id": "r1",
                "errors": [{"code": 404, "message": "there is none"}],
            })
        );
        let mut mistakes = Mistakes::default();
        for field in ["a", "b"] {
            mistakes.check::<()>(Err(Failure::field(field, "is wrong")));
        }
        assert_eq!(
            explained(mistakes.into_failure())["errors"],
            json!([{"code": 400, "message": "a: is wrong"}, {"code": 400, "message": "b: is wrong"}])
        );
    }

    #[test]
    fn a_list_says_where_its_next_page_is_without_the_secret() {
        let request = request(&[
            ("client_secret", "hunter2"),
            ("client_id", "cl_1"),
            ("cursor", "before"),
            ("entity_key", "a b+c&d=é"),
            ("limit", "2"),
            ("other", "hunter3"),
        ]);
        let page = body(&page(&request, &json!({"things": []}), Some("AbC_-")).unwrap());
        assert_eq!(
            page,
            json!({
                "status": {"status_code": 200},
                "data": {"things": []},
                "pagination": {
                    "next": "/subscriptions?client_id=cl_1&entity_key=a%20b%2Bc%26d%3D%C3%A9&limit=2&cursor=AbC_-",
                },
            })
        );
    }

    #[test]
    fn the_last_page_has_no_next_one() {
        let page = body(&page(&request(&[]), &json!({}), None).unwrap());
        assert_eq!(page["pagination"], json!({"next": null}));
    }

    #[test]
    fn only_true_asks_for_200_whatever_happens() {
        assert!(always_200(&request(&[(ALWAYS_200, "true")])));
        for said in ["", "false", "TRUE", "1"] {
            assert!(!always_200(&request(&[(ALWAYS_200, said)])), "{said}");
        }
        assert!(!always_200(&request(&[])));
    }
}
