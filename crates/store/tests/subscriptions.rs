//! The end of a subscription, and new signing secrets.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use bellwire_domain::endpoint::signature::generate_secret;
use support::sid;
use support::subscriptions::{LIMITS, NOW, subscribed, subscription};
use time::{Duration, OffsetDateTime};

#[tokio::test]
async fn the_subscription_to_a_deleted_topic_stays_for_what_is_on_its_way() {
    let subscriptions = subscribed().await;
    let known = subscription();
    let now = OffsetDateTime::now_utc();
    subscriptions.expire(&known, now, now).await.unwrap();
    // Expiring it again later changes nothing.
    let later = now + Duration::days(30);
    subscriptions.expire(&known, later, later).await.unwrap();
    assert!(subscriptions.get(sid("s1")).await.unwrap().is_some());
    subscriptions.delete(&known).await.unwrap();
    subscriptions.expire(&known, now, now).await.unwrap();
    assert!(subscriptions.get(sid("s1")).await.unwrap().is_none());
    // Once it has expired it isn't found, whether or not DynamoDB has removed it.
    subscriptions
        .create(&known, &LIMITS, Vec::new())
        .await
        .unwrap();
    let before = now - Duration::days(31);
    subscriptions.expire(&known, before, before).await.unwrap();
    assert!(subscriptions.get(sid("s1")).await.unwrap().is_none());
}

#[tokio::test]
async fn rotating_with_a_lost_answer_is_no_conflict() {
    let subscriptions = subscribed().await;
    let known = subscriptions.get(sid("s1")).await.unwrap().unwrap();
    let secrets = known
        .webhook()
        .secrets
        .clone()
        .rotated(generate_secret().unwrap(), NOW);
    for _ in 0..2 {
        let rotated = subscriptions.rotate(&known, &secrets, NOW, None).await;
        assert!(rotated.unwrap());
    }
    let others = known
        .webhook()
        .secrets
        .clone()
        .rotated(generate_secret().unwrap(), NOW);
    let rotated = subscriptions.rotate(&known, &others, NOW, None).await;
    assert!(!rotated.unwrap());
    let found = subscriptions.get(sid("s1")).await.unwrap().unwrap();
    assert_eq!(found.webhook().secrets, secrets);
}
