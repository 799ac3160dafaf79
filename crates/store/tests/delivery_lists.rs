//! Lists of deliveries, each with its attempts, and single ones by their ids.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use bellwire_domain::delivery::key::DeliveryKey;
use bellwire_domain::ids::{DeliveryId, EventId, delivery_id, version_id};
use bellwire_domain::topic::modes::SubscriptionMode;
use bellwire_domain::topic::shards::{Shard, Shards};
use bellwire_store::attempts::FinishedAttempt;
use bellwire_store::delivery_list::{DeliveriesWanted, DeliveryPage};
use bellwire_store::delivery_record::DeliveryRecord;
use bellwire_store::subscription::Source;
use bellwire_store::{Attempts, Deliveries, Subscription};
use support::attempts::{NOW, WEEK, attempt, key, tables};
use support::subscriptions::subscription;
use support::{sid, tid};
use time::{Duration, OffsetDateTime};

/// The subscription `s1` to a topic of events.
fn to_events() -> Subscription {
    let topic_id = tid("t1").clone();
    Subscription {
        source: Source::Topic {
            topic_id,
            mode: SubscriptionMode::Event,
        },
        ..subscription()
    }
}

/// What is shown of a delivery: its id, and when its attempts were sent, newest first.
type Shown = (String, Vec<OffsetDateTime>);

fn shown(delivery: &DeliveryRecord) -> Shown {
    let sent = delivery.attempts.iter().map(|it| it.sent_at);
    (delivery.id.to_string(), sent.collect())
}

async fn page(
    attempts: &Attempts,
    of: &Subscription,
    shards: Shards,
    wanted: &DeliveriesWanted,
    now: OffsetDateTime,
) -> DeliveryPage {
    let page = attempts.deliveries(of, shards, wanted, now, |_| true);
    page.await.unwrap()
}

/// Every delivery from one time to another, from all pages of this size.
async fn listed(
    attempts: &Attempts,
    of: &Subscription,
    shards: Shards,
    (start, end): (OffsetDateTime, OffsetDateTime),
    limit: usize,
    now: OffsetDateTime,
) -> Vec<Shown> {
    let (mut after, mut found) = (None, Vec::new());
    for _ in 0..1000 {
        let wanted = DeliveriesWanted {
            start,
            end,
            after,
            limit,
        };
        let page = page(attempts, of, shards, &wanted, now).await;
        assert!(page.deliveries.len() <= limit);
        assert!(page.deliveries.iter().all(|it| !it.attempts_truncated));
        found.extend(page.deliveries.iter().map(shown));
        after = page.next_cursor;
        if after.is_none() {
            return found;
        }
    }
    panic!("the list doesn't end");
}

/// A delivery, its place in the list, and its attempts in order.
struct Made {
    place: OffsetDateTime,
    attempts: Vec<FinishedAttempt>,
}

impl Made {
    fn id(&self) -> DeliveryId {
        self.attempts[0].delivery_id.clone()
    }

    fn shown(&self) -> Shown {
        let mut sent: Vec<_> = self.attempts.iter().map(|it| it.sent_at).collect();
        sent.sort();
        sent.reverse();
        (self.id().to_string(), sent)
    }
}

/// An attempt after the first.
fn later(
    first: &FinishedAttempt,
    failures: usize,
    at: OffsetDateTime,
    arrived: bool,
) -> FinishedAttempt {
    let mut made = first.clone();
    (made.first, made.arrived, made.sent_at) = (false, arrived, at);
    made.content.failures = failures;
    made.content.status = Some(if arrived { 200 } else { 500 });
    made
}

/// Deliveries of events: some arrive at once, some late, some after retries; of some there is a copy of the first attempt,
/// or of the whole schedule; some are sent once more; and tests.
fn made(shards: Shards) -> Vec<Made> {
    let mut number: u64 = 7;
    let mut random = |below: i64| {
        number = number
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        i64::try_from(number >> 33).unwrap() % below
    };
    (0..90)
        .map(|n| {
            let accepted_at = NOW + Duration::milliseconds(n * 4000 + random(3000));
            let is_late = n % 5 == 0;
            let after = if is_late {
                61_000 + random(90_000)
            } else {
                random(50_000)
            };
            let retries = usize::try_from(random(4)).unwrap() * usize::from(n % 3 != 0);
            let mut first = attempt(
                &format!("e{n}"),
                accepted_at,
                Duration::milliseconds(after),
                retries == 0 && n % 11 != 0,
            );
            let is_test = n % 13 == 12;
            if is_test {
                let key = DeliveryKey {
                    accepted_at: OffsetDateTime::UNIX_EPOCH,
                    ..key(&format!("test{n}"), NOW)
                };
                (first.delivery_id, first.key) = (key.id(), Some(key));
            } else if let Some(key) = &mut first.key {
                // The topic had one shard at first.
                let then = if n < 20 { Shards::ONE } else { shards };
                key.shard = then.of(&key.event_id);
            }
            let place = if is_late || is_test {
                first.sent_at
            } else {
                accepted_at
            };
            let mut attempts = vec![first.clone()];
            let mut at = first.sent_at;
            if !is_test {
                for failures in 1..=retries {
                    at += Duration::milliseconds(1 + random(60_000));
                    attempts.push(later(&first, failures, at, failures == retries));
                }
                if n % 7 == 1 && !is_late && !first.arrived {
                    at += Duration::milliseconds(1 + random(9_000));
                    attempts.push(later(&first, 0, at, false));
                }
                if n % 4 == 1 {
                    at += Duration::milliseconds(1 + random(9_000));
                    let mut resent = later(&first, attempts.len(), at, n % 8 == 1);
                    let resend_id = EventId::new(format!("resend{n}"));
                    let shard = first.key.as_ref().unwrap().shard;
                    resent.content.resend = true;
                    resent.resend = Some(DeliveryKey::of_resend(&resend_id, sid("s1"), shard));
                    attempts.push(resent);
                }
            }
            Made { place, attempts }
        })
        .collect()
}

async fn recorded(deliveries: &Deliveries, attempts: &Attempts, made: &[Made]) {
    for it in made {
        for attempt in &it.attempts {
            if attempt.resend.is_some() {
                attempts
                    .note_resent(attempt.key.as_ref().unwrap())
                    .await
                    .unwrap();
            }
            let failed = deliveries.record(std::slice::from_ref(attempt), NOW).await;
            assert!(failed.is_empty());
        }
    }
}

#[tokio::test]
async fn every_delivery_is_listed_once_with_all_of_its_attempts_whatever_the_pages() {
    for count in [1, 4] {
        let (_, deliveries, attempts) = tables().await;
        let shards = Shards::try_from(count).unwrap();
        let mut made = made(shards);
        recorded(&deliveries, &attempts, &made).await;
        made.sort_by_key(|it| std::cmp::Reverse(it.place));
        let now = NOW + Duration::hours(1);
        let whole = (NOW - Duration::hours(1), now);
        // The end is before many of the attempts of what is listed.
        let part = (NOW + Duration::seconds(40), NOW + Duration::seconds(200));
        for stretch in [whole, part] {
            let within = made
                .iter()
                .filter(|it| it.place >= stretch.0 && it.place <= stretch.1);
            let expected: Vec<Shown> = within.map(Made::shown).collect();
            assert!(expected.len() > 20);
            for limit in [3, 100] {
                let found = listed(&attempts, &to_events(), shards, stretch, limit, now).await;
                assert_eq!(found, expected, "{count} {limit}");
            }
        }
        for it in &made {
            let found = attempts.delivery(&to_events(), shards, &it.id(), now).await;
            let found = found.unwrap().unwrap();
            assert_eq!(shown(&found), it.shown());
            assert!(!found.attempts_truncated);
            let key = it.attempts[0].key.as_ref().unwrap();
            assert_eq!(found.event_id, Some(key.event_id.clone()));
            let shard = if key.is_test() {
                Shard::default()
            } else {
                key.shard
            };
            assert_eq!(found.shard, shard);
        }
    }
}

/// An attempt to deliver a version of the document.
fn of_version(version: u64, failures: usize, second: i64, arrived: bool) -> FinishedAttempt {
    let mut made = attempt("", NOW, Duration::seconds(second), arrived);
    (made.key, made.first) = (None, false);
    made.delivery_id = delivery_id(&version_id(tid("t1"), version), sid("s1"));
    made.content.version = Some(version);
    made.content.failures = failures;
    made
}

fn test(name: &str, second: i64) -> FinishedAttempt {
    let mut made = attempt(name, NOW, Duration::seconds(second), true);
    let key = DeliveryKey {
        accepted_at: OffsetDateTime::UNIX_EPOCH,
        ..key(name, NOW)
    };
    (made.delivery_id, made.key) = (key.id(), Some(key));
    made
}

#[tokio::test]
async fn a_versions_attempts_are_one_delivery_whatever_is_sent_between_them() {
    let (_, deliveries, attempts) = tables().await;
    let versions = [
        vec![of_version(1, 0, 1, true)],
        vec![of_version(2, 0, 3, false)],
        // The failures of the document go on with the version that is sent in place of the one before.
        vec![
            of_version(3, 1, 5, false),
            of_version(3, 2, 9, true),
            of_version(3, 0, 11, true),
        ],
        vec![test("x", 7)],
        vec![test("y", 4)],
        vec![of_version(4, 0, 13, true)],
        vec![test("z", 12)],
    ];
    let mut made: Vec<Made> = versions
        .into_iter()
        .map(|attempts| Made {
            place: attempts[0].sent_at,
            attempts,
        })
        .collect();
    recorded(&deliveries, &attempts, &made).await;
    made.sort_by_key(|it| std::cmp::Reverse(it.place));
    let now = NOW + Duration::hours(1);
    let second = |second| NOW + Duration::seconds(second);
    for (start, end) in (0..14).flat_map(|start| [3600, 12, 10, 8, 6, 4].map(|end| (start, end))) {
        let stretch = (second(start), second(end));
        let within = made
            .iter()
            .filter(|it| it.place >= stretch.0 && it.place <= stretch.1);
        let expected: Vec<Shown> = within.map(Made::shown).collect();
        for limit in [1, 2, 3, 100] {
            let found = listed(&attempts, &subscription(), Shards::ONE, stretch, limit, now).await;
            assert_eq!(found, expected, "{start} {end} {limit}");
        }
    }
    for it in &made {
        let found = attempts
            .delivery(&subscription(), Shards::ONE, &it.id(), now)
            .await;
        assert_eq!(shown(&found.unwrap().unwrap()), it.shown());
    }
}

#[tokio::test]
async fn what_is_filtered_out_is_not_read_without_a_bound() {
    let (_, deliveries, attempts) = tables().await;
    let made: Vec<_> = (0..2500)
        .map(|n| {
            attempt(
                &format!("e{n}"),
                NOW + Duration::milliseconds(n),
                Duration::ZERO,
                true,
            )
        })
        .collect();
    assert!(deliveries.record(&made, NOW).await.is_empty());
    let (mut after, mut pages, mut looked_at) = (None, 0, 0);
    let now = NOW + Duration::hours(1);
    let first = made[0].delivery_id.clone();
    let mut found = Vec::new();
    loop {
        let wanted = DeliveriesWanted {
            start: NOW,
            end: now,
            after,
            limit: 20,
        };
        let seen = std::cell::Cell::new(0);
        let of = to_events();
        let page = attempts.deliveries(&of, Shards::ONE, &wanted, now, |it| {
            seen.set(seen.get() + 1);
            it.id == first
        });
        let page = page.await.unwrap();
        assert!(seen.get() <= 1000);
        looked_at += seen.get();
        pages += 1;
        found.extend(page.deliveries);
        after = page.next_cursor;
        if after.is_none() {
            break;
        }
    }
    assert_eq!((pages, looked_at, found.len()), (3, 2500, 1));
}

#[tokio::test]
async fn a_version_that_was_sent_without_end_is_listed_and_says_that_there_is_more() {
    let (_, deliveries, attempts) = tables().await;
    let mut made = vec![of_version(1, 0, 0, true)];
    made.extend((1..2200).map(|second| of_version(2, 0, second, true)));
    made.push(of_version(3, 0, 3000, true));
    assert!(deliveries.record(&made, NOW).await.is_empty());
    let (mut after, mut found) = (None, Vec::new());
    for _ in 0..10 {
        let wanted = DeliveriesWanted {
            start: NOW,
            end: NOW + Duration::hours(1),
            after,
            limit: 20,
        };
        let now = NOW + Duration::hours(2);
        let page = page(&attempts, &subscription(), Shards::ONE, &wanted, now).await;
        found.extend(page.deliveries);
        after = page.next_cursor;
        if after.is_none() {
            break;
        }
    }
    let found: Vec<_> = found
        .iter()
        .map(|it| (it.version(), it.attempts_truncated))
        .collect();
    assert_eq!(found, [(Some(3), false), (Some(2), true), (Some(1), false)]);
}

#[tokio::test]
async fn what_isnt_on_record_isnt_found() {
    let (_, deliveries, attempts) = tables().await;
    let first = attempt("e1", NOW, Duration::ZERO, true);
    assert!(
        deliveries
            .record(std::slice::from_ref(&first), NOW)
            .await
            .is_empty()
    );
    // That it has arrived is known, and nothing else.
    let marked = key("e2", NOW);
    deliveries.note_arrived(&marked, NOW).await.unwrap();
    let foreign = DeliveryKey {
        subscription_id: sid("s2").clone(),
        ..key("e1", NOW)
    };
    let ids = [
        marked.id(),
        foreign.id(),
        key("e1", NOW + Duration::microseconds(1)).id(),
        key("e1", NOW).earlier_id(),
        DeliveryId::new(""),
        DeliveryId::new("~"),
        DeliveryId::new("#"),
        DeliveryId::new("x".repeat(3000)),
        DeliveryId::new("0".repeat(36)),
    ];
    for id in ids {
        let found = attempts.delivery(&to_events(), Shards::ONE, &id, NOW).await;
        assert_eq!(found.unwrap(), None, "{id}");
    }
    let found = async |now| {
        let of = to_events();
        let found = attempts.delivery(&of, Shards::ONE, &first.delivery_id, now);
        found.await.unwrap()
    };
    assert!(found(NOW + WEEK).await.is_some());
    // DynamoDB keeps it as long as it may be replayed; it isn't shown.
    assert_eq!(found(NOW + WEEK + Duration::seconds(1)).await, None);
}

#[tokio::test]
async fn a_mark_of_a_resend_that_comes_before_its_attempt_is_no_delivery() {
    let (_, deliveries, attempts) = tables().await;
    let first = attempt("e1", NOW, Duration::ZERO, true);
    let key = first.key.clone().unwrap();
    // Nothing is written where nothing is on record.
    attempts.note_resent(&key).await.unwrap();
    let wanted = DeliveriesWanted {
        start: NOW,
        end: NOW + Duration::hours(1),
        after: None,
        limit: 20,
    };
    let now = NOW + Duration::hours(2);
    let empty = page(&attempts, &to_events(), Shards::ONE, &wanted, now).await;
    assert!(empty.deliveries.is_empty() && empty.next_cursor.is_none());
    assert!(
        deliveries
            .record(std::slice::from_ref(&first), NOW)
            .await
            .is_empty()
    );
    attempts.note_resent(&key).await.unwrap();
    let one = page(&attempts, &to_events(), Shards::ONE, &wanted, now).await;
    assert_eq!(one.deliveries.len(), 1);
    assert_eq!(one.deliveries[0].attempts.len(), 1);
}

#[tokio::test]
async fn a_delivery_that_came_late_twice_is_listed_once_by_the_later_schedule() {
    let (_, deliveries, attempts) = tables().await;
    let late = |event: &str, second| attempt(event, NOW, Duration::seconds(second), false);
    let made = [late("e1", 100), late("e2", 200), late("e1", 300)];
    assert!(deliveries.record(&made, NOW).await.is_empty());
    let now = NOW + Duration::hours(1);
    for (start, limit) in [(0, 1), (0, 2), (0, 20), (150, 1), (150, 20)] {
        let stretch = (NOW + Duration::seconds(start), now);
        let found = listed(&attempts, &to_events(), Shards::ONE, stretch, limit, now).await;
        // Whatever the page, and wherever the list begins, it has the attempts of the schedule before.
        let first = made[2].delivery_id.to_string();
        let expected = [
            (first, vec![made[2].sent_at, made[0].sent_at]),
            (made[1].delivery_id.to_string(), vec![made[1].sent_at]),
        ];
        assert_eq!(found, expected, "{start} {limit}");
    }
    let found = attempts
        .delivery(&to_events(), Shards::ONE, &made[0].delivery_id, now)
        .await;
    assert_eq!(found.unwrap().unwrap().attempts.len(), 2);
}

#[tokio::test]
async fn earlier_schedules_are_not_looked_for_without_a_bound() {
    let (_, deliveries, attempts) = tables().await;
    let late = |event: &str, second| attempt(event, NOW, Duration::seconds(second), false);
    let mut made = vec![late("e1", 100)];
    made.extend((101..301).map(|second| late(&format!("e{second}"), second)));
    made.push(late("e1", 400));
    assert!(deliveries.record(&made, NOW).await.is_empty());
    let now = NOW + Duration::hours(1);
    let wanted = DeliveriesWanted {
        start: NOW,
        end: now,
        after: None,
        limit: 1,
    };
    let first = page(&attempts, &to_events(), Shards::ONE, &wanted, now).await;
    let [first] = &first.deliveries[..] else {
        panic!("one")
    };
    assert_eq!((first.attempts.len(), first.attempts_truncated), (1, true));
}
