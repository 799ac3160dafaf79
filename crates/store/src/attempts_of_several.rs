//! The attempts of several subscriptions in one list, newest first.

use bellwire_domain::topic::shards::Shards;
use futures_util::future::try_join_all;
use time::OffsetDateTime;

use crate::attempt_record::AttemptRecord;
use crate::{Attempts, StoreError, Subscription};

/// How many subscriptions' attempts are read at once.
const AT_ONCE: usize = 8;

/// A page of the attempts of several subscriptions.
#[derive(Clone, Debug)]
pub struct MergedPage<T> {
    /// What is shown of the attempts of the page.
    pub entries: Vec<T>,
    /// The position behind the page; `None` if there are no more.
    pub next_cursor: Option<String>,
}

impl Attempts {
    /// A page of the attempts of subscriptions to entities, newest first: at most `limit` of them, after the cursor
    /// `after`; `show` makes an entry of each, so that what is not shown need not be held in memory.
    ///
    /// A cursor is a position in the order of all attempts: the time of the request and the id of the delivery. So the
    /// pages that follow are the same however many attempts were made since, and whether or not the subscriptions are
    /// still the same: what is new is before the cursor.
    pub async fn newest_of<'a, T>(
        &self,
        subscriptions: &'a [Subscription],
        after: Option<String>,
        limit: usize,
        now: OffsetDateTime,
        show: impl Fn(&'a Subscription, AttemptRecord) -> T,
    ) -> Result<MergedPage<T>, StoreError> {
        let mut newest: Vec<(String, T)> = Vec::new();
        let mut more = false;
        for some in subscriptions.chunks(AT_ONCE) {
            let reads = some
                .iter()
                .map(|it| self.newest(it, Shards::ONE, after.clone(), limit, now));
            let pages = try_join_all(reads).await?;
            for (subscription, page) in some.iter().zip(pages) {
                more |= page.next_cursor.is_some();
                let attempts = page.attempts.into_iter();
                newest.extend(attempts.map(|it| (it.position(), show(subscription, it))));
            }
            newest.sort_by(|(a, _), (b, _)| b.cmp(a));
            // Of each subscription, the newest were read: what is cut off here, and what was not read, is older.
            more |= newest.len() > limit;
            newest.truncate(limit);
        }
        let last = newest.last().map(|(position, _)| position.clone());
        Ok(MergedPage {
            next_cursor: last.filter(|_| more),
            entries: newest.into_iter().map(|(_, entry)| entry).collect(),
        })
    }
}
