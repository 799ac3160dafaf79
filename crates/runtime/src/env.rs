//! Settings, which the template passes to functions as environment variables.

use std::error::Error;
use std::str::FromStr;

/// A setting is missing or malformed: the function can't start.
#[derive(Debug, thiserror::Error)]
#[error("environment variable {name}: {cause}")]
pub struct BadSetting {
    name: &'static str,
    cause: Box<dyn Error + Send + Sync>,
}

/// The value of a variable, parsed as a `T`.
///
/// # Errors
/// When it isn't set, or can't be parsed.
pub fn parsed<T>(name: &'static str, value: Option<String>) -> Result<T, BadSetting>
where
    T: FromStr<Err: Into<Box<dyn Error + Send + Sync>>>,
{
    let bad = |cause| BadSetting { name, cause };
    let text = value.ok_or_else(|| bad("is not set".into()))?;
    text.parse().map_err(|cause: T::Err| bad(cause.into()))
}

/// The value of a variable that is a number of days, which may be a fraction.
///
/// # Errors
/// When it isn't set, isn't a number, or is out of a duration's range.
pub fn days(name: &'static str, value: Option<String>) -> Result<time::Duration, BadSetting> {
    let days: f64 = parsed(name, value)?;
    time::Duration::checked_seconds_f64(days * 86_400.0).ok_or_else(|| BadSetting {
        name,
        cause: "is no number of days".into(),
    })
}
