//! The documents that an instance has committed last, so that the next version of a topic's document is compared with
//! the one before without reading and parsing that again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bellwire_domain::ids::TopicId;
use bellwire_domain::topic::document::Document;
use bellwire_domain::topic::payload::Payload;

/// How many bytes of JSON are kept in all. Parsed, small objects may take fifty times as much memory.
const MAX_BYTES: usize = 2 * 1024 * 1024;

/// The latest document of each of several topics, the one that was used last behind all others.
#[derive(Debug, Default)]
pub struct RecentDocuments(Mutex<VecDeque<Recent>>);

#[derive(Debug)]
struct Recent {
    topic_id: TopicId,
    payload: Payload,
    document: Arc<Document>,
}

impl RecentDocuments {
    /// The document of a topic, if it is the one with this payload that was kept last.
    pub fn get(&self, topic_id: &TopicId, payload: &Payload) -> Option<Arc<Document>> {
        let recent = self.lock();
        let mut recent = recent.iter().filter(|it| it.topic_id == *topic_id);
        let found = recent.find(|it| it.payload == *payload)?;
        Some(Arc::clone(&found.document))
    }

    /// Keeps the document of a topic in the place of the one before, and drops those of other topics that have not
    /// changed for longest if there are too many.
    pub fn keep(&self, topic_id: &TopicId, payload: Payload, document: Arc<Document>) {
        let mut recent = self.lock();
        recent.retain(|it| it.topic_id != *topic_id);
        recent.push_back(Recent {
            topic_id: topic_id.clone(),
            payload,
            document,
        });
        let mut bytes: usize = recent.iter().map(|it| it.document.text().len()).sum();
        while bytes > MAX_BYTES
            && let Some(dropped) = recent.pop_front()
        {
            bytes -= dropped.document.text().len();
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Recent>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn payload(number: usize) -> Payload {
        Payload::Stored(format!("documents/{number}"))
    }

    fn document(bytes: usize) -> Arc<Document> {
        let text = format!("{}1", " ".repeat(bytes - 1));
        Arc::new(Document::parse(text.as_bytes()).unwrap())
    }

    #[test]
    fn the_latest_of_a_topic_is_kept_until_there_are_too_many_bytes() {
        let recent = RecentDocuments::default();
        let topic = |number: usize| TopicId::new(format!("t{number}"));
        for version in 0..3 {
            recent.keep(&topic(0), payload(version), document(10));
        }
        assert!(recent.get(&topic(0), &payload(2)).is_some());
        assert!(recent.get(&topic(0), &payload(1)).is_none());
        assert!(recent.get(&topic(1), &payload(2)).is_none());
        for number in 1..9 {
            recent.keep(&topic(number), payload(0), document(1024 * 1024));
        }
        let kept = |number: usize| recent.get(&topic(number), &payload(0)).is_some();
        assert_eq!((1..9).filter(|it| kept(*it)).count(), 2);
        assert!(recent.get(&topic(0), &payload(2)).is_none());
    }
}
