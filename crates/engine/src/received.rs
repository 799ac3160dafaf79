//! The deliveries that the messages of a batch ask for.

use std::collections::HashMap;

use bellwire_domain::ids::{DeliveryId, EventId, MessageId};
use bellwire_queues::{Delivery, DeliveryKind, Received};

/// A delivery, and the messages of a batch that ask for it: it is attempted once, and its outcome is
/// that of all of them.
#[derive(Clone, Debug)]
pub struct ReceivedDelivery {
    /// The delivery, as the message with the most attempts has it.
    pub delivery: Delivery,
    /// The id of that message.
    pub message_id: MessageId,
    /// The ids of the other messages.
    pub copies: Vec<MessageId>,
}

/// One for each delivery, and for each resend. Messages for documents stay apart: the lease decides which of them sends.
pub fn by_delivery(batch: Vec<Received<Delivery>>) -> Vec<ReceivedDelivery> {
    let mut found: Vec<ReceivedDelivery> = Vec::with_capacity(batch.len());
    let mut positions: HashMap<(DeliveryId, Option<EventId>), usize> = HashMap::new();
    for message in batch {
        let message_id = message.id();
        let delivery = message.content;
        // What only records an arrival is no copy of the delivery.
        let records = matches!(delivery.kind, DeliveryKind::Arrived { .. });
        let id = delivery.id().filter(|_| !records);
        let position = id.map(|id| {
            let of = (id, delivery.resend.clone());
            *positions.entry(of).or_insert(found.len())
        });
        match position.and_then(|position| found.get_mut(position)) {
            Some(same) => same.add(delivery, message_id),
            None => found.push(ReceivedDelivery {
                delivery,
                message_id,
                copies: Vec::new(),
            }),
        }
    }
    found
}

impl ReceivedDelivery {
    /// Adds a message for the same delivery.
    fn add(&mut self, delivery: Delivery, message_id: MessageId) {
        if delivery.attempt > self.delivery.attempt {
            let earlier = std::mem::replace(&mut self.message_id, message_id);
            self.copies.push(earlier);
            self.delivery = delivery;
        } else {
            self.copies.push(message_id);
        }
    }

    /// The ids of all messages.
    pub fn message_ids(&self) -> Vec<MessageId> {
        let copies = self.copies.iter().cloned();
        std::iter::once(self.message_id.clone())
            .chain(copies)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use aws_lambda_events::sqs::SqsMessage;
    use bellwire_domain::ids::SubscriptionId;
    use bellwire_domain::topic::payload::Payload;
    use bellwire_queues::DeliveryKind;
    use time::OffsetDateTime;

    use super::*;

    fn message(
        id: &str,
        subscription: &str,
        kind: DeliveryKind,
        attempt: usize,
    ) -> Received<Delivery> {
        let mut message = SqsMessage::default();
        message.message_id = Some(id.to_owned());
        let at = OffsetDateTime::UNIX_EPOCH;
        let delivery = Delivery::new(SubscriptionId::new(subscription), "c".to_owned(), at, kind);
        let content = Delivery {
            attempt,
            ..delivery
        };
        Received { message, content }
    }

    fn event(id: &str) -> DeliveryKind {
        DeliveryKind::Event {
            event_id: EventId::new(id),
            payload: Payload::Inline("1".to_owned()),
        }
    }

    fn ids(batch: Vec<Received<Delivery>>) -> Vec<(usize, Vec<MessageId>)> {
        let found = by_delivery(batch).into_iter();
        found
            .map(|it| (it.delivery.attempt, it.message_ids()))
            .collect()
    }

    #[test]
    fn copies_of_a_delivery_are_one_as_of_its_latest_attempt() {
        let batch = vec![
            message("m1", "s1", event("e1"), 0),
            message("m2", "s2", event("e1"), 0),
            message("m3", "s1", event("e1"), 2),
            message("m4", "s1", event("e2"), 0),
            message("m5", "s1", event("e1"), 1),
        ];
        let texts = |ids: &[&str]| ids.iter().map(|id| MessageId::new(*id)).collect::<Vec<_>>();
        assert_eq!(
            ids(batch),
            [
                (2, texts(&["m3", "m1", "m5"])),
                (0, texts(&["m2"])),
                (0, texts(&["m4"])),
            ]
        );
    }

    #[test]
    fn a_resend_is_no_copy_of_a_retry_and_its_repetition_one_of_it() {
        let resend = |id: &str, resend: &str| {
            let mut message = message(id, "s1", event("e1"), 3);
            message.content.resend = Some(EventId::new(resend));
            message
        };
        let batch = vec![
            message("m1", "s1", event("e1"), 1),
            resend("m2", "r1"),
            resend("m3", "r2"),
            resend("m4", "r1"),
        ];
        let texts = |ids: &[&str]| ids.iter().map(|id| MessageId::new(*id)).collect::<Vec<_>>();
        assert_eq!(
            ids(batch),
            [
                (1, texts(&["m1"])),
                (3, texts(&["m2", "m4"])),
                (3, texts(&["m3"])),
            ]
        );
    }

    #[test]
    fn messages_for_documents_stay_apart() {
        let document = || DeliveryKind::Document { version: 1 };
        let batch = vec![
            message("m1", "s1", document(), 0),
            message("m2", "s1", document(), 0),
        ];
        assert_eq!(ids(batch).len(), 2);
    }
}
