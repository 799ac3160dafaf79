//! The Answers table.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use bellwire_store::answers::{Answer, Answers, Earlier, RepeatableRequest};
use support::TABLE;
use time::{Duration, OffsetDateTime};

const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

fn answer(body: &str) -> Answer {
    Answer {
        status: 201,
        body: body.to_owned(),
    }
}

#[tokio::test]
async fn a_request_is_known_again_for_a_day() {
    let db = support::table(&["request_id"], None).await;
    let answers = Answers::new(db, TABLE.to_owned());
    let request = |client, key, body| RepeatableRequest::new(client, key, &["POST", "/", body]);
    let find = async |request, after| answers.find(&request, NOW + after).await.unwrap();
    let (first, soon) = (request("c1", "k1", "a"), Duration::hours(23));

    assert_eq!(find(first.clone(), soon).await, Earlier::Nothing);
    answers.keep(&first, answer("1"), NOW).await.unwrap();
    // The response that was recorded first stays.
    answers.keep(&first, answer("2"), NOW + soon).await.unwrap();
    assert_eq!(find(first.clone(), soon).await, Earlier::Same(answer("1")));
    assert_eq!(find(request("c1", "k1", "b"), soon).await, Earlier::Other);
    for other in [request("c2", "k1", "a"), request("c1", "k2", "a")] {
        assert_eq!(find(other, soon).await, Earlier::Nothing);
    }

    // A day later the key is free again, whether or not DynamoDB has removed the item.
    let later = Duration::hours(24);
    assert_eq!(find(first.clone(), later).await, Earlier::Nothing);
    answers
        .keep(&first, answer("3"), NOW + later)
        .await
        .unwrap();
    assert_eq!(find(first, later).await, Earlier::Same(answer("3")));
}
