//! How every message is written. Messages outlive the version that has sent them, in a queue or among the
//! dead letters: a change here has to read what there is.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use bellwire_domain::ClientId;
use bellwire_domain::entity::EntityEvent;
use bellwire_domain::ids::SubscriptionId;
use bellwire_domain::ids::{AudienceId, EventId, TopicId};
use bellwire_domain::topic::payload::Payload;
use bellwire_domain::topic::shards::{Shard, Shards};
use bellwire_queues::{
    AudienceEvent, ClientTask, Delivery, DeliveryKind, FanOut, Hops, Publication, Replay, Work,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use time::OffsetDateTime;
use time::macros::datetime;

const NOW: OffsetDateTime = datetime!(2026-01-01 00:00 UTC);

/// The messages, each read again and written as it was.
fn written<T: Serialize + DeserializeOwned>(messages: &[T]) -> String {
    let texts = messages.iter().map(|message| {
        let text = serde_json::to_string_pretty(message).unwrap();
        let read: T = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_string_pretty(&read).unwrap(), text);
        text
    });
    texts.collect::<Vec<_>>().join("\n")
}

fn inline() -> Payload {
    Payload::Inline(r#"{"n":1}"#.to_owned())
}

fn stored() -> Payload {
    Payload::Stored("events-45/e1".to_owned())
}

fn entity_event() -> EntityEvent {
    serde_json::from_str(
        r#"{"entity_key": "order-1", "entity_type": "Document", "callback_event": "entity_updated",
            "client_ids": ["cl_aaaaaaaaaaaaaaaaaaaaaaaa"]}"#,
    )
    .unwrap()
}

fn every_kind() -> Vec<DeliveryKind> {
    let event_id = EventId::new("e1");
    let event = entity_event();
    vec![
        DeliveryKind::Document { version: 7 },
        DeliveryKind::Event {
            event_id: event_id.clone(),
            payload: inline(),
        },
        DeliveryKind::Test {
            event_id: event_id.clone(),
            payload: stored(),
        },
        DeliveryKind::TopicDeleted {
            event_id: event_id.clone(),
        },
        DeliveryKind::Entity {
            event_id,
            entity_type: event.entity_type,
            callback_event: event.callback_event,
        },
    ]
}

#[test]
fn publications() {
    let publication = |work, redriven| Publication {
        event_id: EventId::new("e1"),
        topic_id: TopicId::new("t1"),
        accepted_at: NOW,
        redriven,
        restricted: false,
        work,
    };
    let document = Work::Document { payload: stored() };
    let event = Work::Event {
        payload: inline(),
        repeatable: true,
    };
    insta::assert_snapshot!(written(&[
        publication(document, false),
        publication(event, true),
        publication(Work::TopicDeleted, false),
    ]));
}

#[test]
fn fan_outs() {
    let segment = |kind| FanOut::Segment {
        audience_id: AudienceId::new("t1"),
        segment: 3,
        event: AudienceEvent {
            accepted_at: NOW,
            kind,
            shard: Shard::default(),
            repeated: false,
            restricted: false,
        },
    };
    let mut messages: Vec<FanOut> = every_kind().into_iter().map(segment).collect();
    let replay = Replay {
        replay_id: "r1".to_owned(),
        subscription_id: SubscriptionId::new("s1"),
        client_id: "c1".to_owned(),
        topic_id: TopicId::new("t1"),
        start: NOW,
        end: NOW,
        shards: Shards::ONE,
        restricted: false,
        after: Some("event#2026".to_owned()),
        hops: Hops::default().next(9).unwrap(),
    };
    messages.push(FanOut::Replay(replay));
    messages.push(FanOut::Entity {
        event_id: EventId::new("e1"),
        accepted_at: NOW,
        event: entity_event(),
        repeated: false,
    });
    messages.push(FanOut::Audience {
        topic_id: TopicId::new("t1"),
        event: AudienceEvent {
            accepted_at: NOW,
            kind: DeliveryKind::TopicDeleted {
                event_id: EventId::new("e1"),
            },
            shard: Shard::default(),
            repeated: true,
            restricted: false,
        },
    });
    insta::assert_snapshot!(written(&messages));
}

#[test]
fn deliveries() {
    let deliveries: Vec<Delivery> = every_kind()
        .into_iter()
        .map(|kind| Delivery::new(SubscriptionId::new("s1"), "c1".to_owned(), NOW, kind))
        .collect();
    let mut sent_on = deliveries.clone();
    for delivery in &mut sent_on {
        delivery.attempt = 2;
        delivery.hops = Hops::default().next(9).unwrap();
    }
    let mut resends = deliveries.clone();
    resends.retain(|delivery| matches!(delivery.kind, DeliveryKind::Event { .. }));
    for delivery in &mut resends {
        delivery.attempt = 3;
        delivery.resend = Some(EventId::new("r1"));
    }
    insta::assert_snapshot!(written(&[deliveries, sent_on, resends].concat()));
}

#[test]
fn client_tasks() {
    let client_id: ClientId = serde_json::from_str("\"cl_aaaaaaaaaaaaaaaaaaaaaaaa\"").unwrap();
    let topic_id = TopicId::new("t1");
    let state_changed = |hops| ClientTask::StateChanged {
        client_id: client_id.clone(),
        hops,
    };
    insta::assert_snapshot!(written(&[
        state_changed(Hops::default()),
        state_changed(Hops::default().next(9).unwrap()),
        ClientTask::LabelsChanged {
            client_id: client_id.clone(),
        },
        ClientTask::AccessChanged {
            topic_id: topic_id.clone(),
            segment: None,
        },
        ClientTask::AccessChanged {
            topic_id,
            segment: Some(3),
        },
    ]));
}
