//! What is sent, read once for many deliveries.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bellwire_domain::ids::TopicId;
use bellwire_domain::topic::payload::Payload;
use bellwire_objects::{ObjectError, Payloads};
use bellwire_store::versions::Version;
use bellwire_store::{Events, StoreError};
use bytes::Bytes;

/// How many bytes are remembered, at most.
const REMEMBERED: usize = 16 * 1024 * 1024;

/// The versions of documents, and the payloads of all.
#[derive(Debug)]
pub struct Bodies {
    events: Events,
    payloads: Payloads,
    known: Mutex<Memory>,
}

/// What was read of late. Neither versions nor payloads ever change.
#[derive(Debug, Default)]
struct Memory {
    versions: HashMap<(TopicId, u64), Arc<Version>>,
    payloads: HashMap<Payload, Bytes>,
    size: usize,
}

impl Bodies {
    /// From this table and this bucket.
    pub fn new(events: Events, payloads: Payloads) -> Self {
        Self {
            events,
            payloads,
            known: Mutex::default(),
        }
    }

    /// A version of a topic's document; `None` when it has expired.
    pub async fn version(
        &self,
        topic_id: &TopicId,
        version: u64,
    ) -> Result<Option<Arc<Version>>, StoreError> {
        let key = (topic_id.clone(), version);
        let remembered = self.memory(|memory| memory.versions.get(&key).cloned());
        if remembered.is_some() {
            return Ok(remembered);
        }
        let Some(found) = self.events.version(topic_id, version).await? else {
            return Ok(None);
        };
        let found = Arc::new(found);
        let size = length(&found.snapshot) + found.patch.as_ref().map_or(0, length);
        self.memory(|memory| {
            memory.make_room(size);
            memory.versions.insert(key, Arc::clone(&found));
        });
        Ok(Some(found))
    }

    /// The newest version of a topic's document.
    pub async fn latest(&self, topic_id: &TopicId) -> Result<Option<Arc<Version>>, StoreError> {
        Ok(self.events.latest(topic_id).await?.map(Arc::new))
    }

    /// The bytes of a payload.
    pub async fn read(&self, payload: &Payload) -> Result<Bytes, ObjectError> {
        if let Some(bytes) = self.memory(|memory| memory.payloads.get(payload).cloned()) {
            return Ok(bytes);
        }
        let bytes = Bytes::from(self.payloads.read(payload).await?);
        self.memory(|memory| {
            memory.make_room(bytes.len() + length(payload));
            memory.payloads.insert(payload.clone(), bytes.clone());
        });
        Ok(bytes)
    }

    fn memory<T>(&self, work: impl FnOnce(&mut Memory) -> T) -> T {
        work(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Memory {
    /// Forgets everything when it would become too much.
    fn make_room(&mut self, size: usize) {
        if self.size + size > REMEMBERED {
            *self = Self::default();
        }
        self.size += size;
    }
}

fn length(payload: &Payload) -> usize {
    match payload {
        Payload::Inline(text) => text.len(),
        Payload::Stored(key) => key.len(),
    }
}
