//! The attempts of several subscriptions in one list.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use bellwire_domain::Secret;
use bellwire_domain::delivery::key::DeliveryKey;
use bellwire_domain::entity::{EntityKey, Spelling};
use bellwire_domain::ids::{EventId, SubscriptionId};
use bellwire_domain::topic::shards::Shard;
use bellwire_store::attempt_record::Content;
use bellwire_store::attempts::FinishedAttempt;
use bellwire_store::subscription::{Source, Subscription, Webhook};
use support::attempts::{NOW, WEEK, tables};
use time::Duration;

fn subscription(id: &str) -> Subscription {
    let source = Source::Entity {
        entity_key: EntityKey::try_from("order-1".to_owned()).unwrap(),
        spelling: Spelling::default(),
    };
    let webhook = Webhook::new("https://example.com/", Secret::new("whsec_AAAA"));
    Subscription::new(SubscriptionId::new(id), "c1", source, webhook, NOW)
}

/// The attempt at the delivery of an event that was accepted so many milliseconds after [`NOW`].
fn attempt(subscription_id: &str, event: u64, failures: usize) -> FinishedAttempt {
    let millis = i64::try_from(event).unwrap() * 10;
    let key = DeliveryKey {
        subscription_id: SubscriptionId::new(subscription_id),
        accepted_at: NOW + Duration::milliseconds(millis),
        event_id: EventId::new(format!("e{event}")),
        shard: Shard::default(),
    };
    FinishedAttempt {
        subscription_id: key.subscription_id.clone(),
        delivery_id: key.id(),
        first: failures == 0,
        resend: None,
        arrived: failures > 0,
        // Retries are in between first attempts at later events.
        sent_at: key.accepted_at
            + Duration::milliseconds(3 + 100 * i64::try_from(failures).unwrap()),
        key: Some(key),
        content: Content {
            event_type: "entity_updated".to_owned(),
            failures,
            ..Content::default()
        },
    }
}

fn shown(attempt: &FinishedAttempt) -> String {
    let (id, failures) = (&attempt.delivery_id, attempt.content.failures);
    format!("{} {id} {failures}", attempt.subscription_id)
}

#[tokio::test]
async fn pages_are_of_all_subscriptions_and_stay_right_while_attempts_are_added() {
    let now = NOW + Duration::hours(1);
    for limit in [1, 4, 7, 100] {
        let (_, deliveries, attempts) = tables().await;
        // The last one has had nothing.
        let ids = ["s1", "s2", "s3", "s4"];
        let mut made = Vec::new();
        for event in 0..20 {
            // Not all have the same events, and one has far more than others.
            let all = ids[..3].iter().enumerate();
            let of = all.filter(|(n, _)| *n == 0 || event % (*n as u64 * 3) == 0);
            for (_, id) in of {
                made.push(attempt(id, event, 0));
                made.push(attempt(id, event, 1));
            }
        }
        assert!(deliveries.record(&made, NOW).await.is_empty());
        made.sort_by_key(|it| std::cmp::Reverse((it.sent_at, it.delivery_id.to_string())));
        let expected: Vec<String> = made.iter().map(shown).collect();
        let subscriptions = ids.map(subscription);
        let (mut after, mut found, mut pages) = (None, Vec::new(), 0);
        loop {
            let page = attempts
                .newest_of(&subscriptions, after, limit, now, |subscription, record| {
                    let (id, failures) = (record.delivery_id, record.failures);
                    format!("{} {id} {failures}", subscription.subscription_id)
                })
                .await
                .unwrap();
            assert!(page.entries.len() <= limit);
            found.extend(page.entries);
            pages += 1;
            after = page.next_cursor;
            if after.is_none() {
                break;
            }
            // What is made meanwhile is not in the pages that follow.
            let new = [attempt("s1", 500 + pages, 0), attempt("s4", 500 + pages, 0)];
            assert!(deliveries.record(&new, NOW).await.is_empty());
        }
        assert_eq!(found, expected, "{limit}");
        assert_eq!(pages, expected.len().div_ceil(limit) as u64);
    }
}

#[tokio::test]
async fn of_no_subscriptions_and_of_none_that_had_anything_there_is_nothing() {
    let (_, _, attempts) = tables().await;
    for subscriptions in [vec![], vec![subscription("s1"), subscription("s2")]] {
        let page = attempts
            .newest_of(&subscriptions, None, 10, NOW + WEEK, |_, _| ())
            .await
            .unwrap();
        assert_eq!((page.entries.len(), page.next_cursor), (0, None));
    }
}
