//! Runs the function `results` behind API Gateway.

use bellwire_api::serve;
use bellwire_app::App;
use lambda_http::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = &results::ResultsFunction::new(&App::start()?)?;
    serve(|request| function.handle(request)).await
}
