//! Who makes a request: the holder of a key, or the client that an operator acts for.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use bellwire_domain::client::ExternalId;
use bellwire_domain::{ClientId, Secret};
use bellwire_doubles::{Aws, Fault, request};
use bellwire_store::{Client, ClientChange};
use lambda_http::http::HeaderValue;
use serde_json::Value;
use subscribe::SubscribeFunction;
use time::OffsetDateTime;

const TABLES: [&str; 1] = ["ClientsTable"];

fn function(aws: &Aws) -> SubscribeFunction {
    SubscribeFunction::new(&aws.app("Subscribe", &[])).unwrap()
}

/// The client that the function takes for the caller; the status of the failure if it takes none.
async fn caller(
    function: &SubscribeFunction,
    key: &str,
    acts_for: Option<&str>,
) -> Result<String, u16> {
    let path = "/v1/hello";
    let mut request = request("GET", path, path, Some(key), &Value::Null);
    if let Some(named) = acts_for {
        let named = HeaderValue::from_str(named).unwrap();
        request.headers_mut().insert("x-bellwire-client", named);
    }
    match function.handle(request).await {
        Ok(response) => {
            let body: Value = serde_json::from_slice(response.body().as_ref()).unwrap();
            Ok(body["client_id"].as_str().unwrap().to_owned())
        }
        Err(failure) => Err(failure.status().as_u16()),
    }
}

/// An account with an operator `op`, a customer `acme` of the provider's, and a publisher `pub`.
async fn account() -> (Aws, ClientId) {
    let aws = Aws::with_tables(&TABLES).await;
    aws.add_operator("op").await;
    aws.add_client("pub", true).await;
    let external_id = ExternalId::parse("customer-1").unwrap();
    let id = external_id.client_id();
    aws.add_client_with(Client {
        name: "acme".to_owned(),
        external_id: Some(external_id),
        ..aws.client(id.clone())
    })
    .await;
    (aws, id)
}

#[tokio::test]
async fn an_operator_acts_for_a_client_by_either_of_its_ids_and_nobody_else_does() {
    let (aws, id) = account().await;
    let function = function(&aws);
    let known = Ok(id.to_string());
    assert_eq!(caller(&function, "acme", None).await, known);
    for named in [id.as_str(), "customer-1"] {
        assert_eq!(caller(&function, "op", Some(named)).await, known);
        for other in ["acme", "pub"] {
            assert_eq!(caller(&function, other, Some(named)).await, Err(403));
        }
        assert_eq!(caller(&function, "nobody", Some(named)).await, Err(401));
    }
    assert_eq!(caller(&function, "op", Some("customer-2")).await, Err(404));
    for malformed in ["", "a b", "a/b"] {
        assert_eq!(caller(&function, "op", Some(malformed)).await, Err(400));
    }
}

#[tokio::test]
async fn a_disabled_client_makes_no_requests_and_nobody_acts_for_it() {
    let (aws, id) = account().await;
    let app = aws.app("Subscribe", &[]);
    let (clients, keys) = (app.clients().unwrap(), app.keys().unwrap());
    let now = OffsetDateTime::now_utc();
    let client = clients.get(&id).await.unwrap().unwrap();
    let disable = ClientChange {
        disabled: Some(true),
        ..ClientChange::default()
    };
    let client = clients.change(&client, &disable, now).await.unwrap();
    let client = client.unwrap();
    keys.set_disabled(&client, true).await.unwrap();
    let function = function(&aws);
    assert_eq!(caller(&function, "acme", None).await, Err(401));
    assert_eq!(caller(&function, "op", Some(id.as_str())).await, Err(409));
}

#[tokio::test]
async fn a_key_takes_one_read_and_once_a_day_a_write() {
    let (aws, id) = account().await;
    aws.calls();
    for calls in [vec!["GetItem", "UpdateItem"], vec!["GetItem"]] {
        // Another process, which has nothing in its memory.
        let function = function(&aws);
        assert_eq!(caller(&function, "acme", None).await, Ok(id.to_string()));
        assert_eq!(aws.calls(), calls);
        assert_eq!(caller(&function, "acme", None).await, Ok(id.to_string()));
        assert!(aws.calls().is_empty());
    }
}

#[tokio::test]
async fn the_day_of_the_last_use_is_not_needed_for_an_answer() {
    let (aws, id) = account().await;
    aws.fail("UpdateItem", Fault::Throttled, 10);
    let function = function(&aws);
    assert_eq!(caller(&function, "acme", None).await, Ok(id.to_string()));
}

#[tokio::test]
async fn a_key_of_an_earlier_version_goes_on_working() {
    let aws = Aws::with_tables(&TABLES).await;
    let id = ClientId::generate().unwrap();
    let client = Client {
        api_key_sha256: Some(Secret::new("bwk_earlier").hash()),
        ..aws.client(id.clone())
    };
    let app = aws.app("Subscribe", &[]);
    let (clients, keys) = (app.clients().unwrap(), app.keys().unwrap());
    assert!(clients.create(&client, None).await.unwrap());
    aws.calls();
    let known = Ok(id.to_string());
    // The first request can't write the item; the second does, and the third finds it.
    aws.fail("TransactWriteItems", Fault::Throttled, 10);
    for calls in [
        vec!["GetItem", "Query"],
        vec!["GetItem", "Query"],
        vec!["GetItem"],
    ] {
        let function = function(&aws);
        assert_eq!(caller(&function, "bwk_earlier", None).await, known);
        let mut made = aws.calls();
        made.retain(|call| call != "TransactWriteItems");
        assert_eq!(made, calls);
        aws.heal();
    }
    let [key] = keys.of(&client).await.unwrap().try_into().unwrap();
    assert_eq!(key.last_four.as_deref(), Some("lier"));
}
