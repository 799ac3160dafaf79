//! What a client has in progress at once: queries, and requests that wait for a result.
//!
//! A query has a slot from before it is started until it is found to have ended, which is checked
//! when all slots are taken. A slot expires when whoever took it must have died.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use crate::ExecutionId;

/// How long a query may take to be started: longer than the function runs.
const STARTING: Duration = Duration::minutes(1);
/// How long a query may run: longer than Athena allows, even with a raised quota.
/// <https://docs.aws.amazon.com/athena/latest/ug/service-limits.html>
const RUNNING: Duration = Duration::hours(24);
/// How long a request may wait: longer than API Gateway allows.
const WAITING: Duration = Duration::seconds(30);

/// How much a client may have in progress at once.
#[derive(Clone, Copy, Debug)]
pub struct Concurrency {
    /// The most queries that run or are being started.
    pub queries: usize,
    /// The most requests that wait for a result.
    pub waiting: usize,
}

/// What a client has in progress. Times are in seconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningQueries {
    /// Queries, by the request token that Athena recognises them by.
    queries: BTreeMap<String, Running>,
    /// Requests that wait, by a random id: until when they wait at most.
    waiting: BTreeMap<String, i64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Running {
    /// Missing until Athena has answered with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    execution_id: Option<ExecutionId>,
    until: i64,
}

/// A request to run a query.
#[derive(Clone, Debug)]
pub struct Request {
    /// The request token that Athena recognises it by.
    pub token: String,
    /// A random id, if the request waits for the result; `None` if it doesn't.
    pub waits_as: Option<String>,
}

/// The limit that is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// The limit of queries; some of them may have ended.
    Queries,
    /// The limit of requests that wait.
    Waiting,
}

impl RunningQueries {
    /// With slots for a request. A repeated request keeps its query's slot.
    ///
    /// # Errors
    /// If a limit is reached.
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

    /// With the execution that was started for a request.
    pub fn started(&self, token: &str, id: ExecutionId, now: OffsetDateTime) -> Self {
        let mut next = self.clone();
        let running = Running {
            execution_id: Some(id),
            until: (now + RUNNING).unix_timestamp(),
        };
        next.queries.insert(token.to_owned(), running);
        next
    }

    /// Without the slot of a request that failed to start its query, and without that of its
    /// waiting.
    pub fn given_up(&self, request: &Request) -> Self {
        let mut next = self.waited(request);
        next.queries.remove(&request.token);
        next
    }

    /// Without the slot of a request that waited and is answered.
    pub fn waited(&self, request: &Request) -> Self {
        let mut next = self.clone();
        if let Some(id) = &request.waits_as {
            next.waiting.remove(id);
        }
        next
    }

    /// The executions that have slots.
    pub fn executions(&self) -> impl Iterator<Item = &ExecutionId> {
        self.queries
            .values()
            .filter_map(|running| running.execution_id.as_ref())
    }

    /// Without the slots of executions that have ended.
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
        // A repeated request is the same query, and needs no other slot.
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
