//! The names and ARNs of clients' SNS topics.

use std::convert::Infallible;
use std::str::FromStr;

use bellwire_domain::ClientId;

/// The prefix of all topic ARNs of a stack:
/// `arn:aws:sns:eu-west-1:123456789012:bellwire-`.
#[derive(Clone, Debug)]
pub struct TopicPrefix(String);

impl TopicPrefix {
    /// The ARN of the client's topic.
    pub fn arn(&self, client_id: &ClientId) -> String {
        format!("{}{client_id}", self.0)
    }

    /// The name of the client's topic: the last part of its ARN.
    pub(crate) fn name(&self, client_id: &ClientId) -> String {
        let prefix = self.0.rsplit(':').next().unwrap_or_default();
        format!("{prefix}{client_id}")
    }
}

impl FromStr for TopicPrefix {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}
