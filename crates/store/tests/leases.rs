//! The lease of a subscription to a document, in the table. The decisions are tested in
//! `bellwire-domain`; here, that they are written, and repeated after concurrent changes.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use bellwire_domain::delivery::lease::{Acquire, Ending, Then};
use bellwire_domain::delivery::session::Session;
use bellwire_domain::endpoint::Disabled;
use bellwire_store::Subscriptions;
use bellwire_store::leases::{Acquisition, Held, Released};
use bellwire_store::subscription::Subscription;
use support::subscriptions::{subscribed, subscription};
use support::{message_id, sid};
use time::{Duration, OffsetDateTime};

const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

/// Message `id` requests a version, at a second; a lease lasts ten seconds.
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
    match subscriptions
        .acquire_lease(sid("s1"), request)
        .await
        .unwrap()
    {
        Acquisition::Held(held) => held,
        other => panic!("{request:?} came to {other:?}"),
    }
}

fn session(held: &Held) -> Session {
    Session::begin(&held.subscription.progress)
}

async fn release(
    subscriptions: &Subscriptions,
    held: &mut Held,
    session: Session,
    ending: Ending,
) -> Released {
    subscriptions
        .release_lease(held, session, ending, NOW, Duration::days(5))
        .await
        .unwrap()
}

/// Lets an attempt of the holder fail, and releases the lease; the retry, if any, is due at a second.
async fn fail(
    subscriptions: &Subscriptions,
    mut held: Box<Held>,
    retry_second: Option<u64>,
) -> (Subscription, Then) {
    let retry_at = retry_second.map(|second| second * 1000);
    let failed = session(&held).failed();
    let ending = Ending::Failed { retry_at };
    match release(subscriptions, &mut held, failed, ending).await {
        Released::Done(subscription, then) => (*subscription, then),
        other => panic!("{other:?}"),
    }
}

/// Lets the endpoint acknowledge a version, and releases the lease.
async fn succeed(subscriptions: &Subscriptions, mut held: Box<Held>, version: u64) -> Subscription {
    let session = session(&held).acknowledged(version);
    match release(subscriptions, &mut held, session, Ending::UpToDate).await {
        Released::Done(subscription, Then::Done) => *subscription,
        other => panic!("{other:?}"),
    }
}

macro_rules! assert_acquisition {
    ($subscriptions:expr, $request:expr, $expected:pat) => {
        let found = $subscriptions
            .acquire_lease(sid("s1"), $request)
            .await
            .unwrap();
        assert!(matches!(found, $expected), "{found:?}");
    };
}

#[tokio::test]
async fn one_message_has_the_lease_and_goes_on_while_more_is_wanted() {
    let subscriptions = subscribed().await;
    let mut held = acquire(&subscriptions, request("m1", 1, 0)).await;
    assert_eq!(held.subscription.progress.wanted, 1);

    assert_acquisition!(subscriptions, request("m2", 2, 1), Acquisition::Nothing);
    assert_acquisition!(subscriptions, request("m3", 3, 1), Acquisition::Nothing);
    assert_acquisition!(subscriptions, request("m1b", 1, 1), Acquisition::Nothing);

    let sent = session(&held).acknowledged(1);
    let Released::GoOn(more) = release(&subscriptions, &mut held, sent, Ending::UpToDate).await
    else {
        panic!("more is wanted");
    };
    assert_eq!((more.wanted, more.in_doubt), (3, false));
    let done = more.acknowledged(2).acknowledged(3);
    let Released::Done(found, Then::Done) =
        release(&subscriptions, &mut held, done, Ending::UpToDate).await
    else {
        panic!("nothing more is wanted");
    };
    assert_eq!(
        (found.progress.acknowledged, found.progress.lease),
        (3, None)
    );

    assert_acquisition!(subscriptions, request("m3", 3, 2), Acquisition::Nothing);
    let held = acquire(&subscriptions, request("m4", 4, 2)).await;
    assert_eq!(held.subscription.progress.acknowledged, 3);
}

#[tokio::test]
async fn of_many_at_once_one_has_the_lease() {
    let subscriptions = subscribed().await;
    let requests = (0..20).map(|n| {
        let subscriptions = subscriptions.clone();
        tokio::spawn(async move {
            let id = format!("m{n}");
            let request = request(&id, n % 5 + 1, 0);
            let found = subscriptions
                .acquire_lease(sid("s1"), request)
                .await
                .unwrap();
            matches!(found, Acquisition::Held(_))
        })
    });
    let mut held = 0;
    for acquired in requests.collect::<Vec<_>>() {
        held += usize::from(acquired.await.unwrap());
    }
    assert_eq!(held, 1);
    let found = subscriptions.get(sid("s1")).await.unwrap().unwrap();
    assert_eq!(found.progress.wanted, 5);
}

#[tokio::test]
async fn a_lease_that_was_not_released_leaves_a_doubt() {
    let subscriptions = subscribed().await;
    let mut first = acquire(&subscriptions, request("m1", 1, 0)).await;
    // The same message again, before the lease has expired: the first receipt may still be processed.
    assert_acquisition!(subscriptions, request("m1", 1, 9), Acquisition::Busy);
    let held = acquire(&subscriptions, request("m1", 1, 10)).await;
    assert!(held.subscription.progress.in_doubt);
    // The same with another message's lease. The holder before can't release it.
    let held = acquire(&subscriptions, request("m2", 2, 30)).await;
    assert!(held.subscription.progress.in_doubt);
    first.subscription = held.subscription.clone();
    let sent = session(&first).acknowledged(1);
    let released = release(&subscriptions, &mut first, sent, Ending::UpToDate).await;
    assert!(matches!(released, Released::Lost), "{released:?}");
    succeed(&subscriptions, held, 2).await;
    let held = acquire(&subscriptions, request("m3", 3, 31)).await;
    assert!(!held.subscription.progress.in_doubt);
}

#[tokio::test]
async fn after_a_failure_only_the_retry_has_the_lease_before_its_time() {
    let subscriptions = subscribed().await;
    let held = acquire(&subscriptions, request("m1", 1, 0)).await;
    let (found, then) = fail(&subscriptions, held, Some(60)).await;
    let (version, failures) = (1, 1);
    assert_eq!(then, Then::Retry { version, failures });
    assert_eq!(found.failing_since, Some(NOW));

    assert_acquisition!(subscriptions, request("m2", 2, 1), Acquisition::Nothing);
    assert_acquisition!(subscriptions, request("m2", 2, 2), Acquisition::Nothing);
    // The message that failed, again: it can't know whether its retry was sent.
    assert_acquisition!(
        subscriptions,
        request("m1", 1, 2),
        Acquisition::ArrangeRetry(..)
    );

    let retry = |failures| Acquire {
        failures,
        ..request("r1", 1, 50)
    };
    assert_acquisition!(subscriptions, retry(2), Acquisition::Nothing);
    let held = acquire(&subscriptions, retry(1)).await;
    assert!(held.subscription.progress.in_doubt);
    assert_eq!(held.subscription.progress.wanted, 2);
    let twice = Acquire {
        message_id: message_id("r1-twice"),
        ..retry(1)
    };
    assert_acquisition!(subscriptions, twice, Acquisition::Nothing);
    let found = succeed(&subscriptions, held, 2).await;
    assert_eq!(found.failing_since, None);
    assert_eq!(found.progress.schedule, None);
    assert_acquisition!(subscriptions, retry(1), Acquisition::Nothing);
}

#[tokio::test]
async fn what_was_wanted_during_a_schedule_gets_one_of_its_own() {
    let subscriptions = subscribed().await;
    let held = acquire(&subscriptions, request("m1", 1, 0)).await;
    fail(&subscriptions, held, Some(60)).await;
    // The first message after the pause acquires the lease; a late retry is treated like any other message.
    let held = acquire(&subscriptions, request("m2", 2, 60)).await;
    assert_eq!(held.subscription.progress.failures, 1);
    fail(&subscriptions, held, Some(120)).await;
    let late = Acquire {
        failures: 1,
        ..request("r1", 1, 70)
    };
    assert_acquisition!(subscriptions, late, Acquisition::Nothing);
    let retry = Acquire {
        failures: 2,
        ..request("r2", 2, 120)
    };
    let held = acquire(&subscriptions, retry).await;
    let (found, then) = fail(&subscriptions, held, None).await;
    assert_eq!(then, Then::NewSchedule { version: 2 });
    assert_eq!(
        (found.progress.failures, found.progress.schedule),
        (0, None)
    );
    let held = acquire(&subscriptions, request("m3", 2, 121)).await;
    let (_, then) = fail(&subscriptions, held, None).await;
    let (version, failures) = (2, 0);
    assert_eq!(then, Then::DeadLetter { version, failures });
}

#[tokio::test]
async fn who_is_disabled_or_gone_has_no_lease_and_comes_back_in_doubt() {
    let subscriptions = subscribed().await;
    let held = acquire(&subscriptions, request("m1", 1, 0)).await;
    let before = succeed(&subscriptions, held, 1).await;

    let found = subscriptions.disable_gone(&before, NOW).await.unwrap();
    let found = found.unwrap();
    assert!(found.owner_unnotified);
    assert!(
        subscriptions
            .disable_gone(&before, NOW)
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        subscriptions
            .disable(sid("s1"), NOW)
            .await
            .unwrap()
            .is_none()
    );
    assert_acquisition!(subscriptions, request("m2", 2, 1), Acquisition::Disabled(_));
    let told = found.disabled.unwrap();
    let another = Disabled {
        at: NOW - Duration::days(1),
        ..told.clone()
    };
    subscriptions
        .note_owner_notified(sid("s1"), &another)
        .await
        .unwrap();
    let found = subscriptions.get(sid("s1")).await.unwrap().unwrap();
    assert!(found.owner_unnotified);
    subscriptions
        .note_owner_notified(sid("s1"), &told)
        .await
        .unwrap();
    let found = subscriptions.get(sid("s1")).await.unwrap().unwrap();
    assert!(!found.owner_unnotified);

    let enabled = subscriptions.enable(sid("s1"), NOW).await.unwrap().unwrap();
    assert_eq!((enabled.disabled, enabled.owner_unnotified), (None, false));
    // A 410 to a request that was sent before doesn't disable it again.
    assert!(
        subscriptions
            .disable_gone(&before, NOW)
            .await
            .unwrap()
            .is_none()
    );
    // Even the version that was acknowledged: what the endpoint has now is in doubt.
    let mut held = acquire(&subscriptions, request("m3", 1, 2)).await;
    assert!(held.subscription.progress.in_doubt);

    subscriptions.delete(&subscription()).await.unwrap();
    subscriptions.delete(&subscription()).await.unwrap();
    let sent = session(&held).acknowledged(1);
    let released = release(&subscriptions, &mut held, sent, Ending::UpToDate).await;
    assert!(matches!(released, Released::Lost), "{released:?}");
    assert_acquisition!(subscriptions, request("m4", 2, 3), Acquisition::Gone);
    assert!(
        subscriptions
            .enable(sid("s1"), NOW)
            .await
            .unwrap()
            .is_none()
    );
    assert!(subscriptions.get(sid("s1")).await.unwrap().is_none());
}

#[tokio::test]
async fn an_endpoint_that_has_failed_for_days_is_given_up_unless_it_has_succeeded_since() {
    let subscriptions = subscribed().await;
    let days = Duration::days;
    subscriptions.note_failure(sid("s1"), NOW).await.unwrap();
    let give_up = async |after| {
        let given_up = subscriptions.give_up(sid("s1"), NOW + after, days(5)).await;
        given_up.unwrap().is_some()
    };
    assert!(!give_up(days(4)).await);
    subscriptions.note_success(sid("s1")).await.unwrap();
    assert!(!give_up(days(5)).await);
    subscriptions.note_failure(sid("s1"), NOW).await.unwrap();
    assert!(give_up(days(5)).await);
    assert!(!give_up(days(6)).await);
}

#[tokio::test]
async fn a_snapshot_that_is_asked_for_during_a_lease_is_not_forgotten() {
    let subscriptions = subscribed().await;
    let mut held = acquire(&subscriptions, request("m1", 1, 0)).await;
    subscriptions.enable(sid("s1"), NOW).await.unwrap();
    assert_acquisition!(subscriptions, request("m2", 1, 1), Acquisition::Nothing);
    let sent = session(&held).acknowledged(1);
    let Released::GoOn(more) = release(&subscriptions, &mut held, sent, Ending::UpToDate).await
    else {
        panic!("a snapshot is wanted");
    };
    assert!(more.in_doubt);
    // Once the snapshot is sent, nothing more is requested.
    let sent = more.acknowledged(1);
    let released = release(&subscriptions, &mut held, sent, Ending::UpToDate).await;
    assert!(matches!(released, Released::Done(_, Then::Done)));
    let held = acquire(&subscriptions, request("m3", 2, 2)).await;
    assert!(!held.subscription.progress.in_doubt);
}

#[tokio::test]
async fn a_write_whose_answer_got_lost_is_known_again() {
    let subscriptions = subscribed().await;
    acquire(&subscriptions, request("m1", 1, 0)).await;
    // The same request again, as the SDK repeats it in the same invocation.
    let held = acquire(&subscriptions, request("m1", 1, 0)).await;
    assert!(!held.subscription.progress.in_doubt);
    // The same message, received by another function at the same time.
    let second = Acquire {
        nonce: 77,
        ..request("m1", 1, 0)
    };
    assert_acquisition!(subscriptions, second, Acquisition::Busy);
    let again = held.clone();
    let (_, then) = fail(&subscriptions, held, Some(60)).await;
    assert_eq!(fail(&subscriptions, again, Some(60)).await.1, then);
}
