//! What a caller may do with a topic. Who may not see one gets the answer for a topic that doesn't exist.

use std::collections::BTreeSet;

use bellwire_domain::client::Labels;
use bellwire_domain::topic::Topic;
use bellwire_domain::topic::view::TopicView;
use bellwire_store::Clients;

use crate::{Caller, Failure};

/// Judges what callers may do with topics.
#[derive(Debug)]
pub struct TopicPermissions {
    clients: Clients,
}

impl TopicPermissions {
    /// Judges by the labels in the table `clients`.
    pub fn new(clients: Clients) -> Self {
        Self { clients }
    }

    /// Whether the caller may publish to a topic, and change it.
    pub fn may_change(caller: &Caller, topic: &Topic) -> bool {
        caller.operator || (caller.publisher && topic.publishers.include(&caller.client_id))
    }

    /// Checks that the caller may publish to a topic that it may see, and change it.
    ///
    /// # Errors
    /// 403 when it may not.
    pub fn must_change(caller: &Caller, topic: &Topic) -> Result<(), Failure> {
        if Self::may_change(caller, topic) {
            return Ok(());
        }
        Err(Failure::forbidden(
            "the topic has other publishers, and this client is none of them",
        ))
    }

    /// Whether the caller may see a topic: it may change it, or receive its publications. Its labels are read if it
    /// depends on them.
    ///
    /// # Errors
    /// 500 when the table can't be read.
    pub async fn may_see(&self, caller: &Caller, topic: &Topic) -> Result<bool, Failure> {
        Ok(Self::may_change(caller, topic) || self.may_receive(caller, topic).await?)
    }

    /// Whether a topic's publications are for the caller. Its labels are read if that depends on them.
    ///
    /// # Errors
    /// 500 when the table can't be read.
    pub async fn may_receive(&self, caller: &Caller, topic: &Topic) -> Result<bool, Failure> {
        let labels = if topic.access.needs_labels() {
            self.labels(caller).await?
        } else {
            Labels::default()
        };
        Ok(topic.is_for(&caller.client_id, &labels))
    }

    /// Those of these topics that the caller may see. Its labels are read once, if a topic depends on them.
    ///
    /// # Errors
    /// 500 when the table can't be read.
    pub async fn visible(
        &self,
        caller: &Caller,
        mut topics: Vec<Topic>,
    ) -> Result<Vec<Topic>, Failure> {
        let depends =
            |topic: &Topic| topic.access.needs_labels() && !Self::may_change(caller, topic);
        let labels = if topics.iter().any(depends) {
            self.labels(caller).await?
        } else {
            Labels::default()
        };
        topics.retain(|topic| {
            Self::may_change(caller, topic) || topic.is_for(&caller.client_id, &labels)
        });
        Ok(topics)
    }

    /// What the caller, which may see a topic, sees of it.
    pub fn view<'a>(caller: &Caller, topic: &'a Topic) -> TopicView<'a> {
        if Self::may_change(caller, topic) {
            TopicView::full(topic)
        } else {
            TopicView::limited(topic)
        }
    }

    async fn labels(&self, caller: &Caller) -> Result<Labels, Failure> {
        let ids = BTreeSet::from([caller.client_id.clone()]);
        let mut labels = self.clients.labels_of(&ids).await?;
        Ok(labels.remove(&caller.client_id).unwrap_or_default())
    }
}
