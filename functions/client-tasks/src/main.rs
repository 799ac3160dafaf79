//! Runs the function `client-tasks` behind its queue.

use bellwire_app::App;
use bellwire_queues::consume;
use lambda_runtime::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = &client_tasks::ClientTasksFunction::new(&App::start()?)?;
    consume(function.source.clone(), |batch| function.handle(batch)).await
}
