//! What dead letters carry.

use bellwire_domain::entity;
use bellwire_domain::ids::EventId;
use bellwire_domain::timestamp::iso_serde;
use bellwire_objects::results::Rendering;
use bellwire_queues::{ClientTask, Delivery, DeliveryKind, FanOut, Publication};
use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;

/// What a dead letter carries.
#[derive(Debug)]
pub enum Carried {
    /// A delivery to one subscription.
    Delivery(Delivery),
    /// A step of a fan-out: of a segment, a replay, or an event of an entity.
    FanOut(FanOut),
    /// A publication, or the deletion of a topic.
    Publication(Publication),
    /// A result to render.
    Rendering(Rendering),
    /// Work on a client, or on who may see a topic.
    ClientTask(ClientTask),
    /// An event of Athena about the end of a query.
    Completion(Value),
    /// A notification of the end of a query, as SNS would have sent it.
    Notification(Value),
    /// A body that this version can't read.
    Unread,
}

/// What Lambda writes of an event that a function failed on; EventBridge writes the event itself.
/// <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html>
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FailedInvocation {
    request_payload: Value,
}

/// The event of Athena in a dead letter.
fn completion(body: &str) -> serde_json::Result<Value> {
    let value: Value = serde_json::from_str(body)?;
    let failed = FailedInvocation::deserialize(&value);
    Ok(failed.map_or(value, |failed| failed.request_payload))
}

/// An event of an entity as EventBridge has it. When EventBridge can't put one into its queue, the
/// dead letter is the event itself, and not the form that the rule makes of it.
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html>
#[derive(Deserialize)]
struct EntityEvent {
    source: String,
    id: String,
    #[serde(with = "iso_serde")]
    time: OffsetDateTime,
    detail: entity::EntityEvent,
}

impl EntityEvent {
    /// What the rule would have made of it; `None` for any other text.
    fn read(body: &str) -> Option<FanOut> {
        let event: Self = serde_json::from_str(body).ok()?;
        (event.source == "bellwire.entities").then_some(FanOut::Entity {
            event_id: EventId::new(event.id),
            accepted_at: event.time,
            event: event.detail,
            repeated: false,
        })
    }
}

impl Carried {
    /// Reads the body of a message of this queue; `queue` is its name, such as `deliveries`.
    pub fn of(queue: &str, body: &str) -> Self {
        let read = match queue {
            "deliveries" => serde_json::from_str(body).map(Self::Delivery),
            "fan-outs" => serde_json::from_str(body)
                .or_else(|error| EntityEvent::read(body).ok_or(error))
                .map(Self::FanOut),
            "renderings" => serde_json::from_str(body).map(Self::Rendering),
            "client-tasks" => serde_json::from_str(body).map(Self::ClientTask),
            "completions" => completion(body).map(Self::Completion),
            "notifications" => serde_json::from_str(body).map(Self::Notification),
            "counts" => return Self::Unread,
            _ => serde_json::from_str(body).map(Self::Publication),
        };
        read.unwrap_or(Self::Unread)
    }

    /// The id of the subscription that it is for, if it is for a single one.
    pub fn subscription(&self) -> Option<&str> {
        match self {
            Self::Delivery(delivery) => Some(delivery.subscription_id.as_str()),
            Self::FanOut(FanOut::Replay(replay)) => Some(replay.subscription_id.as_str()),
            _ => None,
        }
    }

    /// The id of the topic, or of the audience, that it is about; `None` if it carries neither.
    pub fn topic(&self) -> Option<&str> {
        match self {
            Self::Publication(publication) => Some(publication.topic_id.as_str()),
            Self::FanOut(FanOut::Segment { audience_id, .. }) => Some(audience_id.as_str()),
            Self::FanOut(FanOut::Audience { topic_id, .. }) => Some(topic_id.as_str()),
            Self::FanOut(FanOut::Replay(replay)) => Some(replay.topic_id.as_str()),
            Self::ClientTask(ClientTask::AccessChanged { topic_id, .. }) => Some(topic_id.as_str()),
            _ => None,
        }
    }

    /// A short description, such as `document 7`.
    pub fn what(&self) -> String {
        match self {
            Self::Delivery(delivery) => match &delivery.kind {
                DeliveryKind::Document { version } => format!("document {version}"),
                DeliveryKind::Event { event_id, .. } => format!("event {event_id}"),
                DeliveryKind::Test { event_id, .. } => format!("test {event_id}"),
                DeliveryKind::TopicDeleted { .. } => "end of the topic".to_owned(),
                DeliveryKind::Entity { event_id, .. } => format!("entity event {event_id}"),
                DeliveryKind::Arrived { event_id } => format!("arrival of event {event_id}"),
            },
            Self::FanOut(FanOut::Segment { segment, .. }) => format!("segment {segment}"),
            Self::FanOut(FanOut::Audience { .. }) => "audience".to_owned(),
            Self::FanOut(FanOut::Replay(_)) => "replay".to_owned(),
            Self::FanOut(FanOut::Entity { event_id, .. }) => format!("entity event {event_id}"),
            Self::Publication(publication) => format!("publication {}", publication.event_id),
            Self::ClientTask(ClientTask::StateChanged { client_id, .. }) => {
                format!("state of {client_id}")
            }
            Self::ClientTask(ClientTask::LabelsChanged { client_id }) => {
                format!("labels of {client_id}")
            }
            Self::ClientTask(ClientTask::AccessChanged { .. }) => "access".to_owned(),
            Self::Completion(event) => {
                let id = event.pointer("/detail/queryExecutionId");
                format!("end of {}", id.and_then(Value::as_str).unwrap_or("a query"))
            }
            Self::Notification(notification) => {
                let id = notification.get("QueryExecutionId");
                format!("end of {}", id.and_then(Value::as_str).unwrap_or("a query"))
            }
            Self::Rendering(rendering) => format!("result of {}", rendering.execution_id),
            Self::Unread => "malformed".to_owned(),
        }
    }
}
