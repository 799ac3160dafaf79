//! `/v1/queries`: the queries of clients (protocol A).
//!
//! - `POST {"QueryString"}` runs a query: `run`, within the limits of `concurrency`.
//! - `POST {"QueryExecutionId", "client_id"}` registers a query that a publisher has started itself:
//!   `register`.
//! - `GET /v1/queries` lists the client's queries: `list`.
//! - `GET /v1/queries/{id}` returns one: this file.
//!
//! `request` checks the bodies, `routes` recognises the calls.

mod concurrency;
mod list;
mod register;
mod request;
mod routes;
mod run;

use bellwire_api::{Authenticator, Failure, body, idempotency_key, ok, path_parameter, route};
use bellwire_app::{App, BadSetting, Setting};
use bellwire_athena::answers::QueryView;
use bellwire_athena::{Athena, Executions};
use bellwire_domain::query::running_queries::Concurrency;
use bellwire_domain::{ClientId, ExecutionId};
use bellwire_query_notifications::Completions;
use bellwire_store::{Clients, Queries};
use lambda_http::http::Response;
use lambda_http::{Body, Request};

use crate::concurrency::ClientConcurrency;
use crate::request::{QueryCommand, QueryRequest};
pub use crate::routes::Route;
use crate::run::Workgroup;

/// The function, with what it keeps between requests.
#[derive(Debug)]
pub struct QueriesFunction {
    authenticator: Authenticator,
    clients: Clients,
    queries: Queries,
    completions: Completions,
    athena: Athena,
    executions: Executions,
    concurrency: ClientConcurrency,
    /// The workgroup that queries run in; `None` in a stack that runs none.
    workgroup: Option<Workgroup>,
}

impl QueriesFunction {
    /// Takes the function's tables, clients of AWS and settings from `app`.
    ///
    /// # Errors
    /// When a setting is missing or malformed.
    pub fn new(app: &App) -> Result<Self, BadSetting> {
        let name: String = app.setting(Setting::Workgroup)?;
        let workgroup = if name.is_empty() {
            None
        } else {
            let database = app.setting(Setting::QueryDatabase)?;
            Some(Workgroup { name, database })
        };
        let limits = Concurrency {
            queries: app.setting(Setting::RunningQueriesPerClient)?,
            waiting: app.setting(Setting::WaitingRequestsPerClient)?,
        };
        Ok(Self {
            authenticator: app.authenticator()?,
            concurrency: ClientConcurrency::new(app.queries()?, app.executions()?, limits),
            executions: app.executions()?,
            completions: app.completions()?,
            clients: app.clients()?,
            queries: app.queries()?,
            athena: app.athena(),
            workgroup,
        })
    }

    /// Responds to a request.
    ///
    /// # Errors
    /// 400 for a body or parameter that is refused; 401; 403 when the stack runs no queries, or a query
    /// is registered by a client that is not a publisher; 404; 409 when the query is on record for
    /// another client, or the token came with another query; 413; 429 when the client has too much in
    /// progress; 500 when AWS fails; 503 when Athena throttles, or another request interferes.
    pub async fn handle(&self, request: Request) -> Result<Response<Body>, Failure> {
        let route = route(&request, Route::of)?;
        let client = self.authenticator.client(&request).await?;
        match route {
            Route::List => ok(&self.list(&client.client_id, &request).await?),
            Route::Show => {
                let id = path_parameter(&request, "id")?;
                ok(&self.show(&client.client_id, &id).await?)
            }
            Route::RunOrRegister => {
                let body: QueryRequest = body::large_json(&request)?;
                match body.into_command(idempotency_key::of(&request)?)? {
                    QueryCommand::RunQuery(query) => self.run(&client.client_id, query).await,
                    QueryCommand::RegisterQuery(_) if !client.may_publish() => {
                        Err(Failure::publishers_only())
                    }
                    QueryCommand::RegisterQuery(query) => ok(&self.register(query).await?),
                }
            }
        }
    }

    /// The view of the client's own query with this id, brought up to date with Athena. 400 if the id
    /// is malformed; 404 if the client has no such query.
    async fn show(&self, client: &ClientId, id: &str) -> Result<QueryView, Failure> {
        let id = ExecutionId::parse(id).map_err(|bad| Failure::field("QueryExecutionId", bad))?;
        let query = self
            .queries
            .get(&id)
            .await?
            .filter(|query| query.client_id.as_ref() == Some(client))
            .ok_or_else(|| {
                Failure::not_found("there is no such query").of_field("QueryExecutionId")
            })?;
        Ok(self.executions.refresh_one(query).await.into())
    }
}
