//! `/v1/queries`: runs queries for clients, puts those on record that the provider has
//! started itself, and shows them.
//!
//! `POST` is [`run`] or [`register`], `GET /v1/queries` is [`list`].

mod concurrency;
mod list;
mod register;
mod request;
mod run;

use bellwire_athena::answers::QueryView;
use bellwire_athena::{Athena, Executions};
use bellwire_edge::{Authenticator, Failure, body, idempotency_key, ok, serve};
use bellwire_notifications::{Completions, Publisher};
use bellwire_rules::running_queries::Concurrency;
use bellwire_rules::{ClientId, ExecutionId};
use bellwire_runtime::aws::{self, Lazy};
use bellwire_runtime::env::required;
use bellwire_runtime::logs;
use bellwire_store::{Clients, Queries};
use lambda_http::http::{Method, Response};
use lambda_http::{Body, Error, Request, RequestExt};

use crate::concurrency::ClientConcurrency;
use crate::request::{QueryCommand, QueryRequest};
use crate::run::Workgroup;

/// What the function keeps between requests.
struct QueriesFunction {
    authenticator: Authenticator,
    clients: Clients,
    queries: Queries,
    completions: Completions,
    athena: Athena,
    executions: Executions,
    places: ClientConcurrency,
    /// Where queries run, if this stack runs any.
    workgroup: Option<Workgroup>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    logs::start();
    let function = &QueriesFunction::from_env()?;
    serve(|request| function.handle(request)).await
}

impl QueriesFunction {
    fn from_env() -> Result<Self, Error> {
        let config = aws::lambda_config()?;
        let db = aws_sdk_dynamodb::Client::new(&config);
        let sns = Lazy::new(&config, aws_sdk_sns::Client::new);
        let clients = Clients::new(db.clone(), required("CLIENTS_TABLE")?);
        let queries = Queries::new(db, required("QUERIES_TABLE")?);
        let publisher = Publisher::new(sns, required("TOPIC_PREFIX")?);
        let completions = Completions::new(queries.clone(), clients.clone(), publisher);
        let athena = Athena::new(&config);
        let name: String = required("WORKGROUP")?;
        let workgroup = (!name.is_empty())
            .then(|| {
                Ok::<_, Error>(Workgroup {
                    name,
                    database: required("QUERY_DATABASE")?,
                })
            })
            .transpose()?;
        let executions = Executions::new(athena.clone(), completions.clone());
        let limits = Concurrency {
            queries: required("RUNNING_QUERIES_PER_CLIENT")?,
            waiting: required("WAITING_REQUESTS_PER_CLIENT")?,
        };
        Ok(Self {
            authenticator: Authenticator::new(clients.clone()),
            places: ClientConcurrency::new(queries.clone(), executions.clone(), limits),
            executions,
            completions,
            clients,
            queries,
            athena,
            workgroup,
        })
    }

    async fn handle(&self, request: Request) -> Result<Response<Body>, Failure> {
        let client = self.authenticator.client(&request).await?;
        if request.method() == Method::POST {
            let body: QueryRequest = body::large_json(&request)?;
            return match body.into_command(idempotency_key::of(&request)?)? {
                QueryCommand::RunQuery(query) => self.run(&client.client_id, query).await,
                QueryCommand::RegisterQuery(_) if !client.publisher => {
                    Err(Failure::publishers_only())
                }
                QueryCommand::RegisterQuery(query) => ok(&self.register(query).await?),
            };
        }
        match request.path_parameters().first("id") {
            Some(id) => ok(&self.show(&client.client_id, id).await?),
            None => ok(&self.list(&client.client_id, &request).await?),
        }
    }

    /// Shows a query to its owner, as it stands. Somebody else's doesn't exist.
    async fn show(&self, client: &ClientId, id: &str) -> Result<QueryView, Failure> {
        let id = ExecutionId::parse(id).map_err(|bad| Failure::field("QueryExecutionId", bad))?;
        let query = self
            .queries
            .get(&id)
            .await?
            .filter(|query| query.client_id.as_ref() == Some(client))
            .ok_or_else(|| Failure::not_found("QueryExecutionId: there is no such query"))?;
        Ok(self.executions.refresh_one(query).await.into())
    }
}
