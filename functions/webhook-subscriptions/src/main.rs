//! Runs the function `webhook-subscriptions` behind API Gateway.

use bellwire_api::serve;
use bellwire_app::App;
use lambda_http::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::start()?;
    let function = &webhook_subscriptions::WebhookSubscriptionsFunction::new(&app)?;
    let edge = app.edge(webhook_subscriptions::Route::methods)?;
    serve(edge, |request| function.handle(request)).await
}
