//! `/v1/results` and `/v1/scrollResults`: the results of queries (protocol A).
//!
//! - `POST /v1/results` returns links to a result's files: `links`.
//! - `POST /v1/scrollResults` returns a result's rows, page by page: `scroll`.
//!
//! For a query that has not succeeded, both return its state. The body may be the whole object that
//! `/v1/queries` returns of a query: keys that mean nothing here are ignored. With `GET`, what a body
//! has stands in the query string: `parameter`. `routes` recognises the calls.

mod links;
mod parameter;
mod routes;
mod scroll;

use std::time::Duration;

use bellwire_api::{Authenticator, Failure, body, ok, route};
use bellwire_app::{App, BadSetting, Setting};
use bellwire_athena::answers::QueryView;
use bellwire_athena::{Athena, Executions};
use bellwire_domain::{ClientId, ExecutionId, QueryState};
use bellwire_objects::Results;
use bellwire_queues::Queue;
use bellwire_store::{Queries, Query};
use lambda_http::http::Response;
use lambda_http::{Body, Request};

pub use crate::routes::Route;

/// The function, with what it keeps between requests.
#[derive(Debug)]
pub struct ResultsFunction {
    authenticator: Authenticator,
    queries: Queries,
    athena: Athena,
    executions: Executions,
    results: Results,
    renderings: Queue,
    /// How long a request waits for a rendering.
    patience: Duration,
}

impl ResultsFunction {
    /// Takes the function's tables, bucket, queue and settings from `app`.
    ///
    /// # Errors
    /// When a setting is missing or malformed.
    pub fn new(app: &App) -> Result<Self, BadSetting> {
        Ok(Self {
            authenticator: app.authenticator()?,
            queries: app.queries()?,
            athena: app.athena(),
            executions: app.executions()?,
            results: app.results()?,
            renderings: app.queue(Setting::RenderingsQueueUrl)?,
            patience: Duration::from_secs(app.setting(Setting::RenderingSeconds)?),
        })
    }

    /// Responds to a request.
    ///
    /// # Errors
    /// 400 for a body or parameter that is refused; 401; 404 when the client has no such query; 409 when its result
    /// is not kept by this stack; 410 when its result is not kept any more; 413; 500 when AWS fails;
    /// 503 when Athena throttles.
    pub async fn handle(&self, request: Request) -> Result<Response<Body>, Failure> {
        let route = route(&request, Route::of)?;
        let client = self.authenticator.client(&request).await?.client_id;
        match route {
            Route::GetLinks => {
                let links = links::LinksRequest::from_parameters(&request)?;
                self.links_or_state(&client, links).await
            }
            Route::PostLinks => self.links_or_state(&client, body::json(&request)?).await,
            Route::GetRows => {
                let rows = scroll::ScrollRequest::from_parameters(&request)?;
                self.rows_or_state(&client, rows).await
            }
            Route::PostRows => self.rows_or_state(&client, body::json(&request)?).await,
        }
    }

    /// Links to the files of a result; the query's state if there is none.
    async fn links_or_state(
        &self,
        client: &ClientId,
        links: links::LinksRequest,
    ) -> Result<Response<Body>, Failure> {
        let id = links.execution_id()?;
        let query = self.own(client, &id).await?;
        if query.state != QueryState::Succeeded {
            return ok(&QueryView::from(query));
        }
        ok(&self.links(id).await?)
    }

    /// Rows of a result; the query's state if there is none.
    async fn rows_or_state(
        &self,
        client: &ClientId,
        rows: scroll::ScrollRequest,
    ) -> Result<Response<Body>, Failure> {
        let range = rows.check()?;
        let query = self.own(client, &range.execution_id).await?;
        if query.state != QueryState::Succeeded {
            return ok(&QueryView::from(query));
        }
        self.scroll(range).await
    }

    /// The client's own query with this id, brought up to date with Athena. 404 if there is none; 409
    /// if it did not run in this stack's workgroup, so that its result is not here.
    async fn own(&self, client: &ClientId, id: &ExecutionId) -> Result<Query, Failure> {
        let query = self
            .queries
            .get(id)
            .await?
            .filter(|query| query.client_id.as_ref() == Some(client))
            .ok_or_else(|| {
                Failure::not_found("there is no such query").of_field("QueryExecutionId")
            })?;
        if !query.ours {
            return Err(Failure::conflicting_field(
                "QueryExecutionId",
                "the result of this query is not kept here",
            ));
        }
        Ok(self.executions.refresh_one(query).await)
    }
}
