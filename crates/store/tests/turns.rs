//! Whose turn it is: what a subscription to a document goes through.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use bellwire_rules::modes::SubscriptionMode;
use bellwire_rules::signature::{SigningSecrets, generate_secret};
use bellwire_store::Subscriptions;
use bellwire_store::subscription::{Disabled, DisabledReason, Progress, Source, Subscription};
use bellwire_store::turns::{Answer, GivenBack, Outcome, Turn, Wish};
use support::TABLE;
use time::OffsetDateTime;

const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

/// A subscription that has had nothing yet.
async fn subscribed() -> Subscriptions {
    let db = support::table(&["subscription_id"], None).await;
    support::add_table(&db, "members", &["audience_segment", "subscription_id"]).await;
    let subscriptions = Subscriptions::new(db, TABLE.to_owned(), "members".to_owned());
    subscriptions.create(&subscription()).await.unwrap();
    subscriptions
}

fn subscription() -> Subscription {
    Subscription {
        subscription_id: "s1".to_owned(),
        client_id: "c1".to_owned(),
        source: Source::Topic {
            topic_id: "t1".to_owned(),
            mode: SubscriptionMode::SnapshotPatch,
        },
        segment: 0,
        webhook_url: "https://example.com/".to_owned(),
        webhook_headers: Default::default(),
        authorization: None,
        secrets: SigningSecrets::new(generate_secret().unwrap()),
        created_at: NOW,
        updated_at: NOW,
        disabled: None,
        unannounced: false,
        failing_since: None,
        progress: Progress::default(),
    }
}

/// Message `id` wants a version, at a second; a turn lasts ten.
fn wish(id: &str, version: u64, second: u64) -> Wish<'_> {
    Wish {
        subscription_id: "s1",
        version,
        message_id: id,
        nonce: second,
        failures: 0,
        now: second * 1000,
        until: (second + 10) * 1000,
    }
}

fn acknowledged(version: u64) -> Outcome {
    Outcome {
        acknowledged: version,
        in_doubt: false,
        failures: 0,
        retry_at: None,
        arrived: Some(true),
        snapshots_asked: 0,
    }
}

fn failed(version: u64, failures: usize, retry_second: u64) -> Outcome {
    Outcome {
        acknowledged: version,
        in_doubt: true,
        failures,
        retry_at: Some(retry_second * 1000),
        arrived: Some(false),
        snapshots_asked: 0,
    }
}

async fn take(subscriptions: &Subscriptions, wish: Wish<'_>) -> Box<Turn> {
    match subscriptions.take_turn(wish).await.unwrap() {
        Answer::Yours(turn) => turn,
        other => panic!("{wish:?} came to {other:?}"),
    }
}

macro_rules! assert_answer {
    ($subscriptions:expr, $wish:expr, $answer:pat) => {
        let answer = $subscriptions.take_turn($wish).await.unwrap();
        assert!(matches!(answer, $answer), "{answer:?}");
    };
}

#[tokio::test]
async fn one_message_has_the_turn_and_goes_on_while_more_is_wanted() {
    let subscriptions = subscribed().await;
    let turn = take(&subscriptions, wish("m1", 1, 0)).await;
    assert!(!turn.in_doubt);
    assert_eq!(turn.subscription.progress.wanted, 1);

    assert_answer!(subscriptions, wish("m2", 2, 1), Answer::Nothing);
    assert_answer!(subscriptions, wish("m3", 3, 1), Answer::Nothing);
    assert_answer!(subscriptions, wish("m1b", 1, 1), Answer::Nothing);

    let give = async |sent| {
        let outcome = acknowledged(sent);
        let given = subscriptions.give_back(&turn, outcome, Some(sent), NOW);
        given.await.unwrap()
    };
    let GivenBack::MoreWanted(seen) = give(1).await else {
        panic!("more is wanted");
    };
    assert_eq!(seen.wanted, 3);
    let GivenBack::Done(done) = give(3).await else {
        panic!("nothing more is wanted");
    };
    assert_eq!((done.progress.acknowledged, done.progress.turn), (3, None));
    assert!(matches!(give(3).await, GivenBack::Lost));

    assert_answer!(subscriptions, wish("m3", 3, 2), Answer::Nothing);
    assert_answer!(subscriptions, wish("m2", 2, 2), Answer::Nothing);
    let turn = take(&subscriptions, wish("m4", 4, 2)).await;
    assert!(!turn.in_doubt);
    assert_eq!(turn.subscription.progress.acknowledged, 3);
}

#[tokio::test]
async fn of_many_at_once_one_has_the_turn() {
    let subscriptions = subscribed().await;
    let wishes = (0..20).map(|n| {
        let subscriptions = subscriptions.clone();
        tokio::spawn(async move {
            let id = format!("m{n}");
            let answer = subscriptions
                .take_turn(wish(&id, n % 5 + 1, 0))
                .await
                .unwrap();
            matches!(answer, Answer::Yours(_))
        })
    });
    let mut turns = 0;
    for taken in wishes.collect::<Vec<_>>() {
        turns += usize::from(taken.await.unwrap());
    }
    assert_eq!(turns, 1);
    let found = subscriptions.get("s1").await.unwrap().unwrap();
    assert_eq!(found.progress.wanted, 5);
}

#[tokio::test]
async fn a_turn_that_was_not_given_back_leaves_a_doubt() {
    let subscriptions = subscribed().await;
    take(&subscriptions, wish("m1", 1, 0)).await;
    // The same message again, before the turn has ended: it may still be at work.
    assert_answer!(subscriptions, wish("m1", 1, 9), Answer::Later);
    let turn = take(&subscriptions, wish("m1", 1, 10)).await;
    assert!(turn.in_doubt);
    // Somebody else's, the same.
    let turn = take(&subscriptions, wish("m2", 2, 30)).await;
    assert!(turn.in_doubt);
    let given = subscriptions
        .give_back(&turn, acknowledged(2), Some(2), NOW)
        .await
        .unwrap();
    assert!(matches!(given, GivenBack::Done(_)));
    assert!(!take(&subscriptions, wish("m3", 3, 31)).await.in_doubt);
}

#[tokio::test]
async fn after_a_failure_only_the_retry_has_the_turn_before_its_time() {
    let subscriptions = subscribed().await;
    let turn = take(&subscriptions, wish("m1", 1, 0)).await;
    let given = subscriptions.give_back(&turn, failed(0, 1, 60), None, NOW);
    let GivenBack::Done(found) = given.await.unwrap() else {
        panic!("it is given back at any rate");
    };
    assert_eq!(found.failing_since, Some(NOW));

    assert_answer!(subscriptions, wish("m2", 2, 1), Answer::Nothing);
    assert_answer!(subscriptions, wish("m2", 2, 2), Answer::Nothing);
    // The one that failed, again: it can't know whether its retry was sent.
    assert_answer!(subscriptions, wish("m1", 1, 2), Answer::ArrangeRetry(_));

    let retry = |failures| Wish {
        failures,
        ..wish("r1", 1, 50)
    };
    assert_answer!(subscriptions, retry(2), Answer::Nothing);
    let turn = take(&subscriptions, retry(1)).await;
    assert!(turn.in_doubt);
    assert_eq!(turn.subscription.progress.wanted, 2);
    assert_answer!(
        subscriptions,
        Wish {
            message_id: "r1-twice",
            ..retry(1)
        },
        Answer::Nothing
    );
    let given = subscriptions.give_back(&turn, acknowledged(2), Some(2), NOW);
    let GivenBack::Done(found) = given.await.unwrap() else {
        panic!("nothing more is wanted");
    };
    assert_eq!(found.failing_since, None);
    assert_answer!(subscriptions, retry(1), Answer::Nothing);
}

#[tokio::test]
async fn when_the_time_of_the_retry_is_past_anybody_has_the_turn() {
    let subscriptions = subscribed().await;
    let turn = take(&subscriptions, wish("m1", 1, 0)).await;
    let given = subscriptions.give_back(&turn, failed(0, 1, 60), None, NOW);
    given.await.unwrap();
    let turn = take(&subscriptions, wish("m2", 2, 60)).await;
    assert!(turn.in_doubt);
    assert_eq!(turn.subscription.progress.failures, 1);
    let given = subscriptions.give_back(&turn, failed(0, 2, 120), None, NOW);
    given.await.unwrap();
    // The retry that comes late is one among others.
    let late = Wish {
        failures: 1,
        ..wish("r1", 1, 70)
    };
    assert_answer!(subscriptions, late, Answer::Nothing);
}

#[tokio::test]
async fn who_is_disabled_or_gone_has_no_turn_and_comes_back_in_doubt() {
    let subscriptions = subscribed().await;
    let turn = take(&subscriptions, wish("m1", 1, 0)).await;
    let given = subscriptions.give_back(&turn, acknowledged(1), Some(1), NOW);
    given.await.unwrap();

    let disabled = Disabled {
        reason: DisabledReason::Failing,
        at: NOW,
    };
    let found = subscriptions.disable("s1", &disabled).await.unwrap();
    assert!(found.unwrap().unannounced);
    assert!(
        subscriptions
            .disable("s1", &disabled)
            .await
            .unwrap()
            .is_none()
    );
    assert_answer!(subscriptions, wish("m2", 2, 1), Answer::Disabled(_));
    subscriptions.note_announced("s1").await.unwrap();

    let enabled = subscriptions.enable("s1", NOW).await.unwrap().unwrap();
    assert_eq!((enabled.disabled, enabled.unannounced), (None, false));
    // Even the version that it had: nobody knows what it has now.
    let turn = take(&subscriptions, wish("m3", 1, 2)).await;
    assert!(turn.in_doubt);

    subscriptions.delete(&subscription()).await.unwrap();
    subscriptions.delete(&subscription()).await.unwrap();
    let given = subscriptions.give_back(&turn, acknowledged(1), None, NOW);
    assert!(matches!(given.await.unwrap(), GivenBack::Lost));
    assert_answer!(subscriptions, wish("m4", 2, 3), Answer::Gone);
    assert!(subscriptions.enable("s1", NOW).await.unwrap().is_none());
    assert!(subscriptions.get("s1").await.unwrap().is_none());
}

#[tokio::test]
async fn an_interrupted_schedule_that_is_exhausted_begins_anew() {
    let subscriptions = subscribed().await;
    let turn = take(&subscriptions, wish("m1", 1, 0)).await;
    let exhausted = Outcome {
        retry_at: None,
        ..failed(0, 0, 0)
    };
    let given = subscriptions.give_back(&turn, exhausted, None, NOW);
    let GivenBack::Done(found) = given.await.unwrap() else {
        panic!("it is given back at any rate");
    };
    assert_eq!(found.failing_since, Some(NOW));
    let turn = take(&subscriptions, wish("m2", 2, 1)).await;
    assert!(turn.in_doubt);
    assert_eq!(turn.subscription.progress.failures, 0);
}

#[tokio::test]
async fn a_snapshot_that_is_asked_for_during_a_turn_is_not_forgotten() {
    let subscriptions = subscribed().await;
    let turn = take(&subscriptions, wish("m1", 1, 0)).await;
    subscriptions.enable("s1", NOW).await.unwrap();
    assert_answer!(subscriptions, wish("m2", 1, 1), Answer::Nothing);
    let outcome = acknowledged(1);
    for sent in [Some(1), None] {
        let given = subscriptions.give_back(&turn, outcome, sent, NOW);
        let GivenBack::MoreWanted(seen) = given.await.unwrap() else {
            panic!("a snapshot is wanted");
        };
        let outcome = outcome.seeing(&seen);
        assert!(outcome.in_doubt);
    }
    // Once it is sent, nothing more is wanted.
    let outcome = Outcome {
        snapshots_asked: 1,
        ..outcome
    };
    let given = subscriptions.give_back(&turn, outcome, Some(1), NOW);
    assert!(matches!(given.await.unwrap(), GivenBack::Done(_)));
    assert!(!take(&subscriptions, wish("m3", 2, 2)).await.in_doubt);
}

#[tokio::test]
async fn a_turn_whose_answer_got_lost_is_had_by_asking_again() {
    let subscriptions = subscribed().await;
    take(&subscriptions, wish("m1", 1, 0)).await;
    // As the SDK does, in the same invocation: the turn would end at the same time.
    assert!(take(&subscriptions, wish("m1", 1, 0)).await.in_doubt);
}

#[tokio::test]
async fn the_subscription_to_a_deleted_topic_stays_for_what_is_on_its_way() {
    let subscriptions = subscribed().await;
    let known = subscription();
    subscriptions.expire(&known, NOW).await.unwrap();
    subscriptions.expire(&known, NOW).await.unwrap();
    assert!(subscriptions.get("s1").await.unwrap().is_some());
    subscriptions.delete(&known).await.unwrap();
    subscriptions.expire(&known, NOW).await.unwrap();
    assert!(subscriptions.get("s1").await.unwrap().is_none());
}

#[tokio::test]
async fn rotating_with_a_lost_answer_is_no_conflict() {
    let subscriptions = subscribed().await;
    let known = subscriptions.get("s1").await.unwrap().unwrap();
    let secrets = known
        .secrets
        .clone()
        .rotated(generate_secret().unwrap(), NOW);
    for _ in 0..2 {
        let rotated = subscriptions.rotate(&known, &secrets, NOW).await.unwrap();
        assert_eq!(rotated.unwrap().secrets, secrets);
    }
    let others = known
        .secrets
        .clone()
        .rotated(generate_secret().unwrap(), NOW);
    assert!(
        subscriptions
            .rotate(&known, &others, NOW)
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn a_message_that_comes_twice_in_the_same_millisecond_has_one_turn() {
    let subscriptions = subscribed().await;
    let first = wish("m1", 1, 10);
    let turn = take(&subscriptions, first).await;
    // The same message, for another function, at the very same time.
    let second = Wish { nonce: 77, ..first };
    assert_answer!(subscriptions, second, Answer::Later);
    // The first one, whose answer got lost, has it still.
    assert_answer!(subscriptions, first, Answer::Yours(_));
    // Once it is over, the second one takes it, and the first can't give it back any more.
    let later = Wish {
        now: 60_000,
        until: 70_000,
        ..second
    };
    let taken = take(&subscriptions, later).await;
    assert!(taken.in_doubt);
    let given = subscriptions.give_back(&turn, acknowledged(1), Some(1), NOW);
    assert!(matches!(given.await.unwrap(), GivenBack::Lost));
    let given = subscriptions.give_back(&taken, acknowledged(1), Some(1), NOW);
    assert!(matches!(given.await.unwrap(), GivenBack::Done(_)));
}
