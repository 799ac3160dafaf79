//! A function that does nothing: what every `lambda_http` function costs at least.

use lambda_http::http::Response;
use lambda_http::{Body, Error, Request, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_http::run(service_fn(|_: Request| async {
        Ok::<_, Error>(Response::new(Body::Empty))
    }))
    .await
}
