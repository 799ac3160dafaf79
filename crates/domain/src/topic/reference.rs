//! How a request names a topic: by its id or by its name.

use uuid::Uuid;

use crate::ids::TopicId;
use crate::topic::definition::MAX_NAME_LENGTH;

/// The length of a UUID that is written with hyphens.
const ID_LENGTH: usize = 36;

/// A topic's id or name. The two can't be mixed up, since new names don't have the form of an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopicReference {
    /// The topic with this id.
    Id(TopicId),
    /// The topic that has this name now.
    Name(String),
}

impl TopicReference {
    /// What this text names: a topic by its id if it has the form of one, else by its name.
    pub fn parse(text: &str) -> Self {
        if has_form_of_id(text) {
            Self::Id(TopicId::new(text))
        } else {
            Self::Name(text.to_owned())
        }
    }

    /// The name, if it is one that a topic may have; `None` for an id, and for what is too long for a name.
    pub fn possible_name(&self) -> Option<&str> {
        match self {
            Self::Name(name) if name.chars().count() <= MAX_NAME_LENGTH => Some(name),
            Self::Name(_) | Self::Id(_) => None,
        }
    }
}

/// Whether a text is a UUID with hyphens, in letters of either case.
pub fn has_form_of_id(text: &str) -> bool {
    text.len() == ID_LENGTH && Uuid::try_parse(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "6f1a8c9e-3b1d-4c7a-9a55-0d5f6f1f2a11";

    #[test]
    fn what_has_the_form_of_an_id_is_an_id() {
        for id in [ID, &ID.to_uppercase()] {
            assert_eq!(
                TopicReference::parse(id),
                TopicReference::Id(TopicId::new(id))
            );
            assert_eq!(TopicReference::parse(id).possible_name(), None);
        }
        let without_hyphens = ID.replace('-', "");
        let longer = format!("{ID}x");
        let in_braces = format!("{{{ID}}}");
        for name in [
            "orders",
            "",
            &ID[1..],
            &longer,
            &in_braces,
            &without_hyphens,
            &"ü".repeat(255),
        ] {
            let reference = TopicReference::parse(name);
            assert_eq!(reference.possible_name(), Some(name));
        }
        let reference = TopicReference::parse(&"ü".repeat(256));
        assert_eq!(reference.possible_name(), None);
    }
}
