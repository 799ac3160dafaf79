//! The queues of what could not be processed, and what can be done with what is in them.

use anyhow::Context;
use aws_config::SdkConfig;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::InvocationType;
use bellwire_queues::dead_letters::DeadLetters;
use bellwire_queues::{Message, Queue};
use bellwire_runtime::aws::Lazy;

use crate::stack::Deployed;

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
pub struct DeadQueue {
    /// The name of the queue, such as `deliveries`.
    pub name: &'static str,
    /// The dead letters.
    pub dead: DeadLetters,
    /// How they are processed again.
    pub way_back: WayBack,
}

/// How dead letters are processed again.
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
    pub async fn send(&self, message: Message) -> anyhow::Result<()> {
        match self {
            Self::Queue(queue) => Ok(queue.send(message).await?),
            Self::Function(lambda, name) => {
                let invocation = lambda
                    .invoke()
                    .function_name(name)
                    .invocation_type(InvocationType::Event)
                    .payload(Blob::new(message.body().as_bytes()));
                let invoked = invocation.send().await;
                invoked.with_context(|| format!("the function {name} could not be invoked"))?;
                Ok(())
            }
            Self::None(reason) => anyhow::bail!("can't be redriven: {reason}"),
        }
    }
}

/// The names of the queues of dead letters of a stack, with their URLs.
///
/// # Errors
/// When an output is missing.
pub fn urls(deployed: &Deployed) -> anyhow::Result<Vec<(&'static str, String)>> {
    let known = KNOWN.iter();
    let urls = known.map(|known| Ok((known.name, deployed.output(known.url)?)));
    urls.collect()
}

/// The queues of dead letters of a stack.
///
/// # Errors
/// When an output is missing.
pub fn of(config: &SdkConfig, deployed: &Deployed) -> anyhow::Result<Vec<DeadQueue>> {
    let sqs = Lazy::new(config, aws_sdk_sqs::Client::new);
    let lambda = Lazy::new(config, aws_sdk_lambda::Client::new);
    let queues = KNOWN.iter().map(|known| {
        let way_back = match known.again {
            Again::Sent(url) => WayBack::Queue(Queue::new(sqs.clone(), deployed.output(url)?)),
            Again::Invoked(name) => WayBack::Function(lambda.clone(), deployed.output(name)?),
            Again::Never(reason) => WayBack::None(reason),
        };
        let dead = DeadLetters::new(sqs.clone(), deployed.output(known.url)?);
        Ok(DeadQueue {
            name: known.name,
            dead,
            way_back,
        })
    });
    queues.collect()
}
