//! Runs the function `queries` behind API Gateway.

use bellwire_api::serve;
use bellwire_app::App;
use lambda_http::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::start()?;
    let function = &queries::QueriesFunction::new(&app)?;
    let edge = app.edge(queries::Route::methods)?;
    serve(edge, |request| function.handle(request)).await
}
