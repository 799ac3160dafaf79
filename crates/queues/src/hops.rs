//! How often a message was sent on.

use serde::{Deserialize, Serialize};

/// How often functions have sent a message on to themselves.
///
/// Lambda stops such loops after some 16 times, unless a function's `RecursiveLoop` allows them, as
/// the template does; loops that would never end are stopped here instead.
/// <https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html>
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hops(u32);

impl Hops {
    /// One more. The error, if there were `most` before, is the reason for the dead letter.
    pub fn next(self, most: u32) -> Result<Self, String> {
        if self.0 >= most {
            return Err(format!("sent on {most} times without coming to an end"));
        }
        Ok(Self(self.0 + 1))
    }

    /// Whether the message was never sent on.
    pub fn is_none(&self) -> bool {
        self.0 == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::FanOut;

    #[test]
    fn a_message_is_sent_on_so_often_and_no_more() {
        let mut hops = Hops::default();
        for _ in 0..3 {
            hops = hops.next(3).unwrap();
        }
        assert_eq!(
            hops.next(3),
            Err("sent on 3 times without coming to an end".to_owned())
        );
        // A message that was never sent on is written as by earlier versions.
        let text = r#"{"replay":{"replay_id":"r","subscription_id":"s","client_id":"c","topic_id":"t","start":"1970-01-01T00:00:00.000000Z","end":"1970-01-01T00:00:00.000000Z"}}"#;
        let mut read: FanOut = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
        let earlier: FanOut =
            serde_json::from_str(&text.replace(r#""replay_id":"r","#, "")).unwrap();
        assert!(matches!(earlier, FanOut::Replay(replay) if replay.replay_id.is_empty()));
        if let FanOut::Replay(replay) = &mut read {
            replay.hops = hops;
        }
        let sent_on = serde_json::to_string(&read).unwrap();
        assert!(sent_on.contains(r#""hops":3"#));
        let FanOut::Replay(replay) = serde_json::from_str(&sent_on).unwrap() else {
            panic!("a replay");
        };
        assert_eq!(replay.hops, hops);
    }
}
