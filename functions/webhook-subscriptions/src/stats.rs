//! `GET …/subscriptions/{subscriptionId}/stats` and `GET /v1/stats`: how many attempts there were in each hour, and how
//! they went, of a subscription, or of all that a client has.

use std::collections::BTreeMap;

use bellwire_api::stats::{CountsView, Period, Stats};
use bellwire_api::{Caller, Failure, ok};
use bellwire_domain::delivery::counts::AttemptCounts;
use bellwire_domain::ids::SubscriptionId;
use bellwire_domain::timestamp::iso_serde;
use bellwire_store::StoreError;
use bellwire_store::attempt_counts::HourlyCounts;
use bellwire_store::subscription::Subscription;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use lambda_http::http::Response;
use lambda_http::{Body, Request};
use serde::Serialize;
use time::OffsetDateTime;

use crate::WebhookSubscriptionsFunction;

/// Of how many subscriptions counts are read at once.
const AT_ONCE: usize = 16;

/// The counts of a client: in all and by the hour, and in all of each subscription that had attempts.
#[derive(Serialize)]
struct StatsOfClient {
    #[serde(flatten)]
    stats: Stats,
    subscriptions: Vec<StatsOfSubscription>,
}

#[derive(Serialize)]
struct StatsOfSubscription {
    id: SubscriptionId,
    /// The latest hour that had failures.
    #[serde(with = "iso_serde::option", skip_serializing_if = "Option::is_none")]
    last_failed_hour: Option<OffsetDateTime>,
    #[serde(flatten)]
    counts: CountsView,
}

impl WebhookSubscriptionsFunction {
    /// The counts of a subscription.
    ///
    /// # Errors
    /// 400 when a parameter is refused; 500 when the table can't be read.
    pub(crate) async fn stats(
        &self,
        subscription: &Subscription,
        request: &Request,
    ) -> Result<Response<Body>, Failure> {
        let period = Period::of(request)?;
        let id = &subscription.subscription_id;
        let hours = self.counts.between(id, period.start, period.end).await?;
        ok(&Stats::new(period, &hours))
    }

    /// The counts of all of the client's subscriptions, to topics and to entities.
    ///
    /// # Errors
    /// 400 when a parameter is refused; 500 when a table can't be read.
    pub(crate) async fn stats_of_client(
        &self,
        client: &Caller,
        request: &Request,
    ) -> Result<Response<Body>, Failure> {
        let period = Period::of(request)?;
        let all = self.subscriptions.of_client(client.client_id.as_str());
        let ids = all.await?.into_iter().map(|it| it.subscription_id);
        let counts = &self.counts;
        let read: Vec<(SubscriptionId, Vec<HourlyCounts>)> = stream::iter(ids)
            .map(|id| async move {
                let hours = counts.between(&id, period.start, period.end).await?;
                Ok::<_, StoreError>((id, hours))
            })
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        let mut hours: BTreeMap<OffsetDateTime, AttemptCounts> = BTreeMap::new();
        let mut subscriptions = Vec::new();
        for (id, counted) in read {
            let mut total = AttemptCounts::default();
            let mut last_failed_hour = None;
            for HourlyCounts { hour, counts } in &counted {
                total.add(counts);
                if counts.failed > 0 {
                    last_failed_hour = Some(*hour);
                }
                hours.entry(*hour).or_default().add(counts);
            }
            if !counted.is_empty() {
                let counts = CountsView::of(&total);
                subscriptions.push(StatsOfSubscription {
                    id,
                    last_failed_hour,
                    counts,
                });
            }
        }
        let hours = hours.into_iter();
        let hours: Vec<HourlyCounts> = hours
            .map(|(hour, counts)| HourlyCounts { hour, counts })
            .collect();
        ok(&StatsOfClient {
            stats: Stats::new(period, &hours),
            subscriptions,
        })
    }
}
