//! Runs the function `topics` behind API Gateway.

use bellwire_api::serve;
use bellwire_app::App;
use lambda_http::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = &topics::TopicsFunction::new(&App::start()?)?;
    serve(|request| function.handle(request)).await
}
