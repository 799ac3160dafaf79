//! Who may see a topic was changed, or what a client is labelled: its subscriptions are suspended, or resumed.

use std::collections::HashMap;

use bellwire_domain::ClientId;
use bellwire_domain::ids::{AudienceId, SubscriptionId, TopicId};
use bellwire_queues::{ClientTask, Message};
use lambda_runtime::Error;

use crate::ClientTasksFunction;

impl ClientTasksFunction {
    /// Settles the subscriptions of one segment of a topic's audience, or has that done for each segment.
    ///
    /// # Errors
    /// When a table or a queue fails. Some subscriptions may have been settled.
    pub(crate) async fn access_changed(
        &self,
        topic_id: TopicId,
        segment: Option<u64>,
    ) -> Result<(), Error> {
        let numbers: Vec<u64> = match segment {
            Some(number) => vec![number],
            None => self.members.segments(&topic_id).await?.numbers().collect(),
        };
        let [number] = numbers.as_slice() else {
            let messages = numbers.into_iter().map(|number| {
                Message::new(&ClientTask::AccessChanged {
                    topic_id: topic_id.clone(),
                    segment: Some(number),
                })
            });
            let messages = messages.collect::<Result<_, _>>()?;
            return Ok(self.tasks.send_all(messages).await?);
        };
        let audience_id = AudienceId::of_topic(&topic_id);
        let members = self.members.of(&audience_id, *number).await?;
        let ids = members.into_iter().map(|it| it.subscription_id);
        let count = self.settle(ids.collect()).await?;
        tracing::info!(topic = %topic_id, segment = number, subscriptions = count, "access settled");
        Ok(())
    }

    /// Settles the subscriptions of a client to topics that ask for labels.
    ///
    /// # Errors
    /// When a table or a queue fails. Some subscriptions may have been settled.
    pub(crate) async fn labels_changed(&self, client_id: &ClientId) -> Result<(), Error> {
        let subscriptions = self.subscriptions.of_client(client_id.as_str()).await?;
        let mut topics: HashMap<TopicId, Vec<SubscriptionId>> = HashMap::new();
        for subscription in &subscriptions {
            if let Some((topic_id, _)) = subscription.topic() {
                let ids = topics.entry(topic_id.clone()).or_default();
                ids.push(subscription.subscription_id.clone());
            }
        }
        let mut asked = Vec::new();
        for (topic_id, ids) in topics {
            let topic = self.access.topic(&topic_id).await?;
            if topic.is_some_and(|topic| topic.access.needs_labels()) {
                asked.extend(ids);
            }
        }
        let count = self.settle(asked).await?;
        tracing::info!(client = %client_id, subscriptions = count, "access settled");
        Ok(())
    }

    /// Settles subscriptions. Returns how many they are.
    async fn settle(&self, ids: Vec<SubscriptionId>) -> Result<usize, Error> {
        let count = ids.len();
        match self.access.settle_all(ids).await.into_iter().next() {
            Some(failure) => Err(failure.into()),
            None => Ok(count),
        }
    }
}
