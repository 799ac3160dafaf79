//! The body of `POST /v1/subscribe`.

use bellwire_api::{Failure, Mistakes};
use bellwire_domain::query::notification::BadFormat;
use bellwire_domain::{CallbackUrl, Format, Secret, Statuses, UrlPolicy};
use serde::Deserialize;

/// The longest token, in characters; those of SNS have a few hundred.
const MAX_TOKEN_LENGTH: usize = 2048;

/// The body, not checked yet.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubscribeRequest {
    #[serde(rename = "callbackUrl")]
    callback_url: Option<String>,
    statuses: Option<Vec<String>>,
    format: Option<String>,
    token: Option<String>,
}

/// A checked body.
pub enum SubscribeCommand {
    /// To register a URL for notifications.
    Register(Registration),
    /// To confirm a URL with the token that was sent to it.
    Confirm(Secret),
}

/// A URL to register, with its options. An option that is `None` stays as it is, or gets its default.
pub struct Registration {
    /// The URL, in normal form.
    pub url: CallbackUrl,
    /// The states in which a query may end that its owner is notified of.
    pub statuses: Option<Statuses>,
    /// How notifications are written into the body.
    pub format: Option<Format>,
}

impl SubscribeRequest {
    /// Checks the body.
    ///
    /// # Errors
    /// 400, naming all fields at fault.
    pub fn into_command(self, policy: &UrlPolicy) -> Result<SubscribeCommand, Failure> {
        match (self.callback_url, self.token) {
            (Some(url), None) => {
                let mut mistakes = Mistakes::default();
                let url = policy.check(&url);
                let url = url.map_err(|refused| Failure::field("callbackUrl", refused));
                let statuses = self.statuses.map(|names| Statuses::parse(&names));
                let statuses = statuses.transpose();
                let statuses = statuses.map_err(|bad| Failure::field("statuses", bad));
                let format = self.format.map(|name| name.parse()).transpose();
                let format = format.map_err(|bad: BadFormat| Failure::field("format", bad));
                let checked = (
                    mistakes.check(url),
                    mistakes.check(statuses),
                    mistakes.check(format),
                );
                let (Some(url), Some(statuses), Some(format)) = checked else {
                    return Err(mistakes.into_failure());
                };
                Ok(SubscribeCommand::Register(Registration {
                    url,
                    statuses,
                    format,
                }))
            }
            (None, Some(token)) => {
                if self.statuses.is_some() || self.format.is_some() {
                    return Err(Failure::bad_request(
                        "statuses and format belong to callbackUrl, not to token",
                    ));
                }
                if token.is_empty() || token.chars().count() > MAX_TOKEN_LENGTH {
                    return Err(Failure::field(
                        "token",
                        format_args!("must have 1 to {MAX_TOKEN_LENGTH} characters"),
                    ));
                }
                Ok(SubscribeCommand::Confirm(Secret::new(token)))
            }
            (Some(_), Some(_)) => Err(Failure::bad_request(
                "send either callbackUrl or token, not both",
            )),
            (None, None) => Err(Failure::bad_request("callbackUrl or token is needed")),
        }
    }
}
