//! The Events table.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use bellwire_domain::ids::EventId;
use bellwire_domain::topic::payload::Payload;
use bellwire_domain::topic::shards::{Shard, Shards};
use bellwire_store::Events;
use bellwire_store::events::{Event, EventSource, Recorded};
use bellwire_store::versions::{Committed, Current, Version};
use support::{TABLE, tid};
use time::{Duration, OffsetDateTime};

/// What the events are about.
fn source() -> EventSource {
    EventSource::of_topic(tid("t1"), Shards::ONE)
}

const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

async fn events() -> (Client, Events) {
    let db = support::table(&["source", "key"], None).await;
    (
        db.clone(),
        Events::new(db, TABLE.to_owned(), Duration::days(7)),
    )
}

fn version(number: u64) -> Version {
    Version {
        version: number,
        accepted_at: NOW,
        snapshot: Payload::Stored(format!("documents/{number}")),
        patch: None,
        confirmed_at: None,
    }
}

/// Commits publication `id` as the version of this number.
async fn commit(events: &Events, id: &str, number: u64) -> Committed {
    let previous = number.checked_sub(1).filter(|it| *it > 0);
    events
        .commit(tid("t1"), id, &version(number), previous, NOW)
        .await
        .unwrap()
}

#[tokio::test]
async fn versions_are_given_once_and_publications_recognised() {
    let (_, events) = events().await;
    assert!(events.latest(tid("t1")).await.unwrap().is_none());
    assert_eq!(commit(&events, "p1", 1).await, Committed::Done);
    assert_eq!(commit(&events, "p2", 1).await, Committed::Overtaken);
    assert_eq!(commit(&events, "p2", 2).await, Committed::Done);
    // A repeated publication, even if others were committed since.
    assert_eq!(commit(&events, "p1", 3).await, Committed::Before(Some(1)));
    let noted = events.note_unchanged(tid("t1"), "p2", NOW).await.unwrap();
    assert_eq!(noted, Committed::Before(Some(2)));
    let noted = events.note_unchanged(tid("t1"), "p3", NOW).await.unwrap();
    assert_eq!(noted, Committed::Done);
    assert_eq!(commit(&events, "p3", 3).await, Committed::Before(None));
    assert_eq!(events.latest(tid("t1")).await.unwrap().unwrap().version, 2);
    // Another topic has its own versions.
    assert!(events.latest(tid("t2")).await.unwrap().is_none());
}

#[tokio::test]
async fn the_tenth_version_comes_after_the_ninth() {
    let (_, events) = events().await;
    for number in 1..=11 {
        let id = format!("p{number}");
        assert_eq!(commit(&events, &id, number).await, Committed::Done);
    }
    assert_eq!(events.latest(tid("t1")).await.unwrap().unwrap().version, 11);
    let ninth = events.version(tid("t1"), 9).await.unwrap().unwrap();
    assert_eq!(ninth.snapshot, Payload::Stored("documents/9".to_owned()));
    assert!(events.version(tid("t1"), 12).await.unwrap().is_none());
}

#[tokio::test]
async fn all_but_the_current_version_expires() {
    let (db, events) = events().await;
    commit(&events, "p1", 1).await;
    commit(&events, "p2", 2).await;
    let expiry = async || {
        let items = db.scan().table_name(TABLE).send().await.unwrap();
        let mut found: Vec<(String, Option<String>)> = items
            .items()
            .iter()
            .map(|item| {
                let key = item["key"].as_s().unwrap().clone();
                let at = item.get("expires_at").map(|at| at.as_n().unwrap().clone());
                (
                    key.split('#').next().unwrap().to_owned() + &key[key.len() - 1..],
                    at,
                )
            })
            .collect();
        found.sort();
        found
    };
    let week = Some((7 * 86_400).to_string());
    // Longer than a publication may be redriven from the dead-letter queue.
    let month = Some((37 * 86_400).to_string());
    let marks = |latest: Option<String>| {
        [
            ("publication1".to_owned(), month.clone()),
            ("publication2".to_owned(), month.clone()),
            ("version1".to_owned(), week.clone()),
            ("version2".to_owned(), latest),
        ]
    };
    assert_eq!(expiry().await, marks(None));
    for _ in 0..2 {
        events
            .end_document(tid("t1"), Some(&version(2)), NOW)
            .await
            .unwrap();
    }
    let mut ended = marks(month.clone()).to_vec();
    ended.push(("version~".to_owned(), month.clone()));
    assert_eq!(expiry().await, ended);
    let current = events.current(tid("t1")).await.unwrap();
    assert!(matches!(current, Current::Deleted), "{current:?}");
    assert!(events.latest(tid("t1")).await.unwrap().is_none());
}

#[tokio::test]
async fn events_are_had_by_time_in_pages() {
    let (_, events) = events().await;
    let at = |n: i64| NOW + Duration::seconds(n);
    for n in 0..10 {
        let event = Event {
            event_id: EventId::new(format!("e{n}")),
            accepted_at: at(n),
            payload: Payload::Stored(String::new()),
        };
        events.record(&source(), &event, NOW).await.unwrap();
        events.record(&source(), &event, NOW).await.unwrap();
    }
    let (mut after, mut found) = (None, Vec::new());
    loop {
        let page = events
            .between(tid("t1"), Shards::ONE, at(2), at(8), after, 3)
            .await
            .unwrap();
        found.push(
            page.events
                .into_iter()
                .map(|(it, _)| it.event_id)
                .collect::<Vec<_>>(),
        );
        after = page.next_cursor;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(
        found.concat(),
        ["e2", "e3", "e4", "e5", "e6", "e7", "e8"].map(EventId::new)
    );
    assert!(found.iter().all(|page| page.len() <= 3));
}

#[tokio::test]
async fn an_event_that_may_be_repeated_is_recorded_once() {
    let (_, events) = events().await;
    let event = |second| Event {
        event_id: EventId::new("e1"),
        accepted_at: NOW + Duration::seconds(second),
        payload: Payload::Stored(String::new()),
    };
    let record = async |second| {
        let (source, event) = (source(), event(second));
        match events.record_once(&source, &event, NOW).await.unwrap() {
            Recorded::New => None,
            Recorded::Pending(first, _) => Some(Some(first.accepted_at)),
            Recorded::Done => Some(None),
        }
    };
    let first = Some(Some(event(1).accepted_at));
    assert_eq!(record(1).await, None);
    // The same request again, and another one with the same key, before the fan-out was completed.
    assert_eq!(record(1).await, first);
    assert_eq!(record(2).await, first);
    let id = EventId::new("e1");
    events.note_fanned_out(&source(), &id).await.unwrap();
    assert_eq!(record(2).await, Some(None));
    // Of what earlier versions have recorded, `commit` repeats its own.
    assert_eq!(record(1).await, first);
    let end = NOW + Duration::hours(1);
    let page = events.between(tid("t1"), Shards::ONE, NOW, end, None, 10);
    assert_eq!(page.await.unwrap().events.len(), 1);
}

/// Records so many events, one each second from `from` on.
async fn record_all(events: &Events, source: &EventSource, from: i64, count: i64) -> Vec<EventId> {
    let mut ids = Vec::new();
    for n in from..from + count {
        let event = Event {
            event_id: EventId::new(format!("e{n:03}")),
            accepted_at: NOW + Duration::seconds(n),
            payload: Payload::Stored(String::new()),
        };
        events.record(source, &event, NOW).await.unwrap();
        ids.push(event.event_id);
    }
    ids
}

#[tokio::test]
async fn events_of_several_shards_are_had_in_order_whatever_the_pages_and_the_growth() {
    let (db, events) = events().await;
    let four = Shards::try_from(4).unwrap();
    let mut expected = record_all(&events, &source(), 0, 20).await;
    let grown = EventSource::of_topic(tid("t1"), four);
    expected.extend(record_all(&events, &grown, 20, 200).await);
    let items = db.scan().table_name(TABLE).send().await.unwrap().items;
    let partitions: BTreeSet<String> = items
        .unwrap()
        .iter()
        .map(|item| item["source"].as_s().unwrap().clone())
        .collect();
    assert_eq!(Vec::from_iter(partitions), ["t1", "t1#1", "t1#2", "t1#3"]);
    let end = NOW + Duration::hours(1);
    for limit in [1, 7, 50, 100, 500] {
        let (mut after, mut found) = (None, Vec::new());
        loop {
            let page = events.between(tid("t1"), four, NOW, end, after, limit);
            let page = page.await.unwrap();
            for (event, shard) in page.events {
                let old = event.accepted_at < NOW + Duration::seconds(20);
                let wanted = if old { Shards::ONE } else { four };
                assert_eq!(shard, wanted.of(&event.event_id));
                found.push(event.event_id);
            }
            after = page.next_cursor;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(found, expected, "{limit}");
    }
}

#[tokio::test]
async fn an_event_that_was_written_into_two_shards_is_had_once_from_the_later() {
    let (_, events) = events().await;
    let two = Shards::try_from(2).unwrap();
    let grown = EventSource::of_topic(tid("t1"), two).in_new_half();
    let expected = record_all(&events, &source(), 0, 5).await;
    record_all(&events, &grown, 2, 1).await;
    let end = NOW + Duration::hours(1);
    let page = events
        .between(tid("t1"), two, NOW, end, None, 10)
        .await
        .unwrap();
    let (found, shards): (Vec<EventId>, Vec<Shard>) = page
        .events
        .into_iter()
        .map(|(event, shard)| (event.event_id, shard))
        .unzip();
    assert_eq!(found, expected);
    let first = Shard::default();
    assert_eq!(
        shards,
        [first, first, two.new_half_of(&expected[2]), first, first]
    );
}

#[tokio::test]
async fn a_repetition_is_recognised_after_the_topic_has_grown() {
    let (_, events) = events().await;
    let grown = EventSource::of_topic(tid("t1"), Shards::try_from(64).unwrap());
    let event = |id: &str, second| Event {
        event_id: EventId::new(id),
        accepted_at: NOW + Duration::seconds(second),
        payload: Payload::Stored(String::new()),
    };
    for n in 0..8 {
        let id = format!("e{n}");
        // The first one comes before the topic has grown, or after it.
        let first = if n % 2 == 0 { source() } else { grown.clone() };
        let shard = first.shard_of(&EventId::new(id.as_str()));
        let recorded = events.record_once(&first, &event(&id, 1), NOW).await;
        assert!(matches!(recorded, Ok(Recorded::New)), "{id}");
        let repeated = events.record_once(&grown, &event(&id, 2), NOW).await;
        let Ok(Recorded::Pending(known, of)) = repeated else {
            panic!("{repeated:?}");
        };
        assert_eq!((known.accepted_at, of), (event(&id, 1).accepted_at, shard));
        assert!(events.is_pending(&grown, &known.event_id).await.unwrap());
        let noted = events.note_fanned_out(&grown, &known.event_id).await;
        noted.unwrap();
        assert!(!events.is_pending(&grown, &known.event_id).await.unwrap());
        let done = events.record_once(&grown, &event(&id, 3), NOW).await;
        assert!(matches!(done, Ok(Recorded::Done)), "{id}");
    }
}

/// Two thousand events of 1 KB, with and without a key, as of a fifth of a second with ten thousand: no partition takes
/// more than 200 write units, a fifth of what it takes in a second.
#[tokio::test]
async fn no_partition_takes_more_than_its_units_of_ten_thousand_events_a_second() {
    let (db, events) = events().await;
    let source = EventSource::of_topic(tid("t1"), Shards::try_from(32).unwrap());
    let payload = Payload::Inline("x".repeat(1400));
    for n in 0..2000 {
        let event = Event {
            event_id: EventId::new(format!("e{n}")),
            accepted_at: NOW + Duration::microseconds(100 * n),
            payload: payload.clone(),
        };
        if n % 10 == 0 {
            let recorded = events.record_once(&source, &event, NOW).await.unwrap();
            assert!(matches!(recorded, Recorded::New));
        } else {
            events.record(&source, &event, NOW).await.unwrap();
        }
    }
    let mut units: BTreeMap<String, usize> = BTreeMap::new();
    let mut pages = db.scan().table_name(TABLE).into_paginator().items().send();
    while let Some(item) = pages.next().await {
        let item = item.unwrap();
        let bytes: usize = item
            .iter()
            .map(|(name, value)| name.len() + size(value))
            .sum();
        // A transaction takes twice the units: as if all were written by one.
        *units
            .entry(item["source"].as_s().unwrap().clone())
            .or_default() += bytes.div_ceil(1024);
    }
    let most = units.values().max().unwrap();
    assert!(*most <= 200, "{most}");
    // Nearly all of it is in the shards.
    assert_eq!(units.values().filter(|units| **units > 2).count(), 32);
}

/// The bytes of an attribute, about as DynamoDB reckons them.
fn size(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::M(map) => map.iter().map(|(name, it)| name.len() + 1 + size(it)).sum(),
        _ => 21,
    }
}

#[tokio::test]
async fn a_document_is_confirmed_by_the_latest_publication_of_it() {
    let (_, events) = events().await;
    commit(&events, "p1", 1).await;
    let at = async || {
        events
            .latest(tid("t1"))
            .await
            .unwrap()
            .unwrap()
            .last_accepted_at()
    };
    assert_eq!(at().await, NOW);
    // A publication that was accepted before the version and is redriven later doesn't change the time.
    let before = NOW - Duration::hours(1);
    events.confirm(tid("t1"), 1, before).await.unwrap();
    assert_eq!(at().await, NOW);
    let (later, latest) = (NOW + Duration::microseconds(1), NOW + Duration::hours(1));
    for accepted_at in [later, latest, later, NOW] {
        events.confirm(tid("t1"), 1, accepted_at).await.unwrap();
    }
    assert_eq!(at().await, latest);
    // Nothing is recorded of a version that doesn't exist.
    events.confirm(tid("t1"), 2, latest).await.unwrap();
    assert_eq!(events.latest(tid("t1")).await.unwrap().unwrap().version, 1);
}
