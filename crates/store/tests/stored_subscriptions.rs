//! Snapshots of the stored items of subscriptions: themselves, their places in audiences, and their attempts. As
//! with `stored_items.rs`: after a change here, the items that exist must still be readable.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::collections::BTreeMap;

use bellwire_domain::Secret;
use bellwire_domain::delivery::key::DeliveryKey;
use bellwire_domain::delivery::lease::{Acquire, Ending};
use bellwire_domain::delivery::session::Session;
use bellwire_domain::endpoint::headers::WebhookHeaders;
use bellwire_domain::endpoint::signature::SigningSecrets;
use bellwire_domain::endpoint::{Disabled, DisabledReason};
use bellwire_domain::entity::{EntityKey, Spelling};
use bellwire_domain::ids::{EventId, SubscriptionId, TopicId};
use bellwire_domain::topic::modes::SubscriptionMode;
use bellwire_domain::topic::shards::Shard;
use bellwire_store::attempt_record::Content;
use bellwire_store::attempts::FinishedAttempt;
use bellwire_store::leases::Acquisition;
use bellwire_store::subscription::{Source, Subscription, Target, Webhook};
use bellwire_store::{Attempts, Deliveries, Limits, Members, Subscriptions};
use support::stored::{NOW, WEEK, client_id, items};
use support::{TABLE, message_id, sid, tid};
use time::Duration;

const LIMITS: Limits = Limits {
    of_client: 10,
    at_host: 10,
};

fn subscription(id: &str) -> Subscription {
    let source = Source::Topic {
        topic_id: TopicId::new("t1"),
        mode: SubscriptionMode::SnapshotPatch,
    };
    let headers = BTreeMap::from([("X-Key".to_owned(), "value".to_owned())]);
    let authorization = r#"{"client_id": "id", "client_secret": "s", "mode": "header", "scope": "hooks",
        "provider": "https://id.example.com/token"}"#;
    let webhook = Webhook {
        headers: WebhookHeaders::check(headers).unwrap(),
        authorization: Some(serde_json::from_str(authorization).unwrap()),
        secrets: SigningSecrets::new(Secret::new("whsec_AAAA"))
            .rotated(Secret::new("whsec_BBBB"), NOW)
            .rotated(Secret::new("whsec_CCCC"), NOW),
        origin: Some("api.example.com".to_owned()),
        ..Webhook::new("https://example.com/hook", Secret::new("whsec_AAAA"))
    };
    Subscription::new(
        SubscriptionId::new(id),
        client_id().as_str(),
        source,
        webhook,
        NOW,
    )
}

/// A subscription whose webhook lacks something.
fn without(remove: impl FnOnce(&mut Webhook), id: &str) -> Subscription {
    let mut subscription = subscription(id);
    let Target::Webhook(webhook) = &mut subscription.target;
    remove(webhook);
    subscription
}

/// Requests a version, as a message at a second; a lease lasts ten seconds.
fn acquire(id: &str, version: u64, second: u64) -> Acquire<'_> {
    Acquire {
        version,
        message_id: message_id(id),
        nonce: second,
        failures: 0,
        now: second * 1000,
        until: (second + 10) * 1000,
    }
}

#[tokio::test]
async fn subscriptions_and_members() {
    let db = support::table(&["subscription_id"], None).await;
    support::add_table(&db, "members", &["audience_segment", "subscription_id"]).await;
    let subscriptions = Subscriptions::new(db.clone(), TABLE.to_owned(), "members".to_owned());
    let members = Members::new(db.clone(), "members".to_owned());
    members.next_segment(tid("t1")).await.unwrap();
    let disabled = Subscription {
        disabled: Some(Disabled {
            reason: DisabledReason::Gone,
            at: NOW,
        }),
        owner_unnotified: true,
        client_disabled: true,
        failing_since: Some(NOW),
        ..without(|webhook| webhook.authorization = None, "disabled")
    };
    let entity = Subscription {
        source: Source::Entity {
            entity_key: EntityKey::try_from("order-1".to_owned()).unwrap(),
            spelling: Spelling::default(),
        },
        ..without(
            |webhook| {
                webhook.headers = WebhookHeaders::default();
                webhook.origin = None;
            },
            "entity",
        )
    };
    let all = [
        subscription("held"),
        subscription("retrying"),
        disabled,
        entity,
    ];
    for subscription in &all {
        subscriptions
            .create(subscription, &LIMITS, Vec::new())
            .await
            .unwrap();
    }
    // A lease that is held while another message requests a later version.
    subscriptions
        .acquire_lease(sid("held"), acquire("m1", 3, 0))
        .await
        .unwrap();
    subscriptions
        .acquire_lease(sid("held"), acquire("m2", 4, 1))
        .await
        .unwrap();
    // A subscription that waits for a retry.
    let held = subscriptions.acquire_lease(sid("retrying"), acquire("m1", 3, 0));
    let Acquisition::Held(mut held) = held.await.unwrap() else {
        panic!("a lease");
    };
    let session = Session::begin(&held.subscription.progress)
        .acknowledged(2)
        .failed();
    let ending = Ending::Failed {
        retry_at: Some(90_000),
    };
    subscriptions
        .release_lease(&mut held, session, ending, NOW, WEEK)
        .await
        .unwrap();
    subscriptions
        .acquire_lease(sid("retrying"), acquire("m2", 4, 1))
        .await
        .unwrap();
    subscriptions
        .begin_replay(sid("entity"), "r1", NOW)
        .await
        .unwrap();
    let ended = subscription("ended");
    subscriptions
        .create(&ended, &LIMITS, Vec::new())
        .await
        .unwrap();
    subscriptions.expire(&ended, NOW, NOW).await.unwrap();
    insta::assert_snapshot!("subscriptions", items(&db, TABLE).await);
    insta::assert_snapshot!("members", items(&db, "members").await);
}

#[tokio::test]
async fn only_the_later_spelling_is_stored() {
    let db = support::table(&["subscription_id"], None).await;
    support::add_table(&db, "members", &["audience_segment", "subscription_id"]).await;
    let subscriptions = Subscriptions::new(db.clone(), TABLE.to_owned(), "members".to_owned());
    let made = Subscription {
        source: Source::Entity {
            entity_key: EntityKey::try_from("order-1".to_owned()).unwrap(),
            spelling: Spelling::Webhooks,
        },
        ..subscription("s1")
    };
    subscriptions
        .create(&made, &LIMITS, Vec::new())
        .await
        .unwrap();
    let stored = items(&db, TABLE).await;
    assert!(stored.contains(r#""spelling": "webhooks""#), "{stored}");
    let read = subscriptions.get(sid("s1")).await.unwrap().unwrap();
    assert_eq!(read.source, made.source);
    let later = NOW + Duration::seconds(1);
    for spelling in [
        Spelling::Subscriptions,
        Spelling::Subscriptions,
        Spelling::Webhooks,
    ] {
        let changed = subscriptions.set_spelling(sid("s1"), spelling, later).await;
        let changed = changed.unwrap().unwrap();
        assert_eq!((changed.spelling(), changed.updated_at), (spelling, later));
        let stored = items(&db, TABLE).await;
        assert_eq!(
            stored.contains("spelling"),
            spelling == Spelling::Webhooks,
            "{stored}"
        );
    }
    subscriptions.delete(&made).await.unwrap();
    let gone = subscriptions
        .set_spelling(sid("s1"), Spelling::Webhooks, later)
        .await;
    assert!(gone.unwrap().is_none());
    assert_eq!(items(&db, TABLE).await, "");
}

#[tokio::test]
async fn attempts() {
    let db = support::table(&["subscription_id", "exchange_id"], None).await;
    let subscriptions = Subscriptions::new(db.clone(), "none".to_owned(), "none".to_owned());
    let attempts = Attempts::new(db.clone(), TABLE.to_owned(), WEEK);
    let deliveries = Deliveries::new(attempts.clone(), "none".to_owned(), WEEK, subscriptions);
    let key = DeliveryKey {
        subscription_id: SubscriptionId::new("s1"),
        accepted_at: NOW,
        event_id: EventId::new("e1"),
        shard: Shard::default(),
    };
    let first = FinishedAttempt {
        subscription_id: SubscriptionId::new("s1"),
        delivery_id: key.id(),
        key: Some(key),
        first: true,
        resend: None,
        arrived: true,
        sent_at: NOW + Duration::milliseconds(20),
        content: Content {
            event_type: "event".to_owned(),
            duration_ms: 12,
            url: "https://example.com/hook".to_owned(),
            signature: "v1,c2ln".to_owned(),
            header_names: vec!["x-key".to_owned()],
            authorized: true,
            origin: Some("api.example.com".to_owned()),
            status: Some(200),
            response_headers: vec![("server".to_owned(), "x".to_owned())],
            response_body: Some("ok".to_owned()),
            response_bytes: Some(2),
            ..Content::default()
        },
    };
    let retry = FinishedAttempt {
        first: false,
        arrived: false,
        content: Content {
            event_id: Some(EventId::new("e1")),
            failures: 2,
            retries: 7,
            version: Some(3),
            base_version: Some(2),
            error: Some("no answer within 3 s".to_owned()),
            request_body: Some("{}".to_owned()),
            next_attempt: Some(1_767_225_600_000),
            ..Content::default()
        },
        ..first.clone()
    };
    let resend = FinishedAttempt {
        first: false,
        resend: Some(DeliveryKey::of_resend(
            &EventId::new("r1"),
            &first.subscription_id,
            Shard::default(),
        )),
        sent_at: NOW + Duration::seconds(90),
        content: Content {
            failures: 3,
            resend: true,
            ..Content::default()
        },
        ..first.clone()
    };
    let key = first.key.clone().unwrap();
    assert!(
        deliveries
            .record(&[first, retry, resend], NOW)
            .await
            .is_empty()
    );
    attempts.note_resent(&key).await.unwrap();
    insta::assert_snapshot!(items(&db, TABLE).await);
}
