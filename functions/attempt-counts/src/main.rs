//! Runs the function `attempt-counts` behind the stream of the Exchanges table.

use attempt_counts::AttemptCountsFunction;
use bellwire_app::App;
use lambda_runtime::{Error, LambdaEvent, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = &AttemptCountsFunction::new(&App::start()?)?;
    lambda_runtime::run(service_fn(|event: LambdaEvent<_>| {
        function.handle(event.payload)
    }))
    .await
}
