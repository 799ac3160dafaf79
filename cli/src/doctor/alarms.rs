//! Which alarms have gone off, and whether somebody is notified.

use anyhow::Context;
use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::types::StateValue;

use super::{Examined, Finding};

/// How many alarms one call reads.
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarms.html>
const MOST: usize = 100;

/// What CloudWatch says of an alarm.
#[derive(Clone, Debug)]
struct Alarm {
    name: String,
    description: String,
    gone_off: bool,
    notifies: bool,
}

pub async fn check(examined: &Examined, found: &mut Vec<Finding>) -> anyhow::Result<()> {
    let cloudwatch = Client::new(&examined.config);
    let names = examined.of_kind("AWS::CloudWatch::Alarm");
    let names: Vec<String> = names.map(|it| it.physical_id.clone()).collect();
    let mut alarms = Vec::new();
    for names in names.chunks(MOST) {
        alarms.extend(read(&cloudwatch, names).await?);
    }
    found.extend(findings(&names, &alarms));
    Ok(())
}

async fn read(cloudwatch: &Client, names: &[String]) -> anyhow::Result<Vec<Alarm>> {
    let request = cloudwatch.describe_alarms();
    let request = request.set_alarm_names(Some(names.to_vec()));
    let answer = request.max_records(MOST as i32).send().await;
    let answer = answer.context("the alarms could not be read")?;
    let alarms = answer.metric_alarms.unwrap_or_default().into_iter();
    let alarms = alarms.map(|alarm| Alarm {
        gone_off: alarm.state_value == Some(StateValue::Alarm),
        notifies: alarm.actions_enabled.unwrap_or(true) && !alarm.alarm_actions().is_empty(),
        name: alarm.alarm_name.unwrap_or_default(),
        description: alarm.alarm_description.unwrap_or_default(),
    });
    Ok(alarms.collect())
}

fn findings(names: &[String], alarms: &[Alarm]) -> Vec<Finding> {
    let gone_off = alarms.iter().filter(|alarm| alarm.gone_off);
    let mut found: Vec<Finding> = gone_off
        .map(|alarm| Finding::problem(&alarm.name, &alarm.description))
        .collect();
    let is_there = |name: &String| alarms.iter().any(|alarm| alarm.name == *name);
    let missing = names.iter().filter(|name| !is_there(name));
    found.extend(missing.map(|name| Finding::problem(name, "the alarm is not there any more")));
    let quiet = alarms.iter().filter(|alarm| !alarm.gone_off).count();
    found.push(Finding::ok(
        "alarms",
        format!("{quiet} of {} are quiet", names.len()),
    ));
    let silent = alarms.iter().filter(|alarm| !alarm.notifies).count();
    if silent > 0 {
        let message = format!(
            "{silent} notify nobody: give the stack an SNS topic with the parameter AlarmTopicArn"
        );
        found.push(Finding::warning("alarms", message));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::Health;
    use super::*;

    #[test]
    fn an_alarm_that_has_gone_off_or_is_missing_is_a_problem() {
        let alarm = |name: &str, gone_off, notifies| Alarm {
            name: name.to_owned(),
            description: "Deliveries did not arrive.".to_owned(),
            gone_off,
            notifies,
        };
        let names = ["a", "b", "c"].map(str::to_owned);
        let found = findings(&names, &[alarm("a", true, true), alarm("b", false, false)]);
        let found: Vec<_> = found
            .iter()
            .map(|it| (it.health, it.what.as_str(), it.message.as_str()))
            .collect();
        assert_eq!(
            found[0],
            (Health::Problem, "a", "Deliveries did not arrive.")
        );
        assert_eq!(found[1].0, Health::Problem);
        assert_eq!(found[1].1, "c");
        assert_eq!(found[2], (Health::Ok, "alarms", "1 of 3 are quiet"));
        assert_eq!((found[3].0, found.len()), (Health::Warning, 4));
    }
}
