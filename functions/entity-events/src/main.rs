//! Runs the function `entity-events` behind API Gateway.

use bellwire_api::envelope;
use bellwire_app::App;
use lambda_http::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::start()?;
    let function = &entity_events::EntityEventsFunction::new(&app)?;
    let edge = app.edge(entity_events::Route::methods)?;
    envelope::serve(edge, |request| function.handle(request)).await
}
