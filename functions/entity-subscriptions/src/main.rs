//! Runs the function `entity-subscriptions` behind API Gateway.

use bellwire_api::envelope;
use bellwire_app::App;
use lambda_http::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::start()?;
    let function = &entity_subscriptions::EntitySubscriptionsFunction::new(&app)?;
    let edge = app.edge(entity_subscriptions::Route::methods)?;
    envelope::serve(edge, |request| function.handle(request)).await
}
