//! Runs the function `operator` behind API Gateway.

use bellwire_app::App;
use bellwire_web::serve::serve;
use lambda_http::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::start()?;
    let console = &operator::Operator::on_aws(&app)?;
    serve(console.theme(), |request| async move {
        console.handle(&request).await
    })
    .await
}
