//! What is known of a client beside its id: the provider's own id of it, its name, and its labels.

use std::collections::BTreeSet;
use std::fmt;

use data_encoding::BASE32_NOPAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::ClientId;

/// The longest external id, in characters.
pub const MAX_EXTERNAL_ID_LENGTH: usize = 128;
/// The longest label, in characters.
pub const MAX_LABEL_LENGTH: usize = 64;
/// How many labels a client has, at most.
pub const MAX_LABELS: usize = 20;
/// The longest name of a client or a key, in characters.
pub const MAX_NAME_LENGTH: usize = 128;

/// The provider's own id of a client, such as a number of its database: 1 to 128 characters out of letters, digits and
/// `._~:@-`, so that it is safe in a path. It doesn't have the form of a [`ClientId`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct ExternalId(String);

/// The text can't be an external id.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must have 1 to {MAX_EXTERNAL_ID_LENGTH} letters, digits and characters of ._~:@- and not the form of a client id"
)]
pub struct BadExternalId;

impl ExternalId {
    /// The external id in `text`.
    ///
    /// # Errors
    /// When the text can't be one.
    pub fn parse(text: &str) -> Result<Self, BadExternalId> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._~:@-".contains(&byte);
        let good = (1..=MAX_EXTERNAL_ID_LENGTH).contains(&text.len())
            && text.bytes().all(allowed)
            // As a segment of a path, these two would be taken for directories.
            && !matches!(text, "." | "..")
            && ClientId::parse(text).is_none();
        good.then(|| Self(text.to_owned())).ok_or(BadExternalId)
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id of the client that has this external id: it follows from it, so that no look-up is needed.
    pub fn client_id(&self) -> ClientId {
        let hash = Sha256::digest(format!("external id of a client: {}", self.0));
        let mut text = BASE32_NOPAD.encode(&hash).to_lowercase();
        text.truncate(24);
        ClientId::of_digits(&text)
    }
}

impl TryFrom<String> for ExternalId {
    type Error = BadExternalId;

    fn try_from(text: String) -> Result<Self, BadExternalId> {
        Self::parse(&text)
    }
}

impl fmt::Display for ExternalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A client, by either of its ids; written as it was given.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ClientReference {
    /// By its id.
    Id(ClientId),
    /// By the provider's id of it.
    External(ExternalId),
}

impl ClientReference {
    /// The client that `text` refers to.
    ///
    /// # Errors
    /// When it has the form of neither id.
    pub fn parse(text: &str) -> Result<Self, BadExternalId> {
        match ClientId::parse(text) {
            Some(id) => Ok(Self::Id(id)),
            None => ExternalId::parse(text).map(Self::External),
        }
    }

    /// The client's id.
    pub fn client_id(&self) -> ClientId {
        match self {
            Self::Id(id) => id.clone(),
            Self::External(id) => id.client_id(),
        }
    }

    /// The reference as it was given.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Id(id) => id.as_str(),
            Self::External(id) => id.as_str(),
        }
    }
}

impl TryFrom<String> for ClientReference {
    type Error = BadExternalId;

    fn try_from(text: String) -> Result<Self, BadExternalId> {
        Self::parse(&text)
    }
}

impl From<ClientReference> for String {
    fn from(reference: ClientReference) -> Self {
        reference.as_str().to_owned()
    }
}

/// What people call a client or a key: 1 to 128 characters, not spaces alone, none of them a control character. Two may
/// have the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct DisplayName(String);

/// The text can't be a name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must have 1 to {MAX_NAME_LENGTH} characters, not spaces alone and none of them a control character"
)]
pub struct BadName;

impl DisplayName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&ExternalId> for DisplayName {
    /// The name of a client that is given none.
    fn from(id: &ExternalId) -> Self {
        Self(id.0.clone())
    }
}

impl TryFrom<String> for DisplayName {
    type Error = BadName;

    fn try_from(text: String) -> Result<Self, BadName> {
        let good = text.chars().count() <= MAX_NAME_LENGTH
            && !text.trim().is_empty()
            && !text.chars().any(char::is_control);
        if good { Ok(Self(text)) } else { Err(BadName) }
    }
}

/// What the provider sorts its clients by, such as a plan: 1 to 64 characters out of lower-case letters, digits and
/// `._:-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Label(String);

/// The text can't be a label.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be labels of 1 to {MAX_LABEL_LENGTH} lower-case letters, digits and characters of ._:-"
)]
pub struct BadLabel;

impl Label {
    /// The label as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Label {
    type Error = BadLabel;

    fn try_from(text: String) -> Result<Self, BadLabel> {
        let allowed = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._:-".contains(&byte)
        };
        let good = (1..=MAX_LABEL_LENGTH).contains(&text.len()) && text.bytes().all(allowed);
        if good { Ok(Self(text)) } else { Err(BadLabel) }
    }
}

/// The labels of a client, in order and each once; at most 20.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Label>")]
pub struct Labels(BTreeSet<Label>);

/// There are more labels than a client may have.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be at most {MAX_LABELS} labels")]
pub struct TooManyLabels;

impl Labels {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this is one of them.
    pub fn contains(&self, label: &Label) -> bool {
        self.0.contains(label)
    }

    /// The labels, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Label> {
        self.0.iter()
    }
}

impl TryFrom<Vec<Label>> for Labels {
    type Error = TooManyLabels;

    fn try_from(labels: Vec<Label>) -> Result<Self, TooManyLabels> {
        let labels: BTreeSet<Label> = labels.into_iter().collect();
        if labels.len() > MAX_LABELS {
            return Err(TooManyLabels);
        }
        Ok(Self(labels))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, from_value, json};

    use super::*;

    #[test]
    fn an_external_id_is_safe_in_a_path_and_no_client_id() {
        for text in [
            "1",
            "acme",
            "a.b_c~d:e@f-g",
            &"x".repeat(128),
            "cl_1",
            "...",
        ] {
            assert!(ExternalId::parse(text).is_ok(), "{text}");
        }
        let id = ClientId::generate().unwrap();
        for text in [
            "",
            ".",
            "..",
            "a/b",
            "a b",
            "ä",
            "a%20",
            &"x".repeat(129),
            id.as_str(),
        ] {
            assert_eq!(ExternalId::parse(text), Err(BadExternalId), "{text}");
        }
    }

    #[test]
    fn what_follows_from_an_external_id_stays() {
        let id = ExternalId::parse("acme").unwrap().client_id();
        assert_eq!(id.as_str(), "cl_5hxtfzmjbbgey56574ue6edi");
        assert_eq!(ClientId::parse(id.as_str()), Some(id));
    }

    #[test]
    fn a_reference_is_written_as_it_was_given() {
        let id = ClientId::generate().unwrap();
        for text in [id.as_str(), "acme"] {
            let reference: ClientReference = from_value(json!(text)).unwrap();
            assert_eq!(serde_json::to_value(&reference).unwrap(), json!(text));
        }
        assert_eq!(ClientReference::parse(id.as_str()).unwrap().client_id(), id);
    }

    #[test]
    fn a_name_is_a_short_line_that_says_something() {
        let read = |text: &str| DisplayName::try_from(text.to_owned());
        for text in ["a", " a ", "Käufer & Söhne", &"ä".repeat(128)] {
            assert_eq!(read(text).unwrap().as_str(), text);
        }
        for text in ["", "   ", "a\nb", "\u{0}", "\u{7f}", &"x".repeat(129)] {
            assert_eq!(read(text), Err(BadName), "{text}");
        }
    }

    #[test]
    fn labels_are_a_set_of_few_short_texts() {
        let read = |labels: Value| from_value::<Labels>(labels).map_err(|bad| bad.to_string());
        let labels = read(json!(["plan:gold", "eu", "eu"])).unwrap();
        assert_eq!(
            serde_json::to_value(&labels).unwrap(),
            json!(["eu", "plan:gold"])
        );
        assert!(read(json!([])).unwrap().is_empty());
        let many: Vec<String> = (0..=MAX_LABELS).map(|n| format!("l{n}")).collect();
        assert!(read(json!(many)).unwrap_err().contains("at most 20"));
        for bad in [
            json!([""]),
            json!(["EU"]),
            json!(["a b"]),
            json!(["x".repeat(65)]),
        ] {
            assert!(
                read(bad.clone()).unwrap_err().contains("lower-case"),
                "{bad}"
            );
        }
    }

    proptest! {
        #[test]
        fn of_two_external_ids_follow_two_client_ids(a in "[a-z0-9]{1,8}", b in "[a-z0-9]{1,8}") {
            let id = |text: &str| ExternalId::parse(text).unwrap().client_id();
            prop_assert_eq!(a == b, id(&a) == id(&b));
        }
    }
}
