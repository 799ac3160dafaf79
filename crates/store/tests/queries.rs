//! The Queries table against a DynamoDB emulator.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use bellwire_domain::{ClientId, ExecutionId, QueryState};
use bellwire_store::queries::End;
use bellwire_store::{Fact, Queries, Query};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

const NOW: OffsetDateTime = datetime!(2026-01-01 00:00 UTC);
const SUCCEEDED: End<'_> = End {
    state: QueryState::Succeeded,
    at: NOW,
    reason: None,
};

struct Given {
    queries: Queries,
    id: ExecutionId,
    owner: ClientId,
}

async fn given() -> Given {
    let db = support::table(&["execution_id"], None).await;
    Given {
        queries: Queries::new(db, support::TABLE.to_owned()),
        id: ExecutionId::parse("q").unwrap(),
        owner: ClientId::generate().unwrap(),
    }
}

fn recorded(fact: Fact) -> Query {
    match fact {
        Fact::Recorded(query) => query,
        Fact::KnownBefore(query) => panic!("known before: {query:?}"),
    }
}

fn known_before(fact: Fact) -> Query {
    match fact {
        Fact::KnownBefore(query) => query,
        Fact::Recorded(query) => panic!("recorded: {query:?}"),
    }
}

#[tokio::test]
async fn whichever_fact_comes_second_completes_the_pair() {
    for owner_first in [true, false] {
        let Given { queries, id, owner } = given().await;
        let write_owner = || queries.record_owner(&id, &owner, false, NOW);
        let write_end = || queries.record_end(&id, SUCCEEDED, NOW);
        let (first, second) = if owner_first {
            (write_owner().await, write_end().await)
        } else {
            let first = write_end().await;
            (first, write_owner().await)
        };
        assert!(recorded(first.unwrap()).to_notify().is_none());
        let pair = recorded(second.unwrap());
        assert_eq!(pair.to_notify(), Some((&owner, NOW)));
        assert_eq!(pair.state, QueryState::Succeeded);
    }
}

#[tokio::test]
async fn the_one_who_completes_the_pair_has_the_turn_until_it_runs_out() {
    let Given { queries, id, owner } = given().await;
    queries.record_owner(&id, &owner, false, NOW).await.unwrap();
    recorded(queries.record_end(&id, SUCCEEDED, NOW).await.unwrap());
    // A duplicate event, while the first one's notification is being published.
    let again = known_before(queries.record_end(&id, SUCCEEDED, NOW).await.unwrap());
    assert!(again.to_notify().is_some());
    assert!(
        !queries
            .acquire_publish_lease(&id, NOW + Duration::seconds(5))
            .await
            .unwrap()
    );
    // The holder died: one successor acquires the lease, not two.
    let later = NOW + Duration::seconds(31);
    assert!(queries.acquire_publish_lease(&id, later).await.unwrap());
    assert!(!queries.acquire_publish_lease(&id, later).await.unwrap());
}

#[tokio::test]
async fn a_turn_given_back_can_be_taken_at_once() {
    let Given { queries, id, owner } = given().await;
    queries.record_owner(&id, &owner, false, NOW).await.unwrap();
    queries.record_end(&id, SUCCEEDED, NOW).await.unwrap();
    queries.release_publish_lease(&id).await.unwrap();
    assert!(queries.acquire_publish_lease(&id, NOW).await.unwrap());
}

#[tokio::test]
async fn nothing_is_to_be_done_once_the_owner_was_told() {
    let Given { queries, id, owner } = given().await;
    queries.record_owner(&id, &owner, false, NOW).await.unwrap();
    queries.record_end(&id, SUCCEEDED, NOW).await.unwrap();
    for _ in 0..2 {
        queries.mark_notified(&id, NOW).await.unwrap();
    }
    let again = known_before(queries.record_end(&id, SUCCEEDED, NOW).await.unwrap());
    assert!(again.to_notify().is_none());
    assert!(
        !queries
            .acquire_publish_lease(&id, NOW + Duration::days(1))
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn facts_are_written_once() {
    let Given { queries, id, owner } = given().await;
    let other = ClientId::generate().unwrap();
    queries.record_owner(&id, &owner, false, NOW).await.unwrap();
    let kept = known_before(queries.record_owner(&id, &other, false, NOW).await.unwrap());
    assert_eq!(kept.client_id, Some(owner));
    queries.record_end(&id, SUCCEEDED, NOW).await.unwrap();
    let failed = End {
        state: QueryState::Failed,
        ..SUCCEEDED
    };
    let kept = known_before(queries.record_end(&id, failed, NOW).await.unwrap());
    assert_eq!(kept.state, QueryState::Succeeded);
}

#[tokio::test]
async fn of_many_at_once_one_has_the_turn() {
    let Given { queries, id, owner } = given().await;
    queries.record_owner(&id, &owner, false, NOW).await.unwrap();
    let ends: Vec<_> = (0..20)
        .map(|_| {
            let (queries, id) = (queries.clone(), id.clone());
            tokio::spawn(async move { queries.record_end(&id, SUCCEEDED, NOW).await.unwrap() })
        })
        .collect();
    let mut turns = 0;
    for end in ends {
        turns += usize::from(matches!(end.await.unwrap(), Fact::Recorded(_)));
    }
    assert_eq!(turns, 1);
}

#[tokio::test]
async fn progress_goes_forward_only_and_never_past_the_end() {
    let Given { queries, id, .. } = given().await;
    let state = || async { queries.get(&id).await.unwrap().unwrap().state };
    recorded(
        queries
            .record_progress(&id, QueryState::Running, 2, NOW)
            .await
            .unwrap(),
    );
    known_before(
        queries
            .record_progress(&id, QueryState::Queued, 1, NOW)
            .await
            .unwrap(),
    );
    assert_eq!(state().await, QueryState::Running);
    queries.record_end(&id, SUCCEEDED, NOW).await.unwrap();
    known_before(
        queries
            .record_progress(&id, QueryState::Running, 9, NOW)
            .await
            .unwrap(),
    );
    assert_eq!(state().await, QueryState::Succeeded);
}

#[tokio::test]
async fn a_new_query_is_queued_and_a_reason_is_kept() {
    let Given { queries, id, owner } = given().await;
    let query = recorded(queries.record_owner(&id, &owner, false, NOW).await.unwrap());
    assert_eq!(query.state, QueryState::Queued);
    let failed = End {
        state: QueryState::Failed,
        reason: Some("no such table"),
        at: NOW,
    };
    let query = recorded(queries.record_end(&id, failed, NOW).await.unwrap());
    assert_eq!(query.state_change_reason.as_deref(), Some("no such table"));
    let unknown = ExecutionId::parse("unknown").unwrap();
    assert!(queries.get(&unknown).await.unwrap().is_none());
}
