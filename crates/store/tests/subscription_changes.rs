//! Changes of subscriptions by their owners: all or nothing, counted at the host of the new URL, and not lost by
//! whoever sends at the same time.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::collections::BTreeMap;

use aws_sdk_dynamodb::Client as DynamoDb;
use bellwire_domain::delivery::lease::{Acquire, Ending, Then};
use bellwire_domain::delivery::session::Session;
use bellwire_domain::endpoint::headers::WebhookHeaders;
use bellwire_domain::endpoint::signature::generate_secret;
use bellwire_domain::topic::modes::SubscriptionMode;
use bellwire_store::leases::{Acquisition, Held, Released};
use bellwire_store::subscription::{Subscription, Target, Webhook};
use bellwire_store::subscription_change::{Changed, SubscriptionChange};
use bellwire_store::{Exceeded, Limits, Subscriptions};
use futures_util::future::join_all;
use support::subscriptions::{LIMITS, NOW, subscription};
use support::{TABLE, message_id, s, sid};
use time::{Duration, OffsetDateTime};

const MEMBERS: &str = "members";

async fn subscribed() -> (DynamoDb, Subscriptions) {
    let db = support::table(&["subscription_id"], None).await;
    support::add_table(&db, MEMBERS, &["audience_segment", "subscription_id"]).await;
    let subscriptions = Subscriptions::new(db.clone(), TABLE.to_owned(), MEMBERS.to_owned());
    let created = subscriptions
        .create(&subscription(), &LIMITS, Vec::new())
        .await;
    created.unwrap();
    (db, subscriptions)
}

/// How many subscriptions the client has at a host, or in all.
async fn counted(db: &DynamoDb, what: &str) -> i64 {
    let found = db
        .get_item()
        .table_name(MEMBERS)
        .key("audience_segment", s("client#c1"))
        .key("subscription_id", s(what))
        .send()
        .await
        .unwrap();
    let item = found.item.unwrap_or_default();
    item.get("subscriptions")
        .map_or(0, |count| count.as_n().unwrap().parse().unwrap())
}

async fn found(subscriptions: &Subscriptions) -> Subscription {
    subscriptions.get(sid("s1")).await.unwrap().unwrap()
}

fn same(known: &Subscription) -> SubscriptionChange {
    SubscriptionChange {
        webhook: known.webhook().clone(),
        mode: known.topic().unwrap().1,
        enabled: None,
    }
}

fn to_url(known: &Subscription, url: &str) -> SubscriptionChange {
    SubscriptionChange {
        webhook: Webhook {
            url: url.to_owned(),
            ..known.webhook().clone()
        },
        ..same(known)
    }
}

async fn change(
    subscriptions: &Subscriptions,
    known: &Subscription,
    change: &SubscriptionChange,
) -> Subscription {
    let changed = subscriptions.change(known, change, &LIMITS, NOW).await;
    match changed.unwrap() {
        Changed::Done(changed) => *changed,
        other => panic!("{other:?}"),
    }
}

/// The message `id` requests a version, at a second; a lease lasts ten seconds.
fn request(id: &str, version: u64, second: u64) -> Acquire<'_> {
    Acquire {
        version,
        message_id: message_id(id),
        nonce: second,
        failures: 0,
        now: second * 1000,
        until: (second + 10) * 1000,
    }
}

async fn acquire(subscriptions: &Subscriptions, request: Acquire<'_>) -> Box<Held> {
    let acquired = subscriptions.acquire_lease(sid("s1"), request).await;
    match acquired.unwrap() {
        Acquisition::Held(held) => held,
        other => panic!("{other:?}"),
    }
}

async fn release(
    subscriptions: &Subscriptions,
    held: &mut Held,
    session: Session,
    ending: Ending,
) -> Released {
    let released = subscriptions.release_lease(held, session, ending, NOW, Duration::days(5));
    released.await.unwrap()
}

#[tokio::test]
async fn everything_changes_in_one_write_and_nothing_else() {
    let (db, subscriptions) = subscribed().await;
    let known = found(&subscriptions).await;
    let headers = BTreeMap::from([("X-Key".to_owned(), "value".to_owned())]);
    let authorization = r#"{"client_id": "id", "client_secret": "s", "mode": "header",
        "provider": "https://id.example.com/token"}"#;
    let webhook = Webhook {
        headers: WebhookHeaders::check(headers).unwrap(),
        authorization: Some(serde_json::from_str(authorization).unwrap()),
        origin: Some("api.example.com".to_owned()),
        // Not a part of the change.
        ..Webhook::new("https://example.org/hook", generate_secret().unwrap())
    };
    let wanted = SubscriptionChange {
        webhook,
        mode: SubscriptionMode::SnapshotOnly,
        enabled: Some(false),
    };
    let changed = change(&subscriptions, &known, &wanted).await;
    assert!(wanted.is_made(&changed));
    assert_eq!(changed.webhook().secrets, known.webhook().secrets);
    // Later than before, although the clock stands still.
    assert_eq!(changed.updated_at, known.updated_at + Duration::MICROSECOND);
    assert!(changed.progress.in_doubt);
    assert_eq!(counted(&db, "topics").await, 1);
    assert_eq!(counted(&db, "topics@example.com").await, 0);
    assert_eq!(counted(&db, "topics@example.org").await, 1);
    // And back: what is not there any more is removed.
    let back = SubscriptionChange {
        enabled: Some(true),
        ..same(&known)
    };
    let changed = change(&subscriptions, &changed, &back).await;
    assert!(back.is_made(&changed) && changed.webhook().authorization.is_none());
    assert_eq!(counted(&db, "topics@example.com").await, 1);
    assert_eq!(counted(&db, "topics@example.org").await, 0);
    subscriptions.delete(&changed).await.unwrap();
    for what in ["topics", "topics@example.com", "topics@example.org"] {
        assert_eq!(counted(&db, what).await, 0, "{what}");
    }
    let gone = subscriptions.change(&known, &back, &LIMITS, NOW).await;
    assert!(matches!(gone.unwrap(), Changed::Gone));
}

#[tokio::test]
async fn what_attempts_have_done_is_no_conflict_and_what_others_have_changed_is_one() {
    let (_, subscriptions) = subscribed().await;
    let known = found(&subscriptions).await;
    subscriptions.note_failure(sid("s1"), NOW).await.unwrap();
    let moved = change(
        &subscriptions,
        &known,
        &to_url(&known, "https://example.com/2"),
    )
    .await;
    // The failures were those of the other URL.
    assert_eq!(moved.failing_since, None);
    // The same again, as it was read before: somebody has changed it.
    let change = to_url(&known, "https://example.com/3");
    let changed = subscriptions.change(&known, &change, &LIMITS, NOW).await;
    let Changed::Before(other) = changed.unwrap() else {
        panic!("somebody has changed it");
    };
    assert_eq!(other.webhook().url, "https://example.com/2");
    // A secret that was rotated is a change, too.
    let secrets = moved.webhook().secrets.clone();
    let secrets = secrets.rotated(generate_secret().unwrap(), NOW);
    let later = NOW + Duration::SECOND;
    let rotated = subscriptions.rotate(&moved, &secrets, later, None).await;
    assert!(rotated.unwrap());
    let changed = subscriptions.change(&moved, &change, &LIMITS, NOW).await;
    assert!(matches!(changed.unwrap(), Changed::Before(_)));
}

#[tokio::test]
async fn the_limit_of_the_new_host_holds() {
    let (db, subscriptions) = subscribed().await;
    let limits = Limits {
        of_client: 1,
        at_host: 1,
    };
    let known = found(&subscriptions).await;
    let other = Subscription {
        subscription_id: sid("s2").clone(),
        target: Target::Webhook(to_url(&known, "https://example.org/2").webhook),
        ..subscription()
    };
    let created = subscriptions.create(&other, &LIMITS, Vec::new()).await;
    created.unwrap();
    let away = to_url(&known, "https://example.org/");
    let changed = subscriptions.change(&known, &away, &limits, NOW).await;
    assert!(matches!(
        changed.unwrap(),
        Changed::TooMany(Exceeded::AtHost)
    ));
    assert_eq!(
        found(&subscriptions).await.webhook().url,
        known.webhook().url
    );
    assert_eq!(counted(&db, "topics@example.com").await, 1);
    assert_eq!(counted(&db, "topics@example.org").await, 1);
    // At the same host it is counted already.
    let near = to_url(&known, "https://example.com./other");
    let changed = subscriptions.change(&known, &near, &limits, NOW).await;
    assert!(matches!(changed.unwrap(), Changed::Done(_)));
    assert_eq!(counted(&db, "topics@example.com").await, 1);
}

#[tokio::test]
async fn of_changes_at_the_same_time_one_is_made_and_counted() {
    let (db, subscriptions) = subscribed().await;
    let known = found(&subscriptions).await;
    let urls = (0..5).map(|n| format!("https://{n}.example.com/"));
    let changes: Vec<SubscriptionChange> = urls.map(|url| to_url(&known, &url)).collect();
    let changing = changes
        .iter()
        .map(|change| subscriptions.change(&known, change, &LIMITS, NOW));
    let changed = join_all(changing).await.into_iter();
    let done = changed.filter(|it| matches!(it, Ok(Changed::Done(_))));
    assert_eq!(done.count(), 1);
    let mut counts = vec![counted(&db, "topics@example.com").await];
    for n in 0..5 {
        counts.push(counted(&db, &format!("topics@{n}.example.com")).await);
    }
    counts.sort_unstable();
    assert_eq!(counts, [0, 0, 0, 0, 0, 1]);
}

#[tokio::test]
async fn whoever_ends_a_subscription_that_has_moved_counts_it_where_it_is() {
    let now = OffsetDateTime::now_utc();
    for deleted in [true, false] {
        let (db, subscriptions) = subscribed().await;
        let known = found(&subscriptions).await;
        let moved = to_url(&known, "https://example.org/");
        change(&subscriptions, &known, &moved).await;
        // It was read before.
        if deleted {
            subscriptions.delete(&known).await.unwrap();
            assert!(subscriptions.get(sid("s1")).await.unwrap().is_none());
        } else {
            subscriptions.expire(&known, now, now).await.unwrap();
            assert!(found(&subscriptions).await.ended_at.is_some());
            let change = to_url(&known, "https://example.net/");
            let changed = subscriptions.change(&known, &change, &LIMITS, NOW).await;
            assert!(matches!(changed.unwrap(), Changed::Gone));
        }
        for what in ["topics", "topics@example.com", "topics@example.org"] {
            assert_eq!(counted(&db, what).await, 0, "{what}");
        }
    }
}

#[tokio::test]
async fn what_has_changed_is_not_deleted_by_who_does_not_know_it() {
    let (db, subscriptions) = subscribed().await;
    let known = found(&subscriptions).await;
    let moved = to_url(&known, "https://example.org/");
    let moved = change(&subscriptions, &known, &moved).await;
    let other = subscriptions.delete_unchanged(&known).await.unwrap();
    assert_eq!(other.unwrap().webhook().url, "https://example.org/");
    for _ in 0..2 {
        let other = subscriptions.delete_unchanged(&moved).await.unwrap();
        assert!(other.is_none());
    }
    assert!(subscriptions.get(sid("s1")).await.unwrap().is_none());
    assert_eq!(counted(&db, "topics@example.org").await, 0);
}

#[tokio::test]
async fn whoever_holds_the_lease_sends_a_snapshot_to_the_new_url() {
    let (_, subscriptions) = subscribed().await;
    let mut held = acquire(&subscriptions, request("m1", 1, 0)).await;
    let known = found(&subscriptions).await;
    let moved = to_url(&known, "https://example.org/");
    change(&subscriptions, &known, &moved).await;
    // The message of the change finds that somebody sends.
    let acquired = subscriptions.acquire_lease(sid("s1"), request("m2", 1, 1));
    assert!(matches!(acquired.await.unwrap(), Acquisition::Nothing));
    let session = Session::begin(&held.subscription.progress).acknowledged(1);
    let released = release(&subscriptions, &mut held, session, Ending::UpToDate).await;
    let Released::GoOn(more) = released else {
        panic!("the new URL has nothing");
    };
    assert!(more.in_doubt);
    assert_eq!(held.subscription.webhook().url, "https://example.org/");
    let session = more.acknowledged(1);
    let released = release(&subscriptions, &mut held, session, Ending::UpToDate).await;
    assert!(matches!(released, Released::Done(_, Then::Done)));
    assert!(!found(&subscriptions).await.progress.in_doubt);
}

#[tokio::test]
async fn what_the_earlier_url_answers_does_not_count() {
    for ending in [
        Ending::Failed {
            retry_at: Some(60_000),
        },
        Ending::Failed { retry_at: None },
        Ending::Gone,
    ] {
        let (_, subscriptions) = subscribed().await;
        let mut held = acquire(&subscriptions, request("m1", 1, 0)).await;
        let known = found(&subscriptions).await;
        let moved = to_url(&known, "https://example.org/");
        change(&subscriptions, &known, &moved).await;
        let session = Session::begin(&held.subscription.progress).failed();
        let released = release(&subscriptions, &mut held, session, ending).await;
        let Released::Done(after, then) = released else {
            panic!("{released:?}");
        };
        assert_eq!(then, Then::NewSchedule { version: 1 }, "{ending:?}");
        assert!(after.disabled.is_none() && after.progress.in_doubt);
        assert_eq!((after.progress.failures, after.progress.retry), (0, None));
    }
    // An event's 410, too, was the other's.
    let (_, subscriptions) = subscribed().await;
    let known = found(&subscriptions).await;
    let moved = to_url(&known, "https://example.org/");
    change(&subscriptions, &known, &moved).await;
    let gone = subscriptions.disable_gone(&known, NOW).await.unwrap();
    assert!(gone.is_none());
}

#[tokio::test]
async fn a_retry_that_is_pending_is_not_waited_for() {
    let (_, subscriptions) = subscribed().await;
    let mut held = acquire(&subscriptions, request("m1", 1, 0)).await;
    let session = Session::begin(&held.subscription.progress).failed();
    let ending = Ending::Failed {
        retry_at: Some(60_000),
    };
    release(&subscriptions, &mut held, session, ending).await;
    let known = found(&subscriptions).await;
    let moved = to_url(&known, "https://example.org/");
    change(&subscriptions, &known, &moved).await;
    let mut held = acquire(&subscriptions, request("m2", 1, 1)).await;
    assert_eq!(held.subscription.webhook().url, "https://example.org/");
    assert!(held.subscription.progress.in_doubt);
    let session = Session::begin(&held.subscription.progress).acknowledged(1);
    release(&subscriptions, &mut held, session, Ending::UpToDate).await;
    // The retry comes, and finds nothing to do.
    let retry = Acquire {
        failures: 1,
        ..request("r1", 1, 60)
    };
    let acquired = subscriptions.acquire_lease(sid("s1"), retry).await;
    assert!(matches!(acquired.unwrap(), Acquisition::Nothing));
}

#[tokio::test]
async fn a_disabled_endpoint_stays_disabled_at_another_url() {
    let (_, subscriptions) = subscribed().await;
    let known = found(&subscriptions).await;
    subscriptions.disable_gone(&known, NOW).await.unwrap();
    let known = found(&subscriptions).await;
    let moved = to_url(&known, "https://example.org/");
    let changed = change(&subscriptions, &known, &moved).await;
    assert_eq!(changed.disabled, known.disabled);
    assert!(changed.owner_unnotified);
    // Suspending it once more doesn't change since when it is disabled.
    let suspended = SubscriptionChange {
        enabled: Some(false),
        ..same(&changed)
    };
    assert!(suspended.is_made(&changed));
    let active = SubscriptionChange {
        enabled: Some(true),
        ..same(&changed)
    };
    let changed = change(&subscriptions, &changed, &active).await;
    assert_eq!((changed.disabled, changed.owner_unnotified), (None, false));
}
