//! `PUT /v1/clients/{clientId}`: creates a client with an id of the provider's, or changes it. It can be repeated.

use bellwire_api::{Failure, body, called_path, client_reference, created, located};
use bellwire_domain::Secret;
use bellwire_domain::client::{ClientReference, DisplayName, ExternalId, Labels};
use bellwire_domain::object::said;
use bellwire_store::{Client, ClientChange};
use lambda_http::http::Response;
use lambda_http::{Body, Request};
use serde::Deserialize;
use time::OffsetDateTime;

use crate::ClientsFunction;
use crate::failures::{being_deleted, must_be_no_operator};
use crate::view::ClientView;

/// How often the request is tried, at most, while others create and delete the same client.
const ATTEMPTS: usize = 5;

/// The body. What is missing stays as it is.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    #[serde(default, deserialize_with = "said")]
    name: Option<DisplayName>,
    #[serde(default, deserialize_with = "said")]
    labels: Option<Labels>,
}

impl ClientsFunction {
    /// Creates a client, without a key and with a secret that nobody knows; or changes it if it is there.
    ///
    /// # Errors
    /// 400 when the id can't be one of the provider's, or the body is refused; 403 when the client is an operator; 409 when
    /// it is being deleted; 500 when a table or a queue fails; 503 when it is created and deleted all the time.
    pub(crate) async fn put(&self, request: &Request) -> Result<Response<Body>, Failure> {
        let external_id = match client_reference(request)? {
            Ok(ClientReference::External(id)) => id,
            Ok(ClientReference::Id(_)) => {
                let problem = "is an internal id, use PATCH; PUT takes an id of yours";
                return Err(Failure::field("clientId", problem));
            }
            Err(bad) => return Err(Failure::field("clientId", bad)),
        };
        tracing::Span::current().record("client", external_id.client_id().as_str());
        let wanted: Wanted = body::json(request)?;
        let new = new_client(external_id, &wanted)?;
        let change = ClientChange {
            name: wanted.name,
            labels: wanted.labels,
            disabled: None,
        };
        for _ in 0..ATTEMPTS {
            let Some(known) = self.clients.get(&new.client_id).await? else {
                if self.clients.create(&new, None).await? {
                    return made(&new, request);
                }
                continue;
            };
            // Its secret is random: it was created by this request, and the response of the table was lost.
            if known.client_secret_sha256 == new.client_secret_sha256 {
                return made(&new, request);
            }
            must_be_no_operator(&known)?;
            if known.deleting_since.is_some() {
                return Err(being_deleted());
            }
            let changed = self.lifecycle.change(&known, &change).await;
            if let Some(changed) = changed.map_err(Failure::internal)? {
                return self.shown(&changed).await;
            }
        }
        Err(Failure::try_again("please try again"))
    }
}

/// 201, with the new client and the path that was called.
fn made(new: &Client, request: &Request) -> Result<Response<Body>, Failure> {
    let answer = created(&ClientView::new(new, &[]))?;
    Ok(located(answer, called_path(request).trim_end_matches('/')))
}

/// The client to be created. At first its name is its external id.
fn new_client(external_id: ExternalId, wanted: &Wanted) -> Result<Client, Failure> {
    let secret = Secret::generate("bws_").map_err(Failure::internal)?;
    let now = OffsetDateTime::now_utc();
    let name = wanted.name.clone().unwrap_or_else(|| (&external_id).into());
    let client = Client::new(external_id.client_id(), name.as_str(), &secret.hash(), now);
    Ok(Client {
        labels: wanted.labels.clone().unwrap_or_default(),
        external_id: Some(external_id),
        ..client
    })
}
