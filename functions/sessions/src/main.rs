//! Runs the function `sessions` behind API Gateway, and for the consoles, which invoke it.

use bellwire_api::serve;
use bellwire_app::App;
use lambda_http::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::start()?;
    let function = &sessions::SessionsFunction::new(&app)?;
    let edge = app.edge(sessions::methods)?;
    serve(edge, |request| function.handle(request)).await
}
