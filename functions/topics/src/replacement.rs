//! The body of a `PUT`: a topic's definition, beside which may stand what `GET` returns and nobody can change.

use bellwire_api::Failure;
use bellwire_domain::object::{object, said};
use bellwire_domain::timestamp;
use bellwire_domain::topic::{
    Publisher, Subscribers, Topic, TopicAccess, TopicDefinition, TopicPublishers,
};
use serde::Deserialize;
use time::OffsetDateTime;

/// The body, not checked yet. It has the fields of [`TopicDefinition`]: serde can't refuse unknown ones of a flattened
/// structure.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Replacement {
    name: String,
    #[serde(deserialize_with = "object")]
    publisher: Publisher,
    #[serde(default)]
    subscribers: Subscribers,
    #[serde(default, deserialize_with = "said")]
    access: Option<TopicAccess>,
    #[serde(default, deserialize_with = "said")]
    publishers: Option<TopicPublishers>,
    #[serde(default, deserialize_with = "said")]
    id: Option<String>,
    #[serde(default, deserialize_with = "said")]
    create_timestamp: Option<String>,
    #[serde(default, deserialize_with = "said")]
    modify_timestamp: Option<String>,
}

impl Replacement {
    /// Checks that a patch has removed nothing that stays as it is when it is left out.
    ///
    /// # Errors
    /// 400, naming the field.
    pub fn must_be_complete(&self) -> Result<(), Failure> {
        for (field, is_missing) in [
            ("access", self.access.is_none()),
            ("publishers", self.publishers.is_none()),
        ] {
            if is_missing {
                let problem = "can't be removed; \"everyone\" stands for all";
                return Err(Failure::field(field, problem));
            }
        }
        Ok(())
    }

    /// The definition that replaces the one of `known`.
    ///
    /// # Errors
    /// 400, naming the field, when something is said to be other than it is and can't be changed.
    pub fn of(self, known: &Topic) -> Result<TopicDefinition, Failure> {
        let is_other_time = |said: &Option<String>, known: OffsetDateTime| {
            let said = said.as_deref();
            said.is_some_and(|said| timestamp::parse(said) != Some(known))
        };
        let is_other_id = self.id.is_some_and(|said| said != known.id.as_str());
        for (field, is_other) in [
            ("id", is_other_id),
            (
                "createTimestamp",
                is_other_time(&self.create_timestamp, known.create_timestamp),
            ),
            (
                "modifyTimestamp",
                is_other_time(&self.modify_timestamp, known.modify_timestamp),
            ),
        ] {
            if is_other {
                let problem = "can't be changed; leave it out, or send what GET returns";
                return Err(Failure::field(field, problem));
            }
        }
        Ok(TopicDefinition {
            name: self.name,
            publisher: self.publisher,
            subscribers: self.subscribers,
            access: self.access,
            publishers: self.publishers,
        })
    }
}
