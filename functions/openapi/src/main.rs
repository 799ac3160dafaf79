//! Runs the function `openapi` behind API Gateway.

use bellwire_api::serve;
use bellwire_app::App;
use lambda_http::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::start()?;
    let edge = app.edge(openapi::Route::methods)?;
    serve(edge, async |request| openapi::handle(&request)).await
}
