//! Calls of the function, as its clients make them.

use std::collections::HashMap;

use bellwire_domain::ClientId;
use bellwire_doubles::{Aws, request};
use data_encoding::BASE64;
use entity_subscriptions::EntitySubscriptionsFunction;
use lambda_http::RequestExt;
use lambda_http::http::HeaderValue;
use serde_json::{Value, json};

const TABLES: [&str; 6] = [
    "AnswersTable",
    "ClientsTable",
    "SubscriptionsTable",
    "MembersTable",
    "ExchangesTable",
    "EventsTable",
];
/// The secret of every client.
pub const SECRET: &str = "secret";

/// A call of the function.
#[derive(Clone, Debug)]
pub struct Call {
    method: &'static str,
    resource: &'static str,
    key: String,
    delivery: String,
    parameters: Vec<(String, String)>,
    body: Value,
    authorization: Option<String>,
    idempotency_key: Option<&'static str>,
}

/// An account with a client.
pub async fn account() -> (Aws, ClientId) {
    let aws = Aws::with_tables(&TABLES).await;
    let client_id = aws.add_client("key", false).await;
    (aws, client_id)
}

/// The value of the header `Authorization`.
pub fn basic(client_id: &ClientId, secret: &str) -> String {
    format!(
        "Basic {}",
        BASE64.encode(format!("{client_id}:{secret}").as_bytes())
    )
}

impl Call {
    /// A call of a resource, without credentials.
    pub fn new(method: &'static str, resource: &'static str) -> Self {
        Self {
            method,
            resource,
            key: String::new(),
            delivery: String::new(),
            parameters: Vec::new(),
            body: Value::Null,
            authorization: None,
            idempotency_key: None,
        }
    }

    /// With the client's credentials in the query string.
    #[allow(dead_code)] // some tests have them in the header alone
    pub fn by(self, client_id: &ClientId) -> Self {
        let id = client_id.as_str();
        self.with("client_id", id).with("client_secret", SECRET)
    }

    /// With the key of a subscription in the path.
    #[allow(dead_code)] // not every test is about one subscription
    pub fn on(self, key: &str) -> Self {
        Self {
            key: key.to_owned(),
            ..self
        }
    }

    /// With the id of a delivery in the path.
    #[allow(dead_code)] // not every test is about deliveries
    pub fn of(self, delivery: &str) -> Self {
        Self {
            delivery: delivery.to_owned(),
            ..self
        }
    }

    /// With a parameter in the query string.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.parameters.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With a body.
    pub fn body(self, body: Value) -> Self {
        Self { body, ..self }
    }

    /// With the header `Authorization`.
    pub fn authorization(self, value: &str) -> Self {
        Self {
            authorization: Some(value.to_owned()),
            ..self
        }
    }

    /// With the header `Idempotency-Key`.
    #[allow(dead_code)] // not every test repeats requests
    pub fn idempotency_key(self, key: &'static str) -> Self {
        Self {
            idempotency_key: Some(key),
            ..self
        }
    }

    /// The status and the body of the response; of a failure only its status.
    pub async fn made(self, aws: &Aws) -> (u16, Value) {
        let path = self.resource.replace("{key}", &self.key);
        let path = path.replace("{deliveryKey}", &self.delivery);
        let mut request = request(self.method, self.resource, &path, None, &self.body);
        if let Some(value) = &self.authorization {
            let value = HeaderValue::from_str(value).unwrap();
            request.headers_mut().insert("authorization", value);
        }
        if let Some(key) = self.idempotency_key {
            let key = HeaderValue::from_static(key);
            request.headers_mut().insert("idempotency-key", key);
        }
        let parameters: HashMap<String, Vec<String>> = self
            .parameters
            .into_iter()
            .map(|(name, value)| (name, vec![value]))
            .collect();
        let request = request.with_query_string_parameters(parameters);
        let app = aws.app("EntitySubscriptions", &[]);
        let function = EntitySubscriptionsFunction::new(&app).unwrap();
        match function.handle(request).await {
            Ok(response) => {
                let status = response.status().as_u16();
                (status, serde_json::from_slice(response.body()).unwrap())
            }
            Err(failure) => (failure.status().as_u16(), Value::Null),
        }
    }
}

/// The subscription that a client asks for.
pub fn wanted(entity_key: &str, callback: &str) -> Value {
    json!({"entity_key": entity_key, "callback": callback})
}
