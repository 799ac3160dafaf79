//! The Events table.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use aws_sdk_dynamodb::Client;
use bellwire_domain::ids::EventId;
use bellwire_domain::topic::payload::Payload;
use bellwire_store::Events;
use bellwire_store::events::{Event, EventSource, Recorded};
use bellwire_store::versions::{Committed, Current, Version};
use support::{TABLE, tid};
use time::{Duration, OffsetDateTime};

/// What the events are about.
fn source() -> EventSource {
    EventSource::from(tid("t1"))
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
            .between(tid("t1"), at(2), at(8), after, 3)
            .await
            .unwrap();
        found.push(
            page.events
                .into_iter()
                .map(|it| it.event_id)
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
            Recorded::Pending(first) => Some(Some(first.accepted_at)),
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
    let page = events.between(tid("t1"), NOW, end, None, 10).await.unwrap();
    assert_eq!(page.events.len(), 1);
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
