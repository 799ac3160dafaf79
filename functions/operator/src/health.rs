//! `health`: what waits, what has gone off, and which endpoints don't work.

use askama::Template;
use bellwire_web::api::Api;
use bellwire_web::{Answer, Call, Shell, Visit, When, figures, page};

use crate::model::{FailingEndpoint, Items};
use crate::stack::{Alarm, QueueState, Stack};
use crate::{HEALTH, done, must_be_operator};

/// How many endpoints are shown.
const MOST: &str = "100";

#[derive(Template)]
#[template(path = "health.html")]
struct HealthPage {
    shell: Shell,
    alarms: Vec<Alarm>,
    gone_off: usize,
    working: Vec<(QueueState, String)>,
    dead: Vec<QueueState>,
    dead_count: u64,
    endpoints: Vec<Endpoint>,
    more: bool,
}

struct Endpoint {
    endpoint: FailingEndpoint,
    since: Option<When>,
}

/// The page.
pub async fn show<A: Api>(visit: &Visit<'_, A>, stack: &Stack) -> Answer {
    must_be_operator(visit).await?;
    let failing = Call::get("/v1/failing-endpoints").query("pageSize", MOST);
    let (alarms, working, dead, failing) = tokio::join!(
        stack.alarms(),
        stack.working(),
        stack.dead(),
        visit.read::<Items<FailingEndpoint>>(failing),
    );
    let (alarms, dead, failing) = (alarms?, dead?, failing?);
    let working = working?.into_iter().map(|queue| {
        let oldest = figures::duration(queue.oldest.map(|seconds| seconds * 1000));
        (queue, oldest)
    });
    page(&HealthPage {
        shell: visit.shell("Health").under(HEALTH).with(done(visit)),
        gone_off: alarms.iter().filter(|it| it.gone_off).count(),
        alarms,
        working: working.collect(),
        dead_count: dead.iter().map(|it| it.visible + it.in_flight).sum(),
        dead,
        more: failing.links.next.is_some(),
        endpoints: failing
            .items
            .into_iter()
            .map(|endpoint| Endpoint {
                since: endpoint
                    .failing_since
                    .or(endpoint.disabled_at)
                    .map(|at| visit.when(at)),
                endpoint,
            })
            .collect(),
    })
}
