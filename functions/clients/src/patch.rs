//! `PATCH /v1/clients/{clientId}`: changes a client, with a JSON merge patch (RFC 7396); disables and enables it.

use bellwire_api::{Failure, body, must_be_merge_patch};
use bellwire_domain::client::{DisplayName, Labels};
use bellwire_domain::object::said;
use bellwire_store::{Client, ClientChange};
use lambda_http::http::Response;
use lambda_http::{Body, Request};
use serde::Deserialize;

use crate::ClientsFunction;
use crate::failures::{being_deleted, no_such_client};

/// The body. The inner `None` is `null`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Patch {
    #[serde(default, deserialize_with = "said")]
    name: Option<Option<DisplayName>>,
    #[serde(default, deserialize_with = "said")]
    disabled: Option<bool>,
    #[serde(default, deserialize_with = "said")]
    labels: Option<Option<Labels>>,
}

impl Patch {
    /// The change of this client. Without a name it has its external id as its name, as at first.
    fn of(self, client: &Client) -> Result<ClientChange, Failure> {
        let name = match self.name {
            None => None,
            Some(Some(name)) => Some(name),
            Some(None) => {
                let id = client.external_id.as_ref().ok_or_else(|| {
                    Failure::field(
                        "name",
                        "is needed: the client has no external id to be called by",
                    )
                })?;
                Some(DisplayName::from(id))
            }
        };
        Ok(ClientChange {
            name,
            labels: self.labels.map(Option::unwrap_or_default),
            disabled: self.disabled,
        })
    }
}

impl ClientsFunction {
    /// Changes what the body names, and nothing else, in one write. That a client is disabled, or enabled again, reaches
    /// its keys and subscriptions within the request, or soon after if there are many.
    ///
    /// # Errors
    /// 400 when the body is refused; 404 when the client is deleted meanwhile; 409 when it is being deleted; 415; 500 when
    /// a table or a queue fails.
    pub(crate) async fn patch(
        &self,
        client: Client,
        request: &Request,
    ) -> Result<Response<Body>, Failure> {
        must_be_merge_patch(request)?;
        let patch: Patch = body::json(request)?;
        if client.deleting_since.is_some() {
            return Err(being_deleted());
        }
        let change = patch.of(&client)?;
        let changed = self.lifecycle.change(&client, &change).await;
        match changed.map_err(Failure::internal)? {
            Some(changed) => self.shown(&changed).await,
            None if self.clients.get(&client.client_id).await?.is_some() => Err(being_deleted()),
            None => Err(no_such_client()),
        }
    }
}
