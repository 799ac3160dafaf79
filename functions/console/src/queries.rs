//! `queries`: a client's queries, newest first, and `queries/{id}`: one with the first rows of its result.

use askama::Template;
use bellwire_domain::timestamp::iso_serde;
use bellwire_web::api::Api;
use bellwire_web::{
    Answer, Call, Notice, Shell, Trouble, Visit, When, page, sentence, status_page,
};
use lambda_http::http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value};
use time::OffsetDateTime;

use crate::QUERIES;

/// How many a page has.
const PAGE: &str = "50";
/// How many rows of a result are shown.
const ROWS: &str = "20";
/// The states of queries.
const STATES: [&str; 5] = ["QUEUED", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED"];

#[derive(Template)]
#[template(path = "queries.html")]
struct QueriesPage {
    shell: Shell,
    states: Vec<(&'static str, bool)>,
    state: String,
    rows: Vec<Row>,
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "query.html")]
struct QueryPage {
    shell: Shell,
    row: Row,
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
    /// Whether there are more rows.
    more: bool,
    csv: Option<String>,
    json: Option<String>,
    /// Why there is no result.
    problem: Option<String>,
}

/// A query as it is shown.
struct Row {
    id: String,
    state: String,
    submitted: Option<When>,
    completed: Option<When>,
    reason: String,
}

impl Row {
    fn class(&self) -> &'static str {
        match self.state.as_str() {
            "SUCCEEDED" => "good",
            "FAILED" => "bad",
            "RUNNING" | "QUEUED" => "warn",
            _ => "",
        }
    }

    fn of<A: Api>(query: Query, visit: &Visit<'_, A>) -> Self {
        let status = query.status;
        Self {
            id: query.id,
            state: status.state,
            submitted: status.submission_date_time.map(|at| visit.when(at)),
            completed: status.completion_date_time.map(|at| visit.when(at)),
            reason: status.state_change_reason.unwrap_or_default(),
        }
    }
}

#[derive(Deserialize)]
struct Query {
    #[serde(rename = "QueryExecutionId")]
    id: String,
    #[serde(rename = "Status")]
    status: Status,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Status {
    state: String,
    #[serde(default, with = "iso_serde::option")]
    submission_date_time: Option<OffsetDateTime>,
    #[serde(default, with = "iso_serde::option")]
    completion_date_time: Option<OffsetDateTime>,
    state_change_reason: Option<String>,
}

#[derive(Deserialize)]
struct Queries {
    next_token: Option<String>,
    query_executions: Vec<Query>,
}

#[derive(Default, Deserialize)]
struct Rows {
    #[serde(default)]
    results: Vec<Map<String, Value>>,
    #[serde(rename = "NextToken")]
    next_token: Option<String>,
}

#[derive(Default, Deserialize)]
struct Links {
    csv: Option<String>,
    json: Option<String>,
}

/// The list.
pub async fn list<A: Api>(visit: &Visit<'_, A>) -> Answer {
    let query = visit.query();
    let state = query.get("state");
    let call = Call::get("/v1/queries")
        .query("pagesize", PAGE)
        .query("state", state)
        .query("pagination_token", query.get("from"));
    let (found, notice, status) = match visit.read::<Queries>(call).await {
        Ok(found) => (found, None, StatusCode::OK),
        Err(Trouble::Refused(refusal)) => {
            let nothing = Queries {
                next_token: None,
                query_executions: Vec::new(),
            };
            let notice = Notice::error(sentence(&refusal.message));
            (nothing, Some(notice), StatusCode::BAD_REQUEST)
        }
        Err(other) => return Err(other),
    };
    let rows = found
        .query_executions
        .into_iter()
        .map(|it| Row::of(it, visit));
    let page = QueriesPage {
        shell: visit.shell("Queries").under(QUERIES).with(notice),
        states: STATES.iter().map(|it| (*it, *it == state)).collect(),
        state: state.to_owned(),
        rows: rows.collect(),
        next: found.next_token,
    };
    status_page(status, &page)
}

/// One query.
pub async fn show<A: Api>(visit: &Visit<'_, A>, id: &str) -> Answer {
    let query: Query = visit
        .read(Call::get("/v1/queries/{id}").at("id", id))
        .await?;
    let row = Row::of(query, visit);
    let (mut rows, mut links, mut problem) = (Rows::default(), Links::default(), None);
    if row.state == "SUCCEEDED" {
        let rows_call = Call::get("/v1/scrollResults")
            .query("QueryExecutionId", id)
            .query("MaxResults", ROWS);
        let links_call = Call::get("/v1/results").query("QueryExecutionId", id);
        let (found, linked) = tokio::join!(
            visit.read::<Rows>(rows_call),
            visit.read::<Links>(links_call)
        );
        match found {
            Ok(found) => rows = found,
            Err(trouble) => problem = Some(explained(trouble)?),
        }
        match linked {
            Ok(linked) => links = linked,
            Err(trouble) => problem = Some(explained(trouble)?),
        }
    }
    let columns: Vec<String> = rows
        .results
        .first()
        .map(|row| row.keys().cloned().collect())
        .unwrap_or_default();
    let cells = rows.results.iter().map(|row| {
        let cell = |name: &String| match row.get(name) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        columns.iter().map(cell).collect()
    });
    page(&QueryPage {
        shell: visit.shell("Query").under(QUERIES),
        rows: cells.collect(),
        more: rows.next_token.is_some(),
        columns,
        csv: links.csv,
        json: links.json,
        problem,
        row,
    })
}

/// Why a result isn't shown, where that is no failure of ours.
fn explained(trouble: Trouble) -> Result<String, Trouble> {
    match trouble {
        Trouble::Refused(refusal) => Ok(sentence(&refusal.message)),
        Trouble::NotFound => Ok("The result is not kept any more.".to_owned()),
        other => Err(other),
    }
}
