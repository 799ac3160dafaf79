//! Runs the function `query-completion`, to which EventBridge delivers events.

use bellwire_app::App;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use query_completion::QueryCompletionFunction;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = &QueryCompletionFunction::new(&App::start()?)?;
    lambda_runtime::run(service_fn(|event: LambdaEvent<_>| {
        function.handle(event.payload)
    }))
    .await
}
