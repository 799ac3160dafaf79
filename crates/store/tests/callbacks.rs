//! The Callbacks table against a DynamoDB emulator.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use bellwire_domain::{ClientId, Format, QueryState, Secret, Statuses};
use bellwire_store::callbacks::Wanted;
use bellwire_store::{CallbackStatus, Callbacks};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

const NOW: OffsetDateTime = datetime!(2026-01-01 00:00 UTC);
const URL: &str = "https://example.com/callback";

async fn callbacks() -> (Callbacks, ClientId) {
    let db = support::table(&["client_id", "callback_id"], None).await;
    let callbacks = Callbacks::new(db, support::TABLE.to_owned());
    (callbacks, ClientId::generate().unwrap())
}

fn wanted() -> Wanted {
    Wanted {
        callback_url: URL.to_owned(),
        statuses: Statuses::default(),
        format: Format::Raw,
        subscription_arn: "arn:1".to_owned(),
    }
}

fn failures_in_envelopes() -> Wanted {
    Wanted {
        statuses: Statuses::new([QueryState::Failed]).unwrap(),
        format: Format::Envelope,
        ..wanted()
    }
}

#[tokio::test]
async fn a_pending_url_becomes_confirmed() {
    let (callbacks, client) = callbacks().await;
    assert!(callbacks.get(&client, URL).await.unwrap().is_none());
    callbacks
        .record_pending(&client, &wanted(), NOW)
        .await
        .unwrap();
    let pending = callbacks.get(&client, URL).await.unwrap().unwrap();
    assert_eq!(pending.status, CallbackStatus::PendingConfirmation);
    let later = NOW + Duration::hours(1);
    callbacks
        .record_confirmed(&client, &wanted(), None, later)
        .await
        .unwrap();
    let confirmed = callbacks.get(&client, URL).await.unwrap().unwrap();
    assert_eq!(confirmed.status, CallbackStatus::Confirmed);
    assert_eq!(
        (confirmed.created_at, confirmed.confirmed_at),
        (NOW, Some(later))
    );
}

#[tokio::test]
async fn asking_again_while_pending_changes_the_wish() {
    let (callbacks, client) = callbacks().await;
    callbacks
        .record_pending(&client, &wanted(), NOW)
        .await
        .unwrap();
    let later = NOW + Duration::hours(40);
    let again = callbacks
        .record_pending(&client, &failures_in_envelopes(), later)
        .await
        .unwrap();
    assert_eq!(again.created_at, NOW);
    assert_eq!(again.format, Format::Envelope);
    assert_eq!(again.statuses, failures_in_envelopes().statuses);
}

#[tokio::test]
async fn a_confirmed_url_never_becomes_pending_again() {
    let (callbacks, client) = callbacks().await;
    let token = Secret::new("token");
    callbacks
        .record_confirmed(&client, &wanted(), Some(&token), NOW)
        .await
        .unwrap();
    let late = callbacks
        .record_pending(&client, &failures_in_envelopes(), NOW + Duration::hours(1))
        .await
        .unwrap();
    assert_eq!(late.status, CallbackStatus::Confirmed);
    assert_eq!(late.format, Format::Raw);
    assert!(late.token_sha256 == Some(token.hash()));
}

#[tokio::test]
async fn confirming_keeps_what_was_wanted_before_and_the_first_time() {
    let (callbacks, client) = callbacks().await;
    callbacks
        .record_pending(&client, &failures_in_envelopes(), NOW)
        .await
        .unwrap();
    let first = NOW + Duration::minutes(1);
    callbacks
        .record_confirmed(&client, &wanted(), None, first)
        .await
        .unwrap();
    let again = callbacks
        .record_confirmed(&client, &wanted(), None, NOW + Duration::minutes(2))
        .await
        .unwrap();
    assert_eq!(again.confirmed_at, Some(first));
    assert_eq!(again.statuses, failures_in_envelopes().statuses);
    assert_eq!(again.format, Format::Envelope);
}

#[tokio::test]
async fn options_change_only_on_what_is_there() {
    let (callbacks, client) = callbacks().await;
    assert!(
        callbacks
            .record_options(&client, &failures_in_envelopes())
            .await
            .is_err()
    );
    assert!(callbacks.list(&client).await.unwrap().is_empty());
    callbacks
        .record_confirmed(&client, &wanted(), None, NOW)
        .await
        .unwrap();
    callbacks
        .record_options(&client, &failures_in_envelopes())
        .await
        .unwrap();
    let changed = callbacks.get(&client, URL).await.unwrap().unwrap();
    assert_eq!(changed.format, Format::Envelope);
}

#[tokio::test]
async fn clients_see_their_own_and_removing_twice_is_fine() {
    let (callbacks, client) = callbacks().await;
    let other = ClientId::generate().unwrap();
    for (n, owner) in [&client, &client, &other].into_iter().enumerate() {
        let other = Wanted {
            callback_url: format!("{URL}/{n}"),
            ..wanted()
        };
        let now = NOW + Duration::minutes(i64::try_from(n).unwrap());
        callbacks.record_pending(owner, &other, now).await.unwrap();
    }
    let urls = |list: Vec<bellwire_store::Callback>| {
        list.into_iter()
            .map(|it| it.callback_url)
            .collect::<Vec<_>>()
    };
    let both = [format!("{URL}/0"), format!("{URL}/1")];
    assert_eq!(urls(callbacks.list(&client).await.unwrap()), both);
    let first = callbacks.get(&client, &both[0]).await.unwrap().unwrap();
    for _ in 0..2 {
        callbacks.remove(&client, &first).await.unwrap();
    }
    assert_eq!(urls(callbacks.list(&client).await.unwrap()), both[1..]);
    assert_eq!(callbacks.list(&other).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_url_of_2048_characters_is_a_key() {
    let (callbacks, client) = callbacks().await;
    let url = format!("https://example.com/{}", "a".repeat(2028));
    let other = Wanted {
        callback_url: url.clone(),
        ..wanted()
    };
    callbacks
        .record_pending(&client, &other, NOW)
        .await
        .unwrap();
    assert!(callbacks.get(&client, &url).await.unwrap().is_some());
}

#[tokio::test]
async fn a_url_that_was_registered_anew_is_not_removed() {
    let (callbacks, client) = callbacks().await;
    let old = callbacks
        .record_pending(&client, &wanted(), NOW)
        .await
        .unwrap();
    let anew = Wanted {
        subscription_arn: "arn:2".to_owned(),
        ..wanted()
    };
    callbacks.record_pending(&client, &anew, NOW).await.unwrap();
    callbacks.remove(&client, &old).await.unwrap();
    let kept = callbacks.get(&client, URL).await.unwrap().unwrap();
    assert_eq!(kept.subscription_arn, "arn:2");
}
