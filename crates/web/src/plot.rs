//! Plots of hourly counts, as SVG, and the same numbers as a table.

use askama::Template;
use bellwire_domain::timestamp::iso_serde;
use serde::Deserialize;
use time::macros::format_description;
use time::{Duration, OffsetDateTime};

use crate::figures;
use crate::period::Period;

/// The width of a plot, in units of its own.
const WIDTH: f64 = 720.0;
/// The height of the part that has bars and lines.
const HEIGHT: f64 = 140.0;
/// What is left of it for the numbers of the axis.
const LEFT: f64 = 48.0;
/// What is above it.
const TOP: f64 = 10.0;

/// The counts of an hour, as the API has them.
#[derive(Clone, Debug, Deserialize)]
pub struct HourCounts {
    /// The beginning of the hour.
    #[serde(with = "iso_serde")]
    pub hour: OffsetDateTime,
    /// How many deliveries arrived.
    pub delivered: u64,
    /// How many attempts failed.
    pub failed: u64,
    /// How long answered attempts took.
    pub latency: Latency,
}

/// How long answered attempts took, in milliseconds: half of them at most `p50`, and 99 of 100 at most `p99`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Latency {
    /// The median.
    pub p50: Option<u32>,
    /// The 99th percentile.
    pub p99: Option<u32>,
}

/// The two plots of a stretch of time.
#[derive(Clone, Debug, Template)]
#[template(path = "plots.html")]
pub struct Plots {
    bars: Vec<Bar>,
    most: Vec<Tick>,
    median: String,
    slowest: String,
    slow: Vec<Tick>,
    days: Vec<Tick>,
    rows: Vec<Row>,
    /// The length of the time: `24 hours`.
    length: &'static str,
    delivered: String,
    failed: String,
    is_empty: bool,
}

/// An hour.
#[derive(Clone, Debug)]
struct Bar {
    x: String,
    width: String,
    delivered: (String, String),
    failed: (String, String),
    title: String,
}

/// A number on an axis.
#[derive(Clone, Debug)]
struct Tick {
    at: String,
    text: String,
}

/// A row of the table.
#[derive(Clone, Debug)]
struct Row {
    hour: String,
    delivered: String,
    failed: String,
    p50: String,
    p99: String,
}

impl Plots {
    /// The plots of the period that ends now. Hours that aren't among `counted` had no attempts.
    pub fn new(counted: &[HourCounts], period: Period, now: OffsetDateTime) -> Self {
        let start = period.start(now);
        let hours: Vec<Hour> = (0..period.hours())
            .map(|index| {
                let hour = start + Duration::hours(index);
                let found = counted.iter().find(|it| it.hour == hour);
                Hour::new(hour, found)
            })
            .collect();
        let most = hours
            .iter()
            .map(|it| it.delivered + it.failed)
            .max()
            .unwrap_or_default();
        let slow = hours
            .iter()
            .filter_map(|it| it.latency.p99)
            .max()
            .unwrap_or_default();
        let (most, slow) = (top_of(most), top_of(u64::from(slow)));
        let step = (WIDTH - LEFT) / hours.len() as f64;
        let x = |index: usize| LEFT + step * index as f64;
        let bars = hours
            .iter()
            .enumerate()
            .filter(|(_, hour)| !hour.is_empty());
        let bars = bars
            .map(|(index, hour)| hour.bar(x(index), step, most))
            .collect();
        let line = |of: fn(&Latency) -> Option<u32>| line(&hours, x, step, slow, of);
        let all = |of: fn(&Hour) -> u64| figures::count(hours.iter().map(of).sum());
        Self {
            bars,
            most: ticks(most, figures::count),
            median: line(|it| it.p50),
            slowest: line(|it| it.p99),
            slow: ticks(slow, |number| figures::duration(Some(number))),
            days: days(&hours, x, period),
            rows: hours
                .iter()
                .rev()
                .filter(|it| !it.is_empty())
                .map(Hour::row)
                .collect(),
            length: period.words(),
            delivered: all(|it| it.delivered),
            failed: all(|it| it.failed),
            is_empty: hours.iter().all(Hour::is_empty),
        }
    }
}

/// An hour that is shown.
#[derive(Clone, Copy, Debug)]
struct Hour {
    hour: OffsetDateTime,
    delivered: u64,
    failed: u64,
    latency: Latency,
}

impl Hour {
    fn new(hour: OffsetDateTime, counted: Option<&HourCounts>) -> Self {
        Self {
            hour,
            delivered: counted.map_or(0, |it| it.delivered),
            failed: counted.map_or(0, |it| it.failed),
            latency: counted.map(|it| it.latency).unwrap_or_default(),
        }
    }

    fn is_empty(&self) -> bool {
        self.delivered + self.failed == 0
    }

    fn name(&self) -> String {
        let format = format_description!("[day padding:none] [month repr:short], [hour]:00 UTC");
        self.hour.format(format).unwrap_or_default()
    }

    fn bar(&self, x: f64, step: f64, most: u64) -> Bar {
        let scale = |number: u64| HEIGHT * number as f64 / most as f64;
        let (delivered, failed) = (scale(self.delivered), scale(self.failed));
        let at = |above: f64| number(TOP + HEIGHT - above);
        Bar {
            x: number(x + step * 0.1),
            width: number(step * 0.8),
            delivered: (at(delivered), number(delivered)),
            failed: (at(delivered + failed), number(failed)),
            title: format!(
                "{}: {} delivered, {} failed",
                self.name(),
                figures::count(self.delivered),
                figures::count(self.failed)
            ),
        }
    }

    fn row(&self) -> Row {
        Row {
            hour: self.name(),
            delivered: figures::count(self.delivered),
            failed: figures::count(self.failed),
            p50: figures::duration(self.latency.p50.map(u64::from)),
            p99: figures::duration(self.latency.p99.map(u64::from)),
        }
    }
}

/// A round number that is at least this one.
fn top_of(most: u64) -> u64 {
    let mut power: u64 = 1;
    loop {
        for digit in [1, 2, 5] {
            let top = power.saturating_mul(digit);
            if top >= most {
                return top.max(2);
            }
        }
        power = power.saturating_mul(10);
    }
}

/// The numbers of a vertical axis: nothing, half and all.
fn ticks(top: u64, text: impl Fn(u64) -> String) -> Vec<Tick> {
    let tick = |number: u64| Tick {
        at: self::number(TOP + HEIGHT * (1.0 - number as f64 / top as f64)),
        text: text(number),
    };
    vec![tick(0), tick(top / 2), tick(top)]
}

/// The texts of the horizontal axis: every sixth hour, or each day.
fn days(hours: &[Hour], x: impl Fn(usize) -> f64, period: Period) -> Vec<Tick> {
    let every = match period {
        Period::Day => 6,
        Period::Week => 24,
    };
    let marked = hours
        .iter()
        .enumerate()
        .filter(|(_, it)| it.hour.hour() % every == 0);
    let text = |hour: &Hour| {
        let format = match period {
            Period::Day => format_description!("[hour]:00"),
            Period::Week => format_description!("[day padding:none] [month repr:short]"),
        };
        hour.hour.format(format).unwrap_or_default()
    };
    marked
        .map(|(index, hour)| Tick {
            at: number(x(index)),
            text: text(hour),
        })
        .collect()
}

/// A line through the hours that have a value, as the attribute `d` of a path; those without one interrupt it.
fn line(
    hours: &[Hour],
    x: impl Fn(usize) -> f64,
    step: f64,
    top: u64,
    of: fn(&Latency) -> Option<u32>,
) -> String {
    let mut path = String::new();
    let mut drawing = false;
    for (index, hour) in hours.iter().enumerate() {
        let Some(value) = of(&hour.latency) else {
            drawing = false;
            continue;
        };
        let y = number(TOP + HEIGHT * (1.0 - f64::from(value) / top as f64));
        // A lone hour is a dash.
        let (left, right) = (number(x(index) + step * 0.2), number(x(index) + step * 0.8));
        let command = if drawing { 'L' } else { 'M' };
        path.push_str(&format!("{command}{left} {y}L{right} {y}"));
        drawing = true;
    }
    path
}

/// A number of units, as short as it can be seen.
fn number(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-29 12:34:56.789 UTC);

    fn hour(hour: OffsetDateTime, delivered: u64, failed: u64, p99: Option<u32>) -> HourCounts {
        let latency = Latency { p50: p99, p99 };
        HourCounts {
            hour,
            delivered,
            failed,
            latency,
        }
    }

    #[test]
    fn each_hour_has_its_place_and_its_numbers() {
        let counted = [
            hour(datetime!(2026-11-28 13:00 UTC), 10, 0, Some(20)),
            hour(datetime!(2026-11-29 12:00 UTC), 5, 15, None),
        ];
        let plots = Plots::new(&counted, Period::Day, NOW);
        assert_eq!(plots.bars.len(), 2);
        let heights: Vec<_> = plots
            .bars
            .iter()
            .map(|it| (it.delivered.1.as_str(), it.failed.1.as_str()))
            .collect();
        assert_eq!(heights, [("70", "0"), ("35", "105")]);
        let rows: Vec<_> = plots
            .rows
            .iter()
            .map(|it| (it.hour.as_str(), it.failed.as_str(), it.p99.as_str()))
            .collect();
        assert_eq!(
            rows,
            [
                ("29 Nov, 12:00 UTC", "15", "–"),
                ("28 Nov, 13:00 UTC", "0", "20 ms")
            ]
        );
        assert_eq!(
            (plots.delivered.as_str(), plots.failed.as_str()),
            ("15", "15")
        );
        assert_eq!(
            plots
                .days
                .iter()
                .map(|it| it.text.as_str())
                .collect::<Vec<_>>(),
            ["18:00", "00:00", "06:00", "12:00"]
        );
        let week = Plots::new(&counted, Period::Week, NOW);
        assert_eq!(week.days.len(), 7);
    }

    #[test]
    fn without_attempts_it_says_so() {
        let shown = Plots::new(&[], Period::Day, NOW).render().unwrap();
        assert!(shown.contains("Nothing was sent in the last 24 hours."));
        assert!(!shown.contains("<svg"));
    }

    #[test]
    fn an_axis_ends_at_a_round_number() {
        for (most, top) in [
            (0, 2),
            (1, 2),
            (3, 5),
            (10, 10),
            (11, 20),
            (51, 100),
            (999, 1000),
        ] {
            assert_eq!(top_of(most), top);
        }
        assert_eq!(top_of(u64::MAX), u64::MAX);
    }
}
