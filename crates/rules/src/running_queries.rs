//! What a client has going on at once: queries, and requests that wait for a result.
//!
//! A query has its place from before it is started until somebody finds that it has ended, which is looked
//! up when all places are taken. A place ends by itself when whoever took it must have died.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use crate::ExecutionId;

/// How long a query may take to be started: longer than the function runs.
const STARTING: Duration = Duration::minutes(1);
/// How long a query may run: longer than Athena lets one run, be its quota raised.
/// <https://docs.aws.amazon.com/athena/latest/ug/service-limits.html>
const RUNNING: Duration = Duration::hours(24);
/// How long a request may wait: longer than API Gateway lets it.
const WAITING: Duration = Duration::seconds(30);

/// How much a client may have going on at once.
#[derive(Clone, Copy, Debug)]
pub struct Concurrency {
    /// Queries.
    pub queries: usize,
    /// Requests that wait for a result.
    pub waiting: usize,
}

/// What a client has going on. Times are in seconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningQueries {
    /// By the token that Athena knows the request by.
    queries: BTreeMap<String, Running>,
    /// Until when they wait at most, by a random id.
    waiting: BTreeMap<String, i64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Running {
    /// Missing until Athena has said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    execution_id: Option<ExecutionId>,
    until: i64,
}

/// A request to run a query.
#[derive(Clone, Debug)]
pub struct Request {
    /// The token that Athena knows it by.
    pub token: String,
    /// A random id, if it waits for the result.
    pub waits_as: Option<String>,
}

/// Which limit is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// Of queries; some may have ended.
    Queries,
    /// Of requests that wait.
    Waiting,
}

impl RunningQueries {
    /// With places for a request. One that is repeated has the place that it had.
    ///
    /// # Errors
    /// When there is none.
    pub fn taken(
        &self,
        request: &Request,
        limits: Concurrency,
        now: OffsetDateTime,
    ) -> Result<Self, Full> {
        let mut next = self.clone();
        let seconds = now.unix_timestamp();
        next.queries.retain(|_, running| running.until > seconds);
        next.waiting.retain(|_, until| *until > seconds);
        if !next.queries.contains_key(&request.token) {
            if next.queries.len() >= limits.queries {
                return Err(Full::Queries);
            }
            let running = Running {
                execution_id: None,
                until: (now + STARTING).unix_timestamp(),
            };
            next.queries.insert(request.token.clone(), running);
        }
        if let Some(id) = &request.waits_as {
            if next.waiting.len() >= limits.waiting {
                return Err(Full::Waiting);
            }
            let until = (now + WAITING).unix_timestamp();
            next.waiting.insert(id.clone(), until);
        }
        Ok(next)
    }

    /// With the execution that a request has come to.
    pub fn started(&self, token: &str, id: ExecutionId, now: OffsetDateTime) -> Self {
        let mut next = self.clone();
        let running = Running {
            execution_id: Some(id),
            until: (now + RUNNING).unix_timestamp(),
        };
        next.queries.insert(token.to_owned(), running);
        next
    }

    /// Without the place of a request that came to nothing, and without its waiting.
    pub fn given_up(&self, request: &Request) -> Self {
        let mut next = self.waited(request);
        next.queries.remove(&request.token);
        next
    }

    /// Without the waiting of a request that is answered.
    pub fn waited(&self, request: &Request) -> Self {
        let mut next = self.clone();
        if let Some(id) = &request.waits_as {
            next.waiting.remove(id);
        }
        next
    }

    /// The executions that have places.
    pub fn executions(&self) -> impl Iterator<Item = &ExecutionId> {
        self.queries
            .values()
            .filter_map(|running| running.execution_id.as_ref())
    }

    /// Without executions that have ended.
    pub fn without(&self, ended: &[ExecutionId]) -> Self {
        let mut next = self.clone();
        next.queries.retain(|_, running| {
            !running
                .execution_id
                .as_ref()
                .is_some_and(|id| ended.contains(id))
        });
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;
    const LIMITS: Concurrency = Concurrency {
        queries: 2,
        waiting: 1,
    };

    fn request(token: &str, waits_as: Option<&str>) -> Request {
        Request {
            token: token.to_owned(),
            waits_as: waits_as.map(str::to_owned),
        }
    }

    fn id(n: u8) -> ExecutionId {
        ExecutionId::parse(&format!("00000000-0000-0000-0000-0000000000{n:02}")).unwrap()
    }

    #[test]
    fn a_query_has_its_place_until_it_is_found_to_have_ended() {
        let nothing = RunningQueries::default();
        let one = nothing.taken(&request("a", None), LIMITS, NOW).unwrap();
        let one = one.started("a", id(1), NOW);
        let two = one.taken(&request("b", None), LIMITS, NOW).unwrap();
        let two = two.started("b", id(2), NOW);
        let hours_later = NOW + Duration::hours(5);
        let full = two.taken(&request("c", None), LIMITS, hours_later);
        assert_eq!(full, Err(Full::Queries));
        assert_eq!(two.executions().collect::<Vec<_>>(), [&id(1), &id(2)]);
        let room = two.without(&[id(1), id(9)]);
        assert!(room.taken(&request("c", None), LIMITS, NOW).is_ok());
        // However many there are, the same request is the same query.
        assert_eq!(two.taken(&request("a", None), LIMITS, NOW), Ok(two.clone()));
        let given_up = two.given_up(&request("b", None));
        assert_eq!(given_up, one);
    }

    #[test]
    fn whoever_died_has_no_place() {
        let mut state = RunningQueries::default();
        for token in ["a", "b"] {
            let request = request(token, (token == "a").then_some("w"));
            state = state.taken(&request, LIMITS, NOW).unwrap();
        }
        let another = request("c", Some("x"));
        let soon = NOW + Duration::seconds(59);
        assert_eq!(state.taken(&another, LIMITS, soon), Err(Full::Queries));
        let later = NOW + Duration::seconds(60);
        let state = state.taken(&another, LIMITS, later).unwrap();
        assert_eq!((state.queries.len(), state.waiting.len()), (1, 1));
        let forgotten = state.started("c", id(3), NOW);
        let next_day = NOW + Duration::hours(24);
        let next = forgotten.taken(&request("d", None), LIMITS, next_day);
        assert_eq!(next.unwrap().executions().count(), 0);
    }

    #[test]
    fn requests_wait_up_to_a_limit_even_for_the_same_query() {
        let first = request("a", Some("w1"));
        let state = RunningQueries::default()
            .taken(&first, LIMITS, NOW)
            .unwrap();
        let second = request("a", Some("w2"));
        assert_eq!(state.taken(&second, LIMITS, NOW), Err(Full::Waiting));
        let answered = state.waited(&first);
        assert!(answered.taken(&second, LIMITS, NOW).is_ok());
        let cut_off = NOW + WAITING;
        assert!(state.taken(&second, LIMITS, cut_off).is_ok());
    }
}
