//! Lists of a subscription's deliveries, newest first, each with its attempts.
//!
//! A delivery has its place by the key of its first attempt ([`crate::attempts`]): of an event that is the time of the
//! acceptance, where the attempt was made within `ON_TIME`, and the time of the request otherwise, as for documents and
//! tests. The items are walked through newest first, so that later attempts come before the first. Those that are after
//! the page are looked for only where there may be any: when the first attempt hasn't arrived, or its owner has asked for
//! a resend. A copy of a message that fails at the moment at which the first attempt arrives may be left out.
//!
//! - A version's attempts follow each other, with nothing but tests in between: a later version is never followed by an
//!   earlier one ([`bellwire_domain::delivery::lease`]).
//! - The first attempt of another schedule of retries, after a replay, is no other delivery. If the first of all has no
//!   item `a#`, the delivery has its place by the latest of them.
//!
//! What a request reads is limited. A page may have fewer deliveries than it could have, and a cursor nevertheless; and a
//! delivery whose later attempts were not all looked for says so.

use std::collections::HashMap;

use bellwire_domain::delivery::key::DeliveryKey;
use bellwire_domain::ids::DeliveryId;
use bellwire_domain::timestamp;
use bellwire_domain::topic::shards::{Shard, Shards};
use time::OffsetDateTime;

use crate::attempt_list::{Range, record};
use crate::attempt_record::AttemptRecord;
use crate::attempt_walk::{Found, Walk, shards_of};
use crate::attempts::item_key;
use crate::batch_get::{batch_get, keys_eventually};
use crate::delivery_ahead::AheadOfPage;
use crate::delivery_record::{DeliveryRecord, Marks};
use crate::{Attempts, StoreError, Subscription};

/// After how many items a request stops to look for deliveries.
const MOST_WALKED: usize = 1000;
/// How many items before the list are read, to find out whether a version was attempted there: tests may be in between.
const BEFORE_DOCUMENT: i32 = 20;
/// How many items one call reads.
const KEYS: usize = 100;

/// Which deliveries are requested.
#[derive(Clone, Debug)]
pub struct DeliveriesWanted {
    /// The earliest place in the list, inclusive.
    pub start: OffsetDateTime,
    /// The latest, inclusive.
    pub end: OffsetDateTime,
    /// The position that the page before ended at.
    pub after: Option<String>,
    /// How many there are at most.
    pub limit: usize,
}

/// A page of deliveries, newest first.
#[derive(Clone, Debug, Default)]
pub struct DeliveryPage {
    /// The deliveries.
    pub deliveries: Vec<DeliveryRecord>,
    /// The position behind the page; `None` if there are no more.
    pub next_cursor: Option<String>,
}

/// The first attempt of a delivery.
#[derive(Debug)]
struct Head {
    position: String,
    shard: Shard,
    /// What its item `a#` says; `None` if it has another.
    marks: Option<Marks>,
    attempt: AttemptRecord,
    /// Whether there may be attempts before it.
    truncated: bool,
}

/// A page in the making.
#[derive(Debug)]
struct Listing<'a> {
    attempts: &'a Attempts,
    subscription: &'a Subscription,
    walk: Walk<'a>,
    /// Since when attempts are shown, as keys begin with it.
    kept_since: String,
    /// The time at which the walk ends, in the same way.
    start: String,
    /// What is after the page; nothing is if this is `None`.
    ahead: Option<AheadOfPage<'a>>,
    /// The delivery that the page before ended with.
    shown_before: Option<DeliveryId>,
    /// Attempts of deliveries whose first attempt was not yet found.
    later: HashMap<DeliveryId, Vec<AttemptRecord>>,
    /// The earliest attempt so far of the version that is walked through.
    version: Option<Head>,
    /// First attempts before that one, which come after its delivery if that has no earlier attempt.
    held: Vec<Head>,
    /// The position of what was walked through last.
    last: Option<String>,
}

impl Attempts {
    /// A page of a subscription's deliveries that `wanted` lets through. `shards` are those of the subscription's topic.
    pub async fn deliveries(
        &self,
        subscription: &Subscription,
        shards: Shards,
        request: &DeliveriesWanted,
        now: OffsetDateTime,
        wanted: impl Fn(&DeliveryRecord) -> bool,
    ) -> Result<DeliveryPage, StoreError> {
        let kept_since = now - self.kept;
        let start = request.start.max(kept_since);
        if start > request.end {
            return Ok(DeliveryPage::default());
        }
        let end = format!("{}#~", timestamp::iso(request.end));
        let before = match &request.after {
            Some(after) => after.clone().min(end),
            None => end,
        };
        let is_now = request.after.is_none() && request.end >= now;
        let shards = shards_of(subscription, shards);
        let mut listing = Listing {
            attempts: self,
            subscription,
            walk: Walk::new(
                self,
                subscription,
                shards,
                timestamp::iso(start),
                before.clone(),
            ),
            kept_since: timestamp::iso(kept_since),
            start: timestamp::iso(start),
            ahead: (!is_now).then(|| AheadOfPage::new(self, subscription, before)),
            shown_before: request.after.as_deref().and_then(id_in),
            later: HashMap::new(),
            version: None,
            held: Vec::new(),
            last: None,
        };
        let mut page = DeliveryPage::default();
        // The position of the last delivery that was looked at.
        let mut looked_at = None;
        let mut is_last;
        loop {
            let mut heads = listing.heads(request.limit - page.deliveries.len()).await?;
            let is_cut = listing.walk.walked >= MOST_WALKED;
            if is_cut && heads.is_empty() && looked_at.is_none() {
                heads.extend(listing.version.take().map(|head| Head {
                    truncated: true,
                    ..head
                }));
            }
            let ended = heads.is_empty();
            let mut heads = listing.without_copies(heads, &mut page).await?.into_iter();
            for head in heads.by_ref() {
                let position = head.position.clone();
                if let Some(delivery) = listing.delivery(head).await?.filter(&wanted) {
                    page.deliveries.push(delivery);
                }
                looked_at = Some(position);
                if page.deliveries.len() == request.limit {
                    break;
                }
            }
            is_last = heads.len() == 0;
            if page.deliveries.len() == request.limit || is_cut || ended {
                break;
            }
        }
        let is_full =
            page.deliveries.len() == request.limit && (!is_last || listing.walk.may_go_on());
        let is_open = listing.version.is_some() || !listing.held.is_empty();
        page.next_cursor = if is_full || is_open {
            looked_at
        } else if listing.walk.may_go_on() {
            listing.last.clone()
        } else {
            None
        };
        if let Some(last) = listing.last {
            let (page, later) = (&mut page.deliveries, &mut listing.later);
            self.add_earlier_schedules(subscription, page, later, &last, kept_since)
                .await?;
        }
        Ok(page)
    }

    /// Whether a text may be a cursor of a list of deliveries.
    pub fn is_delivery_cursor(text: &str) -> bool {
        Self::is_cursor(text) && text.contains('#')
    }
}

/// The id of the delivery in a position; of an event that was attempted in time, the event's.
pub(crate) fn id_in(position: &str) -> Option<DeliveryId> {
    let (_, id) = position.split_once('#')?;
    Some(DeliveryId::new(id))
}

impl Listing<'_> {
    /// The next first attempts, newest first: about `count`; none if there are no more, or no more are looked for.
    async fn heads(&mut self, count: usize) -> Result<Vec<Head>, StoreError> {
        let mut heads = Vec::new();
        while heads.len() < count && self.walk.walked < MOST_WALKED {
            let Some(found) = self.walk.next().await? else {
                if let Some(first) = self.version.take()
                    && !self.begins_before(&first).await?
                {
                    heads.push(first);
                }
                heads.append(&mut self.held);
                break;
            };
            self.last = Some(found.position.clone());
            self.take(found, &mut heads)?;
        }
        Ok(heads)
    }

    /// Sorts an attempt in, and adds the first attempts that are certain now.
    fn take(&mut self, found: Found, heads: &mut Vec<Head>) -> Result<(), StoreError> {
        let Found {
            position,
            range,
            shard,
            item,
        } = found;
        let marks = (range == Range::First).then(|| Marks::of(&item));
        let Some(attempt) = record(self.subscription, range, shard, item)? else {
            return Ok(());
        };
        let head = Head {
            position,
            shard,
            marks,
            attempt,
            truncated: false,
        };
        if head.attempt.version.is_some() {
            if self.shown_before.as_ref() == Some(&head.attempt.delivery_id) {
                return Ok(());
            }
            match self.version.replace(head) {
                Some(same) if self.is_walked_through(&same.attempt.delivery_id) => {
                    self.keep(same.attempt);
                }
                Some(first) => heads.push(first),
                None => {}
            }
            // Those that were held are before what was replaced, and after what is there now.
            heads.append(&mut self.held);
        } else if marks.is_some() || (head.attempt.failures == 0 && !head.attempt.resend) {
            if self.version.is_some() {
                self.held.push(head);
            } else {
                heads.push(head);
            }
        } else {
            self.keep(head.attempt);
        }
        Ok(())
    }

    /// Whether a version, whose earliest attempt in the walk this is, was attempted before the walk ends: its place is there.
    async fn begins_before(&self, head: &Head) -> Result<bool, StoreError> {
        let prefix = Range::Other.prefix();
        let partition = head
            .shard
            .partition(self.subscription.subscription_id.as_str());
        let (from, to) = (
            format!("{prefix}{}", self.kept_since),
            format!("{prefix}{}", self.start),
        );
        if from >= to {
            return Ok(false);
        }
        let answer = self
            .attempts
            .range(partition, from, to)
            .scan_index_forward(false)
            .limit(BEFORE_DOCUMENT)
            .send()
            .await?;
        for item in answer.items.unwrap_or_default() {
            let attempt = record(self.subscription, Range::Other, head.shard, item)?;
            if let Some(before) = attempt.filter(|it| it.version.is_some()) {
                return Ok(before.delivery_id == head.attempt.delivery_id);
            }
        }
        Ok(false)
    }

    fn is_walked_through(&self, id: &DeliveryId) -> bool {
        let version = self.version.as_ref();
        version.is_some_and(|head| head.attempt.delivery_id == *id)
    }

    /// Keeps an attempt until the first one of its delivery is found.
    fn keep(&mut self, attempt: AttemptRecord) {
        let id = attempt.delivery_id.clone();
        self.later.entry(id).or_default().push(attempt);
    }

    /// Those that are first attempts: not the others in items of their own, of deliveries that have an item `a#`, or
    /// that are on the page already.
    async fn without_copies(
        &mut self,
        heads: Vec<Head>,
        page: &mut DeliveryPage,
    ) -> Result<Vec<Head>, StoreError> {
        let id = &self.subscription.subscription_id;
        let late = heads.iter().filter(|head| head.marks.is_none());
        let keys: Vec<DeliveryKey> = late
            .filter_map(|head| {
                let key = DeliveryKey::of_id(&head.attempt.delivery_id, id)?;
                (!key.is_test()).then_some(DeliveryKey {
                    shard: head.shard,
                    ..key
                })
            })
            .collect();
        let known = self.attempts.marks_of(&keys).await?;
        let mut first: Vec<Head> = Vec::with_capacity(heads.len());
        for mut head in heads {
            let id = &head.attempt.delivery_id;
            let marks = known.get(id).copied().unwrap_or_default();
            if head.marks.is_some() || head.attempt.version.is_some() {
                first.push(head);
            } else if marks.attempted {
                self.keep(head.attempt);
            } else if let Some(same) = page.deliveries.iter_mut().find(|it| it.id == *id) {
                same.attempts.push(head.attempt);
            } else if first.iter().any(|it| it.attempt.delivery_id == *id) {
                // The walk is newest first: this is an earlier one of the same delivery.
                self.keep(head.attempt);
            } else if !self.is_first_ahead(&head).await? {
                head.marks = known.get(id).map(|_| marks);
                first.push(head);
            }
        }
        Ok(first)
    }

    /// Whether a first attempt of the same delivery, in an item of its own, is after the page.
    async fn is_first_ahead(&mut self, head: &Head) -> Result<bool, StoreError> {
        let Some(ahead) = &mut self.ahead else {
            return Ok(false);
        };
        let id = &head.attempt.delivery_id;
        let attempts = ahead.attempts(head.shard, id).await?;
        let mut attempts = attempts.iter();
        Ok(attempts.any(|attempt| attempt.failures == 0 && !attempt.resend))
    }

    /// The delivery with this first attempt, and those after it.
    async fn delivery(&mut self, head: Head) -> Result<Option<DeliveryRecord>, StoreError> {
        let id = &head.attempt.delivery_id;
        let mut attempts = self.later.remove(id).unwrap_or_default();
        let marks = head.marks.unwrap_or_default();
        let mut truncated = head.truncated;
        let is_alone = marks.attempted && !marks.resent && head.attempt.has_arrived();
        if let Some(ahead) = self.ahead.as_mut().filter(|_| !is_alone) {
            attempts.extend(ahead.attempts(head.shard, id).await?);
            // A document's attempts follow each other.
            truncated |= match head.attempt.version {
                Some(_) => ahead.may_end_within(head.shard, id),
                None => ahead.may_be_more(head.shard),
            };
        }
        attempts.push(head.attempt);
        Ok(DeliveryRecord::of(
            self.subscription,
            head.shard,
            marks,
            attempts,
            truncated,
            head.position,
        ))
    }
}

impl Attempts {
    /// What the items `a#` of deliveries say, by the ids of these; of those that have one.
    pub(crate) async fn marks_of(
        &self,
        deliveries: &[DeliveryKey],
    ) -> Result<HashMap<DeliveryId, Marks>, StoreError> {
        let mut found = HashMap::new();
        for some in deliveries.chunks(KEYS) {
            let mut ids: HashMap<(String, String), DeliveryId> = HashMap::new();
            for key in some {
                ids.insert((key.partition(), key.record_key()), key.id());
            }
            let items = ids.keys().cloned();
            let items = items.map(|(partition, record)| item_key(partition, record));
            let wanted = keys_eventually(items.collect())?;
            let wanted = HashMap::from([(self.table.clone(), wanted)]);
            for (_, item) in batch_get(&self.db, wanted).await? {
                let text = |name: &str| item.get(name)?.as_s().ok().cloned();
                let key = text("subscription_id").zip(text("exchange_id"));
                if let Some(id) = key.and_then(|key| ids.get(&key)) {
                    found.insert(id.clone(), Marks::of(&item));
                }
            }
        }
        Ok(found)
    }
}
