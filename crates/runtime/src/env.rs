//! Settings, which the template hands to a function as environment variables.

use std::env::VarError;
use std::error::Error;
use std::str::FromStr;

/// A setting that a function can't start without.
#[derive(Debug, thiserror::Error)]
#[error("environment variable {name}: {cause}")]
pub struct BadSetting {
    name: &'static str,
    cause: Box<dyn Error + Send + Sync>,
}

/// The value of an environment variable, read as `T`.
///
/// # Errors
/// When it isn't set, or isn't written as a `T`.
pub fn required<T>(name: &'static str) -> Result<T, BadSetting>
where
    T: FromStr<Err: Into<Box<dyn Error + Send + Sync>>>,
{
    let bad = |cause| BadSetting { name, cause };
    let text = std::env::var(name).map_err(|cause: VarError| bad(cause.into()))?;
    text.parse().map_err(|cause: T::Err| bad(cause.into()))
}

/// The value of an environment variable that is a number of days, or of parts of one.
///
/// # Errors
/// When it isn't set, or is no number that a duration can have.
pub fn days(name: &'static str) -> Result<time::Duration, BadSetting> {
    let days: f64 = required(name)?;
    time::Duration::checked_seconds_f64(days * 86_400.0).ok_or_else(|| BadSetting {
        name,
        cause: "is no number of days".into(),
    })
}
