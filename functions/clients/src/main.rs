//! Runs the function `clients` behind API Gateway.

use bellwire_api::serve;
use bellwire_app::App;
use lambda_http::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::start()?;
    let function = &clients::ClientsFunction::new(&app)?;
    let edge = app.edge(clients::Route::methods)?;
    serve(edge, |request| function.handle(request)).await
}
