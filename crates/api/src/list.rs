//! Pages of lists that are read as a whole, then searched and sorted here.

use std::cmp::Ordering;

use bellwire_domain::paging::{Direction, PageRequest};
use bellwire_domain::topic::search::Search;
use http::{Response, StatusCode, header};
use lambda_http::{Body, Request, RequestExt};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::Failure;

/// The largest response, in bytes: Lambda returns at most 6 MB.
const MAX_ANSWER: usize = 5 * 1024 * 1024;

/// The page of a list that the request's `page`, `pageSize`, `sort` and `search` ask for: `{"items":
/// […], "links": {"self", "first", "prev", "next", "last"}}`, and the same links in the header `Link`
/// (RFC 8288). `fields` are those that the list can be sorted by. Links are relative to the request's
/// URL, so that they are valid behind every host name and stage.
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
    .map_err(|bad| Failure::bad_request(bad.to_string()))?;
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
    for (name, page) in wanted.others(items.len()) {
        let kept = ["sort", "search"].map(|name| (name, parameters.first(name)));
        let target = target(page, wanted.size(), &kept);
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
    let key = |item: &Value| item.get(field).and_then(Value::as_str).map(str::to_owned);
    let order = key(a).cmp(&key(b));
    match direction {
        Direction::Ascending => order,
        Direction::Descending => order.reverse(),
    }
}

/// The link to a page of the same list: a query string. `kept` are the request's other parameters.
fn target(page: usize, size: usize, kept: &[(&str, Option<&str>)]) -> String {
    let mut query = form_urlencoded::Serializer::for_suffix(String::from("?"), 1);
    query.append_pair("page", &page.to_string());
    query.append_pair("pageSize", &size.to_string());
    for (name, value) in kept {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    query.finish()
}
