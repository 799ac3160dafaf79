//! Runs the function `unsubscribe` behind API Gateway.

use bellwire_api::serve;
use bellwire_app::App;
use lambda_http::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::start()?;
    let function = &unsubscribe::UnsubscribeFunction::new(&app)?;
    let edge = app.edge(unsubscribe::Route::methods)?;
    serve(edge, |request| function.handle(request)).await
}
