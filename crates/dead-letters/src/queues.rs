//! The queues of what could not be processed, and what can be done with what is in them.

use aws_sdk_lambda::error::DisplayErrorContext;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::InvocationType;
use bellwire_queues::dead_letters::DeadLetters;
use bellwire_queues::{Message, Queue, QueueError};
use bellwire_runtime::aws::Lazy;

/// A queue of dead letters. `tests/test_template_queues.py` compares them with the template's.
struct Known {
    /// Its name in commands.
    name: &'static str,
    /// The stack's output with its URL.
    url: &'static str,
    /// How its dead letters are processed again.
    again: Again,
}

/// How a dead letter is processed again.
enum Again {
    /// It is sent to the queue that it comes from, whose URL is this output.
    Sent(&'static str),
    /// The function whose name is this output is invoked with it.
    Invoked(&'static str),
    /// It can't be, for this reason.
    Never(&'static str),
}

const KNOWN: [Known; 8] = [
    known(
        "deliveries",
        "DeadDeliveriesQueueUrl",
        Again::Sent("DeliveriesQueueUrl"),
    ),
    known(
        "fan-outs",
        "DeadFanOutsQueueUrl",
        Again::Sent("FanOutsQueueUrl"),
    ),
    known(
        "publications",
        "DeadPublicationsQueueUrl",
        Again::Sent("PublicationsQueueUrl"),
    ),
    known(
        "renderings",
        "DeadRenderingsQueueUrl",
        Again::Sent("RenderingsQueueUrl"),
    ),
    known(
        "client-tasks",
        "DeadClientTasksQueueUrl",
        Again::Sent("ClientTasksQueueUrl"),
    ),
    known(
        "completions",
        "FailedCompletionsQueueUrl",
        Again::Invoked("QueryCompletionFunction"),
    ),
    known(
        "notifications",
        "UndeliveredQueueUrl",
        Again::Never(
            "SNS can't send a notification again to a single URL; its owner finds the end of the query at GET /v1/queries",
        ),
    ),
    known(
        "counts",
        "FailedCountsQueueUrl",
        Again::Never(
            "it says where in the stream attempts are that were not counted, and not which; what was delivered is not touched",
        ),
    ),
];

const fn known(name: &'static str, url: &'static str, again: Again) -> Known {
    Known { name, url, again }
}

/// A queue of dead letters, and the way back.
#[derive(Debug)]
pub struct DeadQueue {
    /// The name of the queue, such as `deliveries`.
    pub name: &'static str,
    /// The dead letters.
    pub dead: DeadLetters,
    /// How they are processed again.
    pub way_back: WayBack,
}

/// How dead letters are processed again.
#[derive(Debug)]
pub enum WayBack {
    /// By this queue.
    Queue(Queue),
    /// By the function of this name.
    Function(Lazy<aws_sdk_lambda::Client>, String),
    /// Not at all, for this reason.
    None(&'static str),
}

impl WayBack {
    /// Why dead letters can't be processed again; `None` if they can.
    pub fn refusal(&self) -> Option<&'static str> {
        match self {
            Self::None(reason) => Some(reason),
            Self::Queue(_) | Self::Function(..) => None,
        }
    }

    /// Has a message processed again.
    ///
    /// # Errors
    /// When AWS refuses it, or there is no way back.
    pub async fn send(&self, message: Message) -> Result<(), RedriveError> {
        match self {
            Self::Queue(queue) => Ok(queue.send(message).await?),
            Self::Function(lambda, name) => {
                let invocation = lambda
                    .invoke()
                    .function_name(name)
                    .invocation_type(InvocationType::Event)
                    .payload(Blob::new(message.body().as_bytes()));
                let invoked = invocation.send().await;
                invoked.map_err(|error| RedriveError::NotInvoked {
                    function: name.clone(),
                    cause: DisplayErrorContext(error).to_string(),
                })?;
                Ok(())
            }
            Self::None(reason) => Err(RedriveError::NoWayBack(reason)),
        }
    }
}

/// Why a dead letter isn't processed again.
#[derive(Debug, thiserror::Error)]
pub enum RedriveError {
    /// Nothing can be done with it, for this reason.
    #[error("can't be redriven: {0}")]
    NoWayBack(&'static str),
    /// Its queue can't be sent to, or the message can't be written.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// Its function can't be invoked.
    #[error("the function {function} could not be invoked: {cause}")]
    NotInvoked {
        /// The function's name.
        function: String,
        /// What is wrong.
        cause: String,
    },
}

/// The names of the queues of dead letters, with their URLs. `output` returns the output of the stack that has this name.
///
/// # Errors
/// When an output is missing.
pub fn urls<E>(
    output: impl Fn(&'static str) -> Result<String, E>,
) -> Result<Vec<(&'static str, String)>, E> {
    let known = KNOWN.iter();
    let urls = known.map(|known| Ok((known.name, output(known.url)?)));
    urls.collect()
}

/// The queues of dead letters. `output` returns the output of the stack that has this name.
///
/// # Errors
/// When an output is missing.
pub fn of<E>(
    sqs: &Lazy<aws_sdk_sqs::Client>,
    lambda: &Lazy<aws_sdk_lambda::Client>,
    output: impl Fn(&'static str) -> Result<String, E>,
) -> Result<Vec<DeadQueue>, E> {
    let queues = KNOWN.iter().map(|known| {
        let way_back = match known.again {
            Again::Sent(url) => WayBack::Queue(Queue::new(sqs.clone(), output(url)?)),
            Again::Invoked(name) => WayBack::Function(lambda.clone(), output(name)?),
            Again::Never(reason) => WayBack::None(reason),
        };
        Ok(DeadQueue {
            name: known.name,
            dead: DeadLetters::new(sqs.clone(), output(known.url)?),
            way_back,
        })
    });
    queues.collect()
}
