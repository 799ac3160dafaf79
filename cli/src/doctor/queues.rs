//! What waits in queues, for how long, and dead letters.

use std::collections::HashMap;

use anyhow::Context;
use aws_sdk_cloudwatch::types::Statistic;
use aws_sdk_sqs::types::QueueAttributeName;

use super::usage::{Latest, Metric};
use super::{Examined, Finding, Health};

/// What SQS says of a queue.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html>
#[derive(Clone, Copy, Debug, Default)]
struct Waiting {
    visible: u64,
    in_flight: u64,
    delayed: u64,
}

pub async fn check(examined: &Examined, found: &mut Vec<Finding>) -> anyhow::Result<()> {
    let sqs = aws_sdk_sqs::Client::new(&examined.config);
    let dead: HashMap<String, &str> =
        bellwire_dead_letters::urls(|name| examined.deployed.output(name))?
            .into_iter()
            .map(|(name, url)| (url, name))
            .collect();
    let mut working = Vec::new();
    for queue in examined.of_kind("AWS::SQS::Queue") {
        let url = &queue.physical_id;
        let Some(waiting) = read(&sqs, url).await? else {
            found.push(Finding::problem(
                &queue.logical_id,
                "the queue is not there any more",
            ));
            continue;
        };
        match dead.get(url.as_str()) {
            Some(name) => found.push(dead_letters(name, waiting.visible + waiting.in_flight)),
            None => working.push((url.rsplit('/').next().unwrap_or(url), waiting)),
        }
    }
    let ages = ages(examined, working.iter().map(|(name, _)| *name)).await?;
    let working = working.iter().zip(ages);
    found.extend(working.map(|((name, waiting), age)| on_its_way(name, *waiting, age)));
    Ok(())
}

/// What is in a queue; `None` if there is no such queue.
async fn read(sqs: &aws_sdk_sqs::Client, url: &str) -> anyhow::Result<Option<Waiting>> {
    let names = [
        QueueAttributeName::ApproximateNumberOfMessages,
        QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        QueueAttributeName::ApproximateNumberOfMessagesDelayed,
    ];
    let request = sqs.get_queue_attributes().queue_url(url);
    let request = request.set_attribute_names(Some(names.to_vec()));
    let answer = match request.send().await {
        Ok(answer) => answer,
        Err(error) => {
            let missing = error.as_service_error();
            if missing.is_some_and(|it| it.is_queue_does_not_exist()) {
                return Ok(None);
            }
            return Err(error).with_context(|| format!("the queue {url} could not be read"));
        }
    };
    let attributes = answer.attributes.unwrap_or_default();
    let [visible, in_flight, delayed] = names.map(|name| {
        let number = attributes.get(&name).and_then(|text| text.parse().ok());
        number.unwrap_or(0)
    });
    Ok(Some(Waiting {
        visible,
        in_flight,
        delayed,
    }))
}

fn dead_letters(queue: &str, count: u64) -> Finding {
    let what = format!("dead letters: {queue}");
    match count {
        0 => Finding::ok(what, "none"),
        _ => Finding::problem(what, format!("{count}: see `bellwire dead-letters list`")),
    }
}

/// The age of each queue's oldest message, in seconds, where CloudWatch knows it: of a queue that is not used it doesn't.
async fn ages(
    examined: &Examined,
    names: impl Iterator<Item = &str>,
) -> anyhow::Result<Vec<Option<f64>>> {
    let metrics = names.map(|name| Metric {
        namespace: "AWS/SQS".to_owned(),
        name: "ApproximateAgeOfOldestMessage".to_owned(),
        dimensions: vec![("QueueName".to_owned(), name.to_owned())],
        statistic: Statistic::Maximum,
    });
    let metrics: Vec<Metric> = metrics.collect();
    let values = super::usage::read(&examined.config, &metrics, Latest::Quarter).await?;
    let latest = values.iter().map(|values| values.first().copied());
    Ok(latest.collect())
}

/// How a queue is that work is taken from. What waits for too long has an alarm.
fn on_its_way(name: &str, waiting: Waiting, age: Option<f64>) -> Finding {
    let Waiting {
        visible,
        in_flight,
        delayed,
    } = waiting;
    let oldest = match age {
        _ if visible == 0 => String::new(),
        Some(age) => format!(", the oldest for {age:.0} s"),
        None => ", for how long is not known".to_owned(),
    };
    let message = format!("{visible} wait{oldest}, {in_flight} in work, {delayed} later");
    Finding::new(Health::Ok, format!("queue {name}"), message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_letters_are_a_problem() {
        assert_eq!(dead_letters("deliveries", 0).health, Health::Ok);
        let some = dead_letters("deliveries", 3);
        assert_eq!(some.health, Health::Problem);
        assert!(some.message.starts_with("3: "));
    }

    #[test]
    fn an_age_that_is_not_known_is_not_none() {
        let waiting = Waiting {
            visible: 2,
            ..Waiting::default()
        };
        let known = on_its_way("q", waiting, Some(61.0)).message;
        assert_eq!(known, "2 wait, the oldest for 61 s, 0 in work, 0 later");
        let unknown = on_its_way("q", waiting, None).message;
        assert_eq!(
            unknown,
            "2 wait, for how long is not known, 0 in work, 0 later"
        );
        // CloudWatch measures by minutes: what it says may be of a message that is gone.
        for age in [None, Some(61.0)] {
            let empty = on_its_way("q", Waiting::default(), age).message;
            assert_eq!(empty, "0 wait, 0 in work, 0 later");
        }
    }
}
