//! Members in segments, how many subscriptions a client has, and its replays.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use aws_sdk_dynamodb::Client as DynamoDb;
use aws_sdk_dynamodb::types::AttributeValue;
use bellwire_domain::endpoint::signature::generate_secret;
use bellwire_domain::entity::{EntityKey, Spelling};
use bellwire_domain::ids::{AudienceId, SubscriptionId, TopicId};
use bellwire_domain::topic::modes::SubscriptionMode;
use bellwire_runtime::deadline::Steps;
use bellwire_store::members::{SEGMENT, Segments};
use bellwire_store::subscription::{Source, Subscription, Webhook};
use bellwire_store::subscriptions::Created;
use bellwire_store::{Exceeded, Limits, Members, Subscriptions};
use futures_util::future::join_all;
use support::{TABLE, s, sid, tid};
use time::{Duration, OffsetDateTime};

const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;
const MEMBERS: &str = "members";
const FEW: Limits = Limits {
    of_client: 3,
    at_host: 2,
};

async fn tables() -> (DynamoDb, Subscriptions, Members) {
    let db = support::table(&["subscription_id"], None).await;
    support::add_table(&db, MEMBERS, &["audience_segment", "subscription_id"]).await;
    let subscriptions = Subscriptions::new(db.clone(), TABLE.to_owned(), MEMBERS.to_owned());
    let members = Members::new(db.clone(), MEMBERS.to_owned());
    (db, subscriptions, members)
}

fn subscription(id: &str, client_id: &str, url: &str) -> Subscription {
    let source = Source::Topic {
        topic_id: TopicId::new("t1"),
        mode: SubscriptionMode::Event,
    };
    let webhook = Webhook::new(url, generate_secret().unwrap());
    Subscription::new(SubscriptionId::new(id), client_id, source, webhook, NOW)
}

async fn add(subscriptions: &Subscriptions, subscription: &Subscription) -> Created {
    let created = subscriptions.create(subscription, &FEW, Vec::new()).await;
    created.unwrap()
}

#[tokio::test]
async fn segments_fill_up_one_after_the_other() {
    let (db, _, members) = tables().await;
    assert_eq!(
        members.segments(tid("t1")).await.unwrap(),
        Segments::default()
    );
    assert_eq!(members.next_segment(tid("t1")).await.unwrap(), 0);
    assert_eq!(members.next_segment(tid("t1")).await.unwrap(), 0);
    assert_eq!(members.segments(tid("t1")).await.unwrap().given, 2);
    assert_eq!(members.segments(tid("t2")).await.unwrap().given, 0);
    give(&db, SEGMENT - 1).await;
    assert_eq!(members.next_segment(tid("t1")).await.unwrap(), 0);
    assert_eq!(members.next_segment(tid("t1")).await.unwrap(), 1);
    assert!(
        members
            .of(&AudienceId::new("t1"), 1)
            .await
            .unwrap()
            .is_empty()
    );
}

/// Sets how many numbers the topic has given to subscriptions.
async fn give(db: &DynamoDb, number: u64) {
    db.update_item()
        .table_name(MEMBERS)
        .key("audience_segment", s("t1#count"))
        .key("subscription_id", s("count"))
        .update_expression("SET given = :given")
        .expression_attribute_values(":given", AttributeValue::N(number.to_string()))
        .send()
        .await
        .unwrap();
}

async fn live(members: &Members) -> Vec<u64> {
    members
        .segments(tid("t1"))
        .await
        .unwrap()
        .numbers()
        .collect()
}

#[tokio::test]
async fn a_segment_that_is_full_and_empty_is_left_out_and_takes_nobody_any_more() {
    let (db, subscriptions, members) = tables().await;
    let last = Subscription {
        segment: 1,
        ..subscription("s1", "c1", "https://example.com/")
    };
    assert_eq!(add(&subscriptions, &last).await, Created::Done);
    give(&db, SEGMENT * 2 + 1).await;
    assert_eq!(live(&members).await, [0, 1, 2]);
    for _ in 0..2 {
        assert!(
            members
                .skip_if_empty(&AudienceId::new("t1"), 0)
                .await
                .unwrap()
        );
        assert_eq!(live(&members).await, [1, 2]);
    }
    // The one has a member, the other may get one.
    for segment in [1, 2] {
        assert!(
            !members
                .skip_if_empty(&AudienceId::new("t1"), segment)
                .await
                .unwrap()
        );
    }
    assert_eq!(live(&members).await, [1, 2]);
    // A subscription that was given its number before the segment was closed, and is created now.
    for segment in [0, 1] {
        let late = subscription("late", "c1", "https://example.com/");
        let open = members.must_be_open(tid("t1"), segment).unwrap();
        let created = subscriptions.create(&late, &FEW, vec![open]).await;
        assert_eq!(created.unwrap(), Created::Refused(0));
    }
    let open = members.must_be_open(tid("t1"), 2).unwrap();
    let late = subscription("late", "c1", "https://example.com/");
    let created = subscriptions.create(&late, &FEW, vec![open]).await;
    assert_eq!(created.unwrap(), Created::Done);
    // The last member of the segment that was closed is deleted.
    subscriptions.delete(&last).await.unwrap();
    assert!(
        members
            .skip_if_empty(&AudienceId::new("t1"), 1)
            .await
            .unwrap()
    );
    assert_eq!(live(&members).await, [2]);
}

#[tokio::test]
async fn a_client_has_as_many_subscriptions_as_it_may_have() {
    let (_, subscriptions, _) = tables().await;
    let here = |id: &str| subscription(id, "c1", &format!("https://example.com/{id}"));
    let there = |id: &str| subscription(id, "c1", &format!("https://example.org:8443/{id}"));
    assert_eq!(add(&subscriptions, &here("a")).await, Created::Done);
    // What is not created is not counted.
    for _ in 0..3 {
        assert_eq!(add(&subscriptions, &here("a")).await, Created::Exists);
    }
    assert_eq!(add(&subscriptions, &here("b")).await, Created::Done);
    let dotted = subscription("c", "c1", "https://example.com.:444/c");
    let at_host = Created::TooMany(Exceeded::AtHost);
    assert_eq!(add(&subscriptions, &dotted).await, at_host);
    assert_eq!(add(&subscriptions, &there("c")).await, Created::Done);
    let of_client = Created::TooMany(Exceeded::OfClient);
    assert_eq!(add(&subscriptions, &there("d")).await, of_client);
    // Subscriptions of other clients, and those to entities, are counted separately.
    let others = subscription("d", "c2", "https://example.com/d");
    assert_eq!(add(&subscriptions, &others).await, Created::Done);
    let entity = Subscription {
        source: Source::Entity {
            entity_key: EntityKey::try_from("1".to_owned()).unwrap(),
            spelling: Spelling::default(),
        },
        ..here("e")
    };
    assert_eq!(add(&subscriptions, &entity).await, Created::Done);
    // However often it is deleted, it is counted once.
    for _ in 0..3 {
        subscriptions.delete(&here("a")).await.unwrap();
    }
    assert_eq!(add(&subscriptions, &here("f")).await, Created::Done);
    assert_eq!(add(&subscriptions, &here("g")).await, of_client);
    // The same when a topic is deleted.
    for _ in 0..3 {
        let now = OffsetDateTime::now_utc();
        subscriptions.expire(&here("f"), now, now).await.unwrap();
    }
    subscriptions.delete(&here("f")).await.unwrap();
    assert!(subscriptions.get(sid("f")).await.unwrap().is_none());
    assert_eq!(add(&subscriptions, &here("h")).await, Created::Done);
    assert_eq!(add(&subscriptions, &here("i")).await, of_client);
    assert!(subscriptions.has_any("c1").await.unwrap());
    let forgotten = subscriptions.forget_counts("c1").await.unwrap();
    assert_eq!(forgotten, Steps::Done);
    assert!(!subscriptions.has_any("c1").await.unwrap());
    assert_eq!(add(&subscriptions, &here("i")).await, Created::Done);
}

#[tokio::test]
async fn requests_at_the_same_time_keep_to_the_limit() {
    let (_, subscriptions, _) = tables().await;
    let made: Vec<Subscription> = (0..12)
        .map(|n| subscription(&format!("s{n}"), "c1", &format!("https://h{n}.example/")))
        .collect();
    let added = join_all(made.iter().map(|it| add(&subscriptions, it))).await;
    let done = added.iter().filter(|it| **it == Created::Done).count();
    assert_eq!(done, 3);
    assert!(
        added
            .iter()
            .all(|it| matches!(it, Created::Done | Created::TooMany(Exceeded::OfClient)))
    );
}

#[tokio::test]
async fn there_is_one_replay_of_a_subscription_at_a_time() {
    let (_, subscriptions, _) = tables().await;
    let known = subscription("s1", "c1", "https://example.com/");
    assert_eq!(add(&subscriptions, &known).await, Created::Done);
    let begin = async |replay, now| {
        subscriptions
            .begin_replay(sid("s1"), replay, now)
            .await
            .unwrap()
    };
    assert!(begin("r1", NOW).await);
    assert!(begin("r1", NOW).await);
    assert!(!begin("r2", NOW).await);
    // Each step gives it more time.
    let later = NOW + Duration::minutes(10);
    let goes_on = subscriptions.continue_replay(sid("s1"), "r1", later);
    assert!(goes_on.await.unwrap());
    assert!(!begin("r2", NOW + Duration::minutes(20)).await);
    // The end of another replay doesn't end it.
    subscriptions.end_replay(sid("s1"), "r2").await.unwrap();
    assert!(!begin("r2", later).await);
    subscriptions.end_replay(sid("s1"), "r1").await.unwrap();
    assert!(begin("r2", later).await);
    // A replay that makes no progress counts as over.
    assert!(begin("r3", later + Duration::hours(1)).await);
    subscriptions.delete(&known).await.unwrap();
    let goes_on = subscriptions.continue_replay(sid("s1"), "r3", later);
    assert!(!goes_on.await.unwrap());
    assert!(!begin("r4", later + Duration::hours(9)).await);
}

#[tokio::test]
async fn an_audience_has_members_as_long_as_there_are_subscriptions() {
    let (db, subscriptions, members) = tables().await;
    let audience = AudienceId::new("t1");
    let any = async || {
        let segments = members.segments(tid("t1")).await.unwrap();
        members.any(&audience, &segments).await.unwrap()
    };
    assert!(!any().await);
    // A number is given before the subscription is there, and stays given when it is deleted.
    members.next_segment(tid("t1")).await.unwrap();
    assert!(!any().await);
    give(&db, SEGMENT).await;
    let second = Subscription {
        segment: members.next_segment(tid("t1")).await.unwrap(),
        ..subscription("s1", "c1", "https://example.com/")
    };
    assert_eq!(second.segment, 1);
    add(&subscriptions, &second).await;
    assert!(any().await);
    subscriptions.delete(&second).await.unwrap();
    assert!(!any().await);
}
