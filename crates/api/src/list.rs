//! Pages of lists that are read as a whole, then searched and sorted here.

use std::cmp::Ordering;

use bellwire_domain::paging::{Direction, PageRequest};
use bellwire_domain::topic::search::Search;
use http::{Response, StatusCode, header};
use lambda_http::{Body, Request, RequestExt};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{Failure, called_path};

/// What is encoded in a path: <https://www.rfc-editor.org/rfc/rfc3986#section-3.3>.
const NOT_IN_A_PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The largest response, in bytes: Lambda returns at most 6 MB.
const MAX_ANSWER: usize = 5 * 1024 * 1024;

/// The page of a list that the request's `page`, `pageSize`, `sort` and `search` ask for: `{"items":
/// […], "links": {"self", "first", "prev", "next", "last"}}`, and the same links in the header `Link`
/// (RFC 8288). `fields` are those that the list can be sorted by; inner ones are written `publisher.type`. Links are
/// the path that was called, with its stage and its spelling, and another query.
///
/// # Errors
/// 400 when a parameter is malformed, or the page is too large for a response.
pub fn page(
    request: &Request,
    items: Vec<impl Serialize>,
    fields: &[&str],
) -> Result<Response<Body>, Failure> {
    let parameters = request.query_string_parameters();
    let wanted = PageRequest::parse(
        parameters.first("page"),
        parameters.first("pageSize"),
        parameters.first("sort"),
        fields,
    )
    .map_err(|bad| Failure::field(bad.parameter(), &bad))?;
    let search = parameters
        .first("search")
        .map(Search::parse)
        .transpose()
        .map_err(|bad| Failure::field("search", bad))?;

    let mut items: Vec<Value> = items
        .into_iter()
        .map(serde_json::to_value)
        .collect::<Result<_, _>>()
        .map_err(Failure::internal)?;
    if let Some(search) = search {
        items.retain(|item| search.matches(item));
    }
    if let Some((field, direction)) = &wanted.sort {
        items.sort_by(|a, b| compare(a, b, field, *direction));
    }
    let mut links = Map::new();
    let mut header_value = Vec::new();
    // As it was sent, or decoded already.
    let path = percent_decode_str(called_path(request)).decode_utf8_lossy();
    let path = utf8_percent_encode(&path, NOT_IN_A_PATH).to_string();
    for (name, page) in wanted.others(items.len()) {
        let kept = ["sort", "search"].map(|name| (name, parameters.first(name)));
        let target = target(&path, page, wanted.size(), &kept);
        header_value.push(format!("<{target}>; rel=\"{name}\""));
        links.insert(name.to_owned(), target.into());
    }
    let answer = serde_json::json!({ "items": wanted.select(items), "links": links });
    // In what Lambda returns, the response is a string in JSON, so that it is quoted once more.
    let length = serde_json::to_string(&answer.to_string()).map_or(0, |it| it.len());
    if length > MAX_ANSWER {
        return Err(Failure::field(
            "pageSize",
            "this page is too large; please ask for fewer items",
        ));
    }
    let mut response = crate::serve::json(StatusCode::OK, &answer)?;
    let header_value = header_value.join(", ");
    if let Ok(value) = header::HeaderValue::from_str(&header_value) {
        response.headers_mut().insert(header::LINK, value);
    }
    Ok(response)
}

/// Compares two items by a field. An item in which it is missing or not a string is the smallest.
fn compare(a: &Value, b: &Value, field: &str, direction: Direction) -> Ordering {
    let order = text_at(a, field).cmp(&text_at(b, field));
    match direction {
        Direction::Ascending => order,
        Direction::Descending => order.reverse(),
    }
}

/// The text of a field, or of an inner one: `publisher.type`; `None` when it is missing or not a string.
fn text_at<'a>(item: &'a Value, field: &str) -> Option<&'a str> {
    let inner = field.split('.').try_fold(item, |it, name| it.get(name));
    inner.and_then(Value::as_str)
}

/// The link to a page of the list at this path. `kept` are the request's other parameters.
fn target(path: &str, page: usize, size: usize, kept: &[(&str, Option<&str>)]) -> String {
    let start = format!("{path}?");
    let length = start.len();
    let mut query = form_urlencoded::Serializer::for_suffix(start, length);
    query.append_pair("page", &page.to_string());
    query.append_pair("pageSize", &size.to_string());
    for (name, value) in kept {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    query.finish()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use lambda_http::aws_lambda_events::apigw::ApiGatewayProxyRequestContext;
    use lambda_http::request::RequestContext;
    use serde_json::json;

    use super::*;

    /// The body and the `Link` header of a page of three items.
    fn get(path: &str, parameters: &[(&str, &str)]) -> (Value, String) {
        let mut context = ApiGatewayProxyRequestContext::default();
        context.path = Some(path.to_owned());
        let parameters: HashMap<String, String> = parameters
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let request = http::Request::get("/topics").body(Body::Empty).unwrap();
        let request = request
            .with_query_string_parameters(parameters)
            .with_request_context(RequestContext::ApiGatewayV1(context));
        let item = |id: u8, payload: Value| json!({"id": id, "publisher": {"payload": payload}});
        let items = vec![
            item(1, json!({"type": "snapshot"})),
            item(2, json!({"type": "event"})),
            item(3, json!(null)),
        ];
        let response = page(&request, items, &["publisher.payload.type"]).unwrap();
        let link = response.headers()[header::LINK].to_str().unwrap();
        let body = serde_json::from_slice(response.body().as_ref()).unwrap();
        (body, link.to_owned())
    }

    #[test]
    fn links_are_paths_as_they_were_called() {
        let (body, link) = get("/live/topics", &[("pageSize", "2"), ("search", "a?")]);
        assert_eq!(
            body["links"]["self"],
            "/live/topics?page=1&pageSize=2&search=a%3F"
        );
        assert!(
            link.starts_with("</live/topics?page=1&pageSize=2&search=a%3F>; rel=\"self\""),
            "{link}"
        );
        for (called, shown) in [
            (
                "/live/topics/a%20b/x",
                "/live/topics/a%20b/x?page=1&pageSize=20",
            ),
            (
                "/live/topics/a ü/x",
                "/live/topics/a%20%C3%BC/x?page=1&pageSize=20",
            ),
        ] {
            let (body, link) = get(called, &[]);
            assert_eq!(body["links"]["last"], shown);
            assert!(link.contains(&format!("<{shown}>; rel=\"last\"")), "{link}");
        }
    }

    #[test]
    fn items_are_sorted_by_inner_fields() {
        for (sort, ids) in [("ASC", [3, 2, 1]), ("DESC", [1, 2, 3])] {
            let sort = format!("publisher.payload.type,{sort}");
            let (body, _) = get("/topics", &[("sort", &sort)]);
            let found = body["items"].as_array().unwrap().iter();
            let found: Vec<u64> = found.map(|it| it["id"].as_u64().unwrap()).collect();
            assert_eq!(found, ids);
        }
    }
}
