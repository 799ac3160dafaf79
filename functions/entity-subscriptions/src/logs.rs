//! `GET /webhook_callback_logs`: the attempts of the deliveries of one entity's subscriptions, or of one subscription.

use bellwire_api::{Caller, Failure, envelope};
use bellwire_domain::cursor;
use bellwire_domain::entity::{CallbackKey, EntityKey, Spelling};
use bellwire_domain::timestamp::millis;
use bellwire_store::attempt_record::AttemptRecord;
use bellwire_store::{Attempts, Subscription};
use lambda_http::http::Response;
use lambda_http::{Body, Request, RequestExt};
use serde::Serialize;
use serde_json::json;
use time::{Duration, OffsetDateTime};

use crate::EntitySubscriptionsFunction;
use crate::list::entity_key;
use crate::log_line;
use crate::page::PageRequest;

/// The parameters of which a request has exactly one.
const OF: [&str; 3] = ["entity_key", "subscription_key", "webhook_key"];

/// One attempt. Dates are in milliseconds since 1970.
#[derive(Serialize)]
struct Entry<'a> {
    /// The id of the delivery, `-`, and the number of the attempt, from 1; of one that the owner asked for, `-` and the
    /// time of the request in microseconds as well, since two can be asked for at once.
    key: String,
    entity_key: Option<&'a EntityKey>,
    callback_event: String,
    /// What was sent and what came back, in one line.
    log: String,
    /// The protocol has this field, and defines no more than that it is null.
    subscriber_key: Option<&'a str>,
    #[serde(flatten)]
    subscription: CallbackKey<'a>,
    /// When the request was sent.
    date_created: i64,
    /// When its result was known.
    date_updated: i64,
}

impl EntitySubscriptionsFunction {
    /// A page of the log of all of a client's subscriptions to an entity, or of one subscription, newest first.
    ///
    /// # Errors
    /// 400 when `cursor`, `limit` or a key is malformed, or there is not exactly one key; 404 when the client has no
    /// subscription with this key; 500 when a table fails.
    pub(crate) async fn logs(
        &self,
        client: &Caller,
        spelling: Spelling,
        request: &Request,
    ) -> Result<Response<Body>, Failure> {
        let page = PageRequest::of(request, Attempts::is_cursor)?;
        let limit = usize::try_from(page.limit).unwrap_or(0);
        let subscriptions = self.logged(client, request).await?;
        let now = OffsetDateTime::now_utc();
        let page = self
            .attempts
            .newest_of(&subscriptions, page.after, limit, now, |of, attempt| {
                Entry::of(spelling, of, &attempt)
            })
            .await?;
        let next_cursor = page.next_cursor.as_deref().map(cursor::encode);
        let data = json!({ "webhook_callback_logs": page.entries });
        envelope::page(request, &data, next_cursor.as_deref())
    }

    /// The subscriptions whose log is requested; none if the client doesn't follow the entity.
    async fn logged(
        &self,
        client: &Caller,
        request: &Request,
    ) -> Result<Vec<Subscription>, Failure> {
        let parameters = request.query_string_parameters();
        let given: Vec<(&str, &str)> = OF
            .into_iter()
            .filter_map(|name| Some((name, parameters.first(name)?)))
            .collect();
        let one = format!("exactly one of {} must be given", OF.join(", "));
        match given.as_slice() {
            [("entity_key", _)] => match entity_key(request)? {
                Some(key) => self.to_entity(client, &key).await,
                None => Ok(Vec::new()),
            },
            [(name, "")] => Err(Failure::field(*name, "must not be empty")),
            [(_, key)] => {
                tracing::Span::current().record("subscription", key);
                Ok(vec![self.own(client, key).await?])
            }
            [_, (name, _), ..] => Err(Failure::field(*name, one)),
            [] => Err(Failure::field("entity_key", one)),
        }
    }
}

impl<'a> Entry<'a> {
    fn of(spelling: Spelling, subscription: &'a Subscription, attempt: &AttemptRecord) -> Self {
        let (id, number) = (&attempt.delivery_id, attempt.failures + 1);
        let took = Duration::milliseconds(attempt.duration_ms.into());
        Self {
            key: if attempt.resend {
                let micros = attempt.sent_at.unix_timestamp_nanos() / 1000;
                format!("{id}-{number}-{micros}")
            } else {
                format!("{id}-{number}")
            },
            entity_key: subscription.entity(),
            callback_event: attempt.event_type.clone(),
            log: log_line::of(attempt),
            subscriber_key: None,
            subscription: CallbackKey::new(spelling, &subscription.subscription_id),
            date_created: millis(attempt.sent_at),
            date_updated: millis(attempt.sent_at + took),
        }
    }
}
