//! Runs the function `entity-events` behind API Gateway.

use bellwire_api::envelope;
use bellwire_app::App;
use lambda_http::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = &entity_events::EntityEventsFunction::new(&App::start()?)?;
    envelope::serve(|request| function.handle(request)).await
}
