//! Commits versions of a topic's document, and ends the document of a deleted topic.

use std::sync::Arc;

use bellwire_domain::ids::TopicId;
use bellwire_domain::topic::document::Document;
use bellwire_domain::topic::patch::{self, Change};
use bellwire_domain::topic::payload::Payload;
use bellwire_objects::payloads::Kept;
use bellwire_objects::{ObjectError, Payloads};
use bellwire_runtime::backoff::Backoff;
use bellwire_store::versions::{Committed, Current, Version};
use lambda_runtime::Error;
use time::OffsetDateTime;

use crate::CommitFunction;

/// A publication that is a version of its topic's document.
pub struct Versioned {
    /// The version's number, from 1.
    pub version: u64,
    /// The document that it replaces; `None` for the first version, or if the version before is not
    /// kept any more.
    pub superseded: Option<Payload>,
}

impl CommitFunction {
    /// Commits a publication as the next version of its topic's document. Returns the version; `None`
    /// if the document is the same already, or the topic was deleted. A publication that was committed
    /// before keeps its version. One that was redriven from the dead letters doesn't replace a document
    /// that was accepted after it.
    ///
    /// # Errors
    /// When a payload is missing in the bucket, the table or the bucket fails, or other publications
    /// keep interfering.
    pub(crate) async fn commit_document(
        &self,
        topic_id: &TopicId,
        publication_id: &str,
        accepted_at: OffsetDateTime,
        payload: Payload,
        redriven: bool,
    ) -> Result<Option<Versioned>, Error> {
        let new = Arc::new(Document::parse(&self.payloads.read(&payload).await?)?);
        let mut backoff = Backoff::new();
        loop {
            let now = OffsetDateTime::now_utc();
            let current = match self.events.current(topic_id).await? {
                Current::Nothing => None,
                Current::Version(version) => Some(*version),
                Current::Deleted => {
                    // It was accepted while the topic was being deleted.
                    tracing::info!("the topic is deleted");
                    self.payloads.retire_settled(&payload).await?;
                    return Ok(None);
                }
            };
            let change = match &current {
                Some(current) if redriven && current.last_accepted_at() >= accepted_at => {
                    Change::None
                }
                Some(current) => self.change(topic_id, &current.snapshot, &new).await?,
                None => Change::Snapshot,
            };
            let previous = current.as_ref().map(|current| current.version);
            let version = previous.unwrap_or(0) + 1;
            let patch = match change {
                Change::None => {
                    // Before the mark, since a repetition that finds the mark does nothing more.
                    if let Some(current) = &current {
                        self.events
                            .confirm(topic_id, current.version, accepted_at)
                            .await?;
                    }
                    let noted = self
                        .events
                        .note_unchanged(topic_id, publication_id, now)
                        .await?;
                    if let Committed::Before(version) = noted {
                        return self.committed_before(topic_id, version, &payload).await;
                    }
                    let settled = Payloads::settled(&payload);
                    if redriven && current.is_none_or(|current| current.snapshot != settled) {
                        // An invocation may have stored it as a document before it was dead-lettered.
                        self.payloads.retire_settled(&payload).await?;
                    }
                    return Ok(None);
                }
                Change::Snapshot => None,
                Change::Patch(patch) => {
                    // A repetition may compare with another version, and get another patch.
                    let id = format!("{publication_id}.{version}.patch");
                    let patch = patch.as_bytes();
                    Some(self.payloads.keep(&id, patch, Kept::LikeEvents).await?)
                }
            };
            let snapshot = self
                .payloads
                .settle(&payload, new.text().as_bytes())
                .await?;
            let next = Version {
                version,
                accepted_at,
                snapshot: snapshot.clone(),
                patch,
                confirmed_at: None,
            };
            let committed = self
                .events
                .commit(topic_id, publication_id, &next, previous, now)
                .await?;
            match committed {
                Committed::Done => {
                    self.recent.keep(topic_id, snapshot, new);
                    return Ok(Some(Versioned {
                        version: next.version,
                        superseded: current.map(|current| current.snapshot),
                    }));
                }
                Committed::Before(version) => {
                    return self.committed_before(topic_id, version, &snapshot).await;
                }
                // By the same message, received twice, or by another transaction.
                Committed::Overtaken if backoff.pause().await => {}
                Committed::Overtaken => {
                    return Err("other publications got in the way too often".into());
                }
            }
        }
    }

    /// The result for a publication that was committed before: as `version`, or as none because it
    /// changed nothing. Retires its payload if that is not what was committed.
    async fn committed_before(
        &self,
        topic_id: &TopicId,
        version: Option<u64>,
        payload: &Payload,
    ) -> Result<Option<Versioned>, Error> {
        let Some(version) = version else {
            return Ok(None);
        };
        // A request that was repeated later has stored its document once more.
        let committed = self.events.version(topic_id, version).await?;
        if committed.is_some_and(|committed| committed.snapshot != *payload) {
            self.payloads.retire(payload).await?;
        }
        let before = self
            .events
            .version(topic_id, version.saturating_sub(1))
            .await?;
        Ok(Some(Versioned {
            version,
            superseded: before.map(|before| before.snapshot),
        }))
    }

    /// Ends the document of a deleted topic: no version follows. Its last version is kept as long as
    /// deliveries of it may be under way. Idempotent.
    pub(crate) async fn forget_document(&self, topic_id: &TopicId) -> Result<(), Error> {
        let last = match self.events.current(topic_id).await? {
            Current::Nothing => None,
            Current::Version(last) => Some(*last),
            Current::Deleted => return Ok(()),
        };
        let now = OffsetDateTime::now_utc();
        let Some(last) = last else {
            return Ok(self.events.end_document(topic_id, None, now).await?);
        };
        // Deliveries of it may be under way: it is stored where it is kept long enough for them.
        let id = format!("{topic_id}.{}", last.version);
        let kept = match self.payloads.read(&last.snapshot).await {
            Ok(bytes) => self.payloads.keep(&id, &bytes, Kept::LikeEvents).await?,
            Err(ObjectError::Missing) => last.snapshot.clone(),
            Err(error) => return Err(error.into()),
        };
        let ended = Version {
            snapshot: kept,
            ..last.clone()
        };
        self.events
            .end_document(topic_id, Some(&ended), now)
            .await?;
        Ok(self.payloads.retire(&last.snapshot).await?)
    }

    /// The change of a topic's document from `old` to `new`: a patch, or the document as a whole if `old` is missing in
    /// the bucket.
    async fn change(
        &self,
        topic_id: &TopicId,
        old: &Payload,
        new: &Document,
    ) -> Result<Change, Error> {
        if let Some(old) = self.recent.get(topic_id, old) {
            return Ok(patch::change(&old, new)?);
        }
        match self.payloads.read(old).await {
            Ok(old) => Ok(patch::change(&Document::parse(&old)?, new)?),
            Err(ObjectError::Missing) => Ok(Change::Snapshot),
            Err(error) => Err(error.into()),
        }
    }
}
