//! `/v1/queries`: puts a query execution on record for a client, and shows it.
//!
//! `POST` is [`register`], `GET /v1/queries/{id}` is [`show`].

mod register;
mod show;

use bellwire_edge::{Authenticator, Failure, body, ok, serve};
use bellwire_notifications::{Completions, Publisher};
use bellwire_runtime::env::required;
use bellwire_runtime::{aws, logs};
use bellwire_store::{Clients, Queries};
use lambda_http::http::{Method, Response};
use lambda_http::{Body, Error, Request, RequestExt};

/// What the function keeps between requests.
struct Function {
    authenticator: Authenticator,
    clients: Clients,
    queries: Queries,
    completions: Completions,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    logs::start();
    let function = &Function::from_env()?;
    serve(|request| function.handle(request)).await
}

impl Function {
    fn from_env() -> Result<Self, Error> {
        let config = aws::lambda_config()?;
        let db = aws_sdk_dynamodb::Client::new(&config);
        let sns = aws_sdk_sns::Client::new(&config);
        let clients = Clients::new(db.clone(), required("CLIENTS_TABLE")?);
        let queries = Queries::new(db, required("QUERIES_TABLE")?);
        let publisher = Publisher::new(sns, required("TOPIC_PREFIX")?);
        Ok(Self {
            authenticator: Authenticator::new(clients.clone()),
            completions: Completions::new(queries.clone(), publisher),
            clients,
            queries,
        })
    }

    async fn handle(&self, request: Request) -> Result<Response<Body>, Failure> {
        if request.method() == Method::POST {
            self.authenticator.publisher(&request).await?;
            let wish = body::json(&request)?;
            return ok(&register::register(&self.clients, &self.completions, wish).await?);
        }
        let client = self.authenticator.client(&request).await?.client_id;
        let parameters = request.path_parameters();
        let id = parameters.first("id").unwrap_or_default();
        ok(&show::show(&self.queries, &client, id).await?)
    }
}
