//! `overview`: all endpoints, and how deliveries to them went.

use askama::Template;
use bellwire_web::api::Api;
use bellwire_web::period::Period;
use bellwire_web::{Answer, Call, Shell, Visit, When, figures, page};

use crate::endpoints::{self, Endpoint};
use crate::model::Stats;
use crate::summary::{self, Summary};
use crate::{OVERVIEW, done};

#[derive(Template)]
#[template(path = "overview.html")]
struct OverviewPage {
    shell: Shell,
    delivered: String,
    retried: String,
    summary: Summary,
    rows: Vec<Row>,
    /// Whether there are more endpoints than are shown.
    more: bool,
}

/// An endpoint with its counts.
struct Row {
    endpoint: Endpoint,
    rate: String,
    median: String,
    slowest: String,
    last_failure: Option<When>,
}

/// The page.
pub async fn show<A: Api>(visit: &Visit<'_, A>) -> Answer {
    visit.token()?;
    let period = Period::of(visit.query().get("period"));
    let counts = summary::asked(Call::get("/v1/stats"), period, visit.now);
    let (stats, webhooks, entities, callbacks) = tokio::join!(
        visit.read::<Stats>(counts),
        endpoints::webhooks(visit),
        endpoints::entities(visit),
        endpoints::callbacks(visit),
    );
    let (stats, (entities, more_entities)) = (stats?, entities?);
    let (mut all, more) = webhooks?;
    all.extend(entities);
    all.extend(callbacks?);
    // What needs a hand first.
    all.sort_by(|a, b| (a.state, &a.url).cmp(&(b.state, &b.url)));
    let rows = all.into_iter().map(|endpoint| {
        let counted = stats.subscriptions.iter().find(|it| it.id == endpoint.id);
        let latency = counted.map(|it| it.latency).unwrap_or_default();
        Row {
            rate: counted.map_or_else(
                || "–".to_owned(),
                |it| figures::percent(it.delivered, it.delivered + it.failed),
            ),
            median: figures::duration(latency.p50.map(u64::from)),
            slowest: figures::duration(latency.p99.map(u64::from)),
            last_failure: counted
                .and_then(|it| it.last_failed_hour)
                .map(|at| visit.when(at)),
            endpoint,
        }
    });
    page(&OverviewPage {
        shell: visit.shell("Overview").under(OVERVIEW).with(done(visit)),
        delivered: figures::count(stats.delivered),
        retried: figures::count(stats.retried),
        summary: Summary::new(&stats, period, visit.now),
        rows: rows.collect(),
        more: more || more_entities,
    })
}
