//! `/v1/results` and `/v1/scrollResults`: what a finished query has come to, as files and as
//! rows.

mod links;
mod scroll;

use std::time::Duration;

use bellwire_athena::answers::QueryView;
use bellwire_athena::{Athena, Executions};
use bellwire_edge::{Authenticator, Failure, body, ok, serve};
use bellwire_notifications::{Completions, Publisher};
use bellwire_queues::Queue;
use bellwire_results::Results;
use bellwire_rules::{ClientId, ExecutionId, QueryState};
use bellwire_runtime::aws::{self, Lazy};
use bellwire_runtime::env::required;
use bellwire_runtime::logs;
use bellwire_store::{Clients, Queries, Query};
use lambda_http::http::Response;
use lambda_http::{Body, Error, Request};

/// What the function keeps between requests.
struct ResultsFunction {
    authenticator: Authenticator,
    queries: Queries,
    athena: Athena,
    executions: Executions,
    results: Results,
    renderings: Queue,
    /// How long a caller waits for a rendering.
    patience: Duration,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    logs::start();
    let function = &ResultsFunction::from_env()?;
    serve(|request| function.handle(request)).await
}

impl ResultsFunction {
    fn from_env() -> Result<Self, Error> {
        let config = aws::lambda_config()?;
        let db = aws_sdk_dynamodb::Client::new(&config);
        let sns = Lazy::new(&config, aws_sdk_sns::Client::new);
        let sqs = Lazy::new(&config, aws_sdk_sqs::Client::new);
        let queries = Queries::new(db.clone(), required("QUERIES_TABLE")?);
        let publisher = Publisher::new(sns, required("TOPIC_PREFIX")?);
        let athena = Athena::new(&config);
        let clients = Clients::new(db, required("CLIENTS_TABLE")?);
        Ok(Self {
            authenticator: Authenticator::new(clients.clone()),
            executions: Executions::new(
                athena.clone(),
                Completions::new(queries.clone(), clients, publisher),
            ),
            queries,
            athena,
            results: Results::new(&config, required("RESULTS_BUCKET")?),
            renderings: Queue::new(sqs, required("RENDERINGS_QUEUE_URL")?),
            patience: Duration::from_secs(required("RENDERING_SECONDS")?),
        })
    }

    async fn handle(&self, request: Request) -> Result<Response<Body>, Failure> {
        let client = self.authenticator.client(&request).await?.client_id;
        if request.uri().path().ends_with("/scrollResults") {
            let range = body::json::<scroll::ScrollRequest>(&request)?.check()?;
            let query = self.own(&client, &range.execution_id).await?;
            if query.state != QueryState::Succeeded {
                return ok(&QueryView::from(query));
            }
            self.scroll(range).await
        } else {
            let links: links::LinksRequest = body::json(&request)?;
            let id = links.execution_id()?;
            let query = self.own(&client, &id).await?;
            if query.state != QueryState::Succeeded {
                return ok(&QueryView::from(query));
            }
            ok(&self.links(id).await?)
        }
    }

    /// The client's own query of this id, as it stands.
    async fn own(&self, client: &ClientId, id: &ExecutionId) -> Result<Query, Failure> {
        let query = self
            .queries
            .get(id)
            .await?
            .filter(|query| query.client_id.as_ref() == Some(client))
            .ok_or_else(|| Failure::not_found("QueryExecutionId: there is no such query"))?;
        if !query.ours {
            return Err(Failure::conflict(
                "QueryExecutionId: the result of this query is not kept here",
            ));
        }
        Ok(self.executions.refresh_one(query).await)
    }
}
