//! What is written for a request for the lease is what `bellwire-domain` decides, in every kind of state.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use bellwire_domain::delivery::lease::{self, Acquire, Acquired};
use bellwire_domain::delivery::progress::{Lease, Progress, Retry};
use bellwire_domain::endpoint::{Disabled, DisabledReason, EndpointState};
use bellwire_domain::ids::{MessageId, SubscriptionId};
use bellwire_store::Subscription;
use bellwire_store::leases::Acquisition;
use support::message_id;
use support::subscriptions::{LIMITS, NOW, subscribed, subscription};

/// Every kind of state in which a message can find a subscription.
fn states() -> Vec<EndpointState> {
    let mut found = Vec::new();
    let leases = [
        None,
        Some(("me", 7, 20_000)),
        Some(("me", 8, 20_000)),
        Some(("other", 8, 20_000)),
        Some(("other", 8, 5_000)),
    ];
    let retries = [
        None,
        Some(("me", 20_000)),
        Some(("other", 20_000)),
        Some(("other", 5_000)),
    ];
    for (wanted, acknowledged) in [(0, 0), (1, 0), (2, 1), (2, 2), (3, 3)] {
        for in_doubt in [false, true] {
            for lease in leases {
                for (failures, retry) in retries.iter().enumerate() {
                    for (disabled, client_disabled) in
                        [(false, false), (true, false), (false, true)]
                    {
                        found.push(EndpointState {
                            progress: Progress {
                                wanted,
                                acknowledged,
                                in_doubt,
                                lease: lease.map(|(id, nonce, until)| Lease {
                                    message_id: MessageId::new(id),
                                    nonce,
                                    until,
                                }),
                                failures,
                                retry: retry.map(|(id, at)| Retry {
                                    message_id: MessageId::new(id),
                                    at,
                                }),
                                ..Progress::default()
                            },
                            disabled: disabled.then_some(Disabled {
                                reason: DisabledReason::Gone,
                                at: NOW,
                            }),
                            client_disabled,
                            ..EndpointState::default()
                        });
                    }
                }
            }
        }
    }
    found
}

#[tokio::test]
async fn what_is_written_is_what_was_decided() {
    let subscriptions = subscribed().await;
    for (n, state) in states().into_iter().enumerate() {
        let id = SubscriptionId::new(format!("s{n}-of-all"));
        let subscription = Subscription {
            subscription_id: id.clone(),
            progress: state.progress.clone(),
            disabled: state.disabled.clone(),
            client_disabled: state.client_disabled,
            ..subscription()
        };
        subscriptions
            .create(&subscription, &LIMITS, Vec::new())
            .await
            .unwrap();
        for failures in [0, 1] {
            let request = Acquire {
                version: 2,
                message_id: message_id("me"),
                nonce: 7,
                failures,
                now: 10_000,
                until: 30_000,
            };
            let before = subscriptions.get(&id).await.unwrap().unwrap().state();
            let acquisition = subscriptions.acquire_lease(&id, request).await.unwrap();
            let after = subscriptions.get(&id).await.unwrap().unwrap().state();
            let (as_decided, expected) = match lease::acquire(&before, request) {
                Acquired::Granted(next) => (matches!(acquisition, Acquisition::Held(_)), next),
                Acquired::Yours => (matches!(acquisition, Acquisition::Held(_)), before.clone()),
                Acquired::Pending(next) => (matches!(acquisition, Acquisition::Nothing), next),
                Acquired::Nothing => (matches!(acquisition, Acquisition::Nothing), before.clone()),
                Acquired::Busy => (matches!(acquisition, Acquisition::Busy), before.clone()),
                Acquired::ArrangeRetry(_) => (
                    matches!(acquisition, Acquisition::ArrangeRetry(..)),
                    before.clone(),
                ),
                Acquired::Disabled => (
                    matches!(acquisition, Acquisition::Disabled(_)),
                    before.clone(),
                ),
            };
            assert!(as_decided, "{before:?} came to {acquisition:?}");
            assert_eq!(after, expected, "from {before:?}");
        }
    }
}
