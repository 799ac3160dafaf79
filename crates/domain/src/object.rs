//! JSON objects that are read as structs, and fields of them of which it matters whether they are there.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

/// Reads a JSON object as a `T`, for `#[serde(deserialize_with)]`. A derived `Deserialize` takes an array as well, field by
/// field, which nobody documents.
///
/// # Errors
/// For anything else than an object, and for one that is no `T`.
pub fn object<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    deserializer.deserialize_map(Object(PhantomData))
}

/// As [`object`], for a field that may be missing or null.
///
/// # Errors
/// As [`object`].
pub fn optional_object<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let read: Option<Strict<T>> = Option::deserialize(deserializer)?;
    Ok(read.map(|Strict(value)| value))
}

/// A `T` that is read from a JSON object and from nothing else, where there is no field for [`object`].
#[derive(Debug)]
pub struct Strict<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Strict<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        object(deserializer).map(Self)
    }
}

/// Reads a field that is there, for `#[serde(default, deserialize_with)]`: unlike for a mere `Option`, `null` is a value, and
/// refused unless `T` has it.
///
/// # Errors
/// For what is no `T`.
pub fn said<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

struct Object<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Whole {
        #[serde(deserialize_with = "object")]
        part: Part,
        #[serde(default, deserialize_with = "optional_object")]
        other: Option<Part>,
    }

    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Part {
        size: u8,
    }

    #[test]
    fn an_array_is_no_object() {
        let read = |json| serde_json::from_value::<Whole>(json).map_err(|e| e.to_string());
        let part = || Part { size: 1 };
        for (other, is) in [(json!(null), None), (json!({"size": 1}), Some(part()))] {
            let whole = read(json!({"part": {"size": 1}, "other": other}));
            let part = part();
            assert_eq!(whole, Ok(Whole { part, other: is }));
        }
        assert!(read(json!({"part": {"size": 1}})).is_ok());
        for wrong in [json!([1]), json!(1), json!("x")] {
            assert!(read(json!({ "part": wrong })).is_err());
            assert!(read(json!({"part": {"size": 1}, "other": wrong})).is_err());
        }
        assert!(read(json!({ "part": null })).is_err());
    }
}
