//! Who may receive a topic's publications: judged from the topic and, if it asks for labels, from those of clients.
//!
//! A topic that everyone may see costs nothing. Of another one, members that may not receive it get no deliveries, and
//! their subscriptions are suspended ([`AccessJudge::settle`]): so they show it, and a document goes on with a snapshot
//! when their clients may see it again.

use std::collections::{BTreeSet, HashMap};

use bellwire_domain::ClientId;
use bellwire_domain::client::Labels;
use bellwire_domain::ids::{SubscriptionId, TopicId};
use bellwire_domain::topic::Topic;
use bellwire_queues::Queue;
use bellwire_store::access_change::Settled;
use bellwire_store::members::Member;
use bellwire_store::topics::{Found, StoredTopic};
use bellwire_store::{Clients, Events, StoreError, Subscription, Subscriptions, Topics};
use futures_util::stream::{self, StreamExt};
use time::OffsetDateTime;

use crate::{FanOutError, deliver_current_document};

/// How often a subscription is judged again that others change at the same time.
const ATTEMPTS: usize = 5;
/// How many subscriptions are settled concurrently.
const AT_ONCE: usize = 16;

/// Judges who may receive what.
#[derive(Clone, Debug)]
pub struct AccessJudge {
    topics: Topics,
    clients: Clients,
    subscriptions: Subscriptions,
    events: Events,
    deliveries: Queue,
}

/// For whom of a topic's audience its publications are.
#[derive(Clone, Debug)]
pub enum Receivers<'a> {
    /// For all members.
    Everyone,
    /// For those that the topic permits.
    Permitted(&'a AccessJudge, &'a Topic),
}

/// Whether not everyone may see a topic, so that its deliveries are judged again before each retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restricted(pub bool);

impl Restricted {
    /// Whether it is so of this topic.
    pub fn of(topic: &Topic) -> Self {
        Self(!topic.access.is_everyone())
    }
}

/// A judgement, and what it is based on.
#[derive(Debug)]
struct Judged {
    subscription: Subscription,
    client_id: ClientId,
    stored: StoredTopic,
    /// The client's labels, if the topic asks for some.
    labels: Labels,
    permitted: bool,
}

/// Whether an enabled subscription to a document has to get a snapshot, and nobody is about to send one.
fn is_waiting(subscription: &Subscription) -> bool {
    let progress = &subscription.progress;
    progress.in_doubt
        && progress.failures == 0
        && progress.lease.is_none()
        && progress.retry.is_none()
        && !subscription.state().is_silent()
}

impl<'a> Receivers<'a> {
    /// The receivers of a topic.
    pub fn of(judge: &'a AccessJudge, topic: &'a Topic) -> Self {
        if topic.access.is_everyone() {
            Self::Everyone
        } else {
            Self::Permitted(judge, topic)
        }
    }

    /// Whether some members may be left out, so that deliveries are judged again before each retry.
    pub fn are_restricted(&self) -> bool {
        matches!(self, Self::Permitted(..))
    }

    /// Those of these members that are receivers. The others' subscriptions are suspended; if that fails, the next
    /// publication does it.
    pub(crate) async fn among(&self, members: Vec<Member>) -> Result<Vec<Member>, StoreError> {
        let Self::Permitted(judge, topic) = self else {
            return Ok(members);
        };
        let labels = judge.labels_of(topic, &members).await?;
        let is_receiver = |member: &Member| {
            ClientId::parse(&member.client_id).is_some_and(|id| {
                let none = Labels::default();
                topic.is_for(&id, labels.get(&id).unwrap_or(&none))
            })
        };
        let (receivers, others): (Vec<_>, Vec<_>) = members.into_iter().partition(is_receiver);
        let others: Vec<SubscriptionId> = others
            .into_iter()
            .map(|member| member.subscription_id)
            .collect();
        let suspended = stream::iter(others)
            .map(|id| async move { judge.suspend_unless_permitted(&id).await })
            .buffer_unordered(AT_ONCE);
        let suspended: Vec<Result<bool, FanOutError>> = suspended.collect().await;
        for failure in suspended.into_iter().filter_map(Result::err) {
            tracing::warn!(%failure, "a subscription is not suspended yet");
        }
        Ok(receivers)
    }
}

impl AccessJudge {
    /// Judges by these tables; the current documents of subscriptions that are resumed are sent by `deliveries`.
    pub fn new(
        topics: Topics,
        clients: Clients,
        subscriptions: Subscriptions,
        events: Events,
        deliveries: Queue,
    ) -> Self {
        Self {
            topics,
            clients,
            subscriptions,
            events,
            deliveries,
        }
    }

    /// The topic with this id, whether or not it was deleted since; `None` if there is no such topic.
    pub async fn topic(&self, topic_id: &TopicId) -> Result<Option<Topic>, StoreError> {
        Ok(match self.topics.get(topic_id).await? {
            Found::Live(stored) => Some(stored.topic),
            Found::Deleted { topic, .. } => Some(topic),
            Found::Unknown => None,
        })
    }

    /// Whether a topic's publications are for this client. Its labels are read if the topic asks for some.
    pub async fn is_for(&self, topic: &Topic, client_id: &str) -> Result<bool, StoreError> {
        let Some(client_id) = ClientId::parse(client_id) else {
            return Ok(topic.access.is_everyone());
        };
        let labels = self.labels(topic, &client_id).await?;
        Ok(topic.is_for(&client_id, &labels))
    }

    /// Suspends a subscription if its client may not receive the topic's publications. Follows from what is on record
    /// alone, and can be repeated. Returns whether the client may receive them.
    pub async fn suspend_unless_permitted(&self, id: &SubscriptionId) -> Result<bool, FanOutError> {
        for _ in 0..ATTEMPTS {
            let Some(judged) = self.judged(id).await? else {
                return Ok(true);
            };
            if judged.permitted {
                return Ok(true);
            }
            if self.write(&judged).await? != Settled::Changed {
                return Ok(false);
            }
        }
        Err(StoreError::Conflict.into())
    }

    /// As [`Self::suspend_unless_permitted`]; and resumes a subscription that was suspended if its client may receive them
    /// again: then a topic's current document is delivered.
    pub async fn settle(&self, id: &SubscriptionId) -> Result<(), FanOutError> {
        for _ in 0..ATTEMPTS {
            let Some(judged) = self.judged(id).await? else {
                return Ok(());
            };
            let resumed = match self.write(&judged).await? {
                Settled::Changed => continue,
                Settled::Resumed => true,
                // The step before this one may have been cut off when it had resumed it.
                Settled::Already => judged.permitted && is_waiting(&judged.subscription),
                Settled::Suspended => false,
            };
            if resumed {
                deliver_current_document(
                    &self.events,
                    &self.deliveries,
                    &judged.subscription,
                    Restricted::of(&judged.stored.topic),
                    OffsetDateTime::now_utc(),
                )
                .await?;
            }
            return Ok(());
        }
        Err(StoreError::Conflict.into())
    }

    /// Delivers a topic's current document to a subscription whose client was enabled again; or suspends it, if the client
    /// may not receive the topic's publications by now. Can be repeated.
    pub async fn resume_client(&self, subscription: &Subscription) -> Result<(), FanOutError> {
        let id = &subscription.subscription_id;
        if !self.suspend_unless_permitted(id).await? {
            return Ok(());
        }
        let Some((topic_id, _)) = subscription.topic() else {
            return Ok(());
        };
        let topic = self.topic(topic_id).await?;
        let restricted = topic.as_ref().map_or(Restricted(false), Restricted::of);
        let now = OffsetDateTime::now_utc();
        deliver_current_document(
            &self.events,
            &self.deliveries,
            subscription,
            restricted,
            now,
        )
        .await
    }

    /// A subscription to a topic, and whether its client may receive the topic's publications; `None` if there is nothing to
    /// judge: it is to an entity, or it or its topic is deleted.
    async fn judged(&self, id: &SubscriptionId) -> Result<Option<Judged>, StoreError> {
        let Some(subscription) = self.subscriptions.get(id).await? else {
            return Ok(None);
        };
        let client_id = ClientId::parse(&subscription.client_id);
        let (Some((topic_id, _)), Some(client_id)) = (subscription.topic(), client_id) else {
            return Ok(None);
        };
        let Found::Live(stored) = self.topics.get(topic_id).await? else {
            return Ok(None);
        };
        let labels = self.labels(&stored.topic, &client_id).await?;
        Ok(Some(Judged {
            permitted: stored.topic.is_for(&client_id, &labels),
            subscription,
            client_id,
            stored,
            labels,
        }))
    }

    /// Writes what follows from a judgement, if nothing that it is based on has changed.
    async fn write(&self, judged: &Judged) -> Result<Settled, StoreError> {
        let mut conditions = vec![judged.stored.must_be_unchanged(&self.topics)?];
        if judged.stored.topic.access.needs_labels() {
            let check = self
                .clients
                .must_have_labels(&judged.client_id, &judged.labels)?;
            conditions.push(check);
        }
        let (known, now) = (&judged.subscription, OffsetDateTime::now_utc());
        let settled = self
            .subscriptions
            .settle_access(known, judged.permitted, conditions, now)
            .await?;
        if matches!(settled, Settled::Suspended | Settled::Resumed) {
            let id = &known.subscription_id;
            tracing::info!(subscription = %id, permitted = judged.permitted, "access settled");
        }
        Ok(settled)
    }

    /// Settles subscriptions, several at once. Returns what has failed.
    pub async fn settle_all(&self, ids: Vec<SubscriptionId>) -> Vec<FanOutError> {
        let settled = stream::iter(ids)
            .map(|id| async move { self.settle(&id).await })
            .buffer_unordered(AT_ONCE);
        let settled: Vec<Result<(), FanOutError>> = settled.collect().await;
        settled.into_iter().filter_map(Result::err).collect()
    }

    /// The labels of a client, if the topic asks for some; none otherwise.
    async fn labels(&self, topic: &Topic, client_id: &ClientId) -> Result<Labels, StoreError> {
        if !topic.access.needs_labels() {
            return Ok(Labels::default());
        }
        let ids = BTreeSet::from([client_id.clone()]);
        let mut labels = self.clients.labels_of(&ids).await?;
        Ok(labels.remove(client_id).unwrap_or_default())
    }

    /// The labels of the members' clients, if the topic asks for some.
    async fn labels_of(
        &self,
        topic: &Topic,
        members: &[Member],
    ) -> Result<HashMap<ClientId, Labels>, StoreError> {
        if !topic.access.needs_labels() {
            return Ok(HashMap::new());
        }
        let ids = members.iter().map(|member| member.client_id.as_str());
        self.clients
            .labels_of(&ids.filter_map(ClientId::parse).collect())
            .await
    }
}
