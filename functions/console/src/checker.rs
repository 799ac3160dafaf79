//! `checker`: whether the signature of a delivery is right, and why not. What is pasted here is looked at and forgotten.

use askama::Template;
use bellwire_domain::Secret;
use bellwire_domain::endpoint::signature::SigningSecrets;
use bellwire_web::api::Api;
use bellwire_web::{Answer, Form, Shell, Visit, page};
use time::{Duration, OffsetDateTime};

use crate::CHECKER;

/// How old a delivery may be for receivers that follow the specification.
/// <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md#verifying-webhook-authenticity>
const TOLERANCE: Duration = Duration::minutes(5);

#[derive(Template)]
#[template(path = "checker.html")]
struct CheckerPage {
    shell: Shell,
    headers: String,
    body: String,
    verdict: Option<Verdict>,
}

/// What came of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Verdict {
    is_right: bool,
    title: &'static str,
    /// What to look at.
    reasons: Vec<String>,
}

/// The form.
pub fn show<A: Api>(visit: &Visit<'_, A>) -> Answer {
    visit.token()?;
    shown(visit, &Form::default(), None)
}

/// Checks what was pasted into it.
pub fn send<A: Api>(visit: &Visit<'_, A>) -> Answer {
    let form = visit.form()?;
    let verdict = check(
        form.get("secret"),
        form.get("headers"),
        form.raw("body"),
        visit.now,
    );
    shown(visit, &form, Some(verdict))
}

fn shown<A: Api>(visit: &Visit<'_, A>, form: &Form, verdict: Option<Verdict>) -> Answer {
    page(&CheckerPage {
        shell: visit.shell("Webhook checker").under(CHECKER),
        headers: form.get("headers").to_owned(),
        body: form.raw("body").to_owned(),
        verdict,
    })
}

/// What is checked, as far as it can be read.
struct Pasted<'a> {
    id: &'a str,
    sent_at: OffsetDateTime,
    signatures: &'a str,
    secrets: SigningSecrets,
}

/// Whether one of the signatures in `headers` is that of the body by this secret.
fn check(secret: &str, headers: &str, body: &str, now: OffsetDateTime) -> Verdict {
    let pasted = match Pasted::read(secret, headers) {
        Ok(pasted) => pasted,
        Err(verdict) => return verdict,
    };
    let Some(hint) = pasted.matching(body) else {
        return pasted.mismatch();
    };
    let mut reasons: Vec<String> = hint.map(str::to_owned).into_iter().collect();
    if (now - pasted.sent_at).abs() > TOLERANCE {
        reasons.push(
            "Its time is not within five minutes of now: receivers refuse it by that, so that nobody sends it again.".to_owned(),
        );
    }
    Verdict {
        is_right: true,
        title: "The signature is right",
        reasons,
    }
}

impl Verdict {
    fn wrong(title: &'static str, reasons: Vec<String>) -> Self {
        Self {
            is_right: false,
            title,
            reasons,
        }
    }
}

impl<'a> Pasted<'a> {
    /// Reads the headers and the secret; what can't be read is the verdict.
    fn read(secret: &str, headers: &'a str) -> Result<Self, Verdict> {
        let mut missing = Vec::new();
        let mut header = |name: &str| {
            let found = header(headers, name);
            if found.is_none() {
                missing.push(format!("There is no header {name}."));
            }
            found.unwrap_or_default()
        };
        let (id, sent, signatures) = (
            header("webhook-id"),
            header("webhook-timestamp"),
            header("webhook-signature"),
        );
        if !missing.is_empty() {
            return Err(Verdict::wrong("A header is missing", missing));
        }
        let sent_at = sent
            .parse()
            .ok()
            .and_then(|it| OffsetDateTime::from_unix_timestamp(it).ok());
        let Some(sent_at) = sent_at else {
            let reason = "webhook-timestamp has to be a number of seconds since 1970.";
            return Err(Verdict::wrong(
                "The time can't be read",
                vec![reason.to_owned()],
            ));
        };
        let secrets = SigningSecrets::new(Secret::new(secret));
        if secrets.sign(id, sent_at, b"").is_err() {
            let reason = "A secret begins with whsec_, and Base64 follows. Copy it whole, with the beginning.";
            return Err(Verdict::wrong(
                "The secret can't be read",
                vec![reason.to_owned()],
            ));
        }
        Ok(Self {
            id,
            sent_at,
            signatures,
            secrets,
        })
    }

    /// What to say of the body if a signature is right of it; `None` if none is. A browser sends line breaks of a text as
    /// CR LF, whatever they were, and those who copy a body add to its end.
    fn matching(&self, body: &str) -> Option<Option<&'static str>> {
        let unix = body.replace("\r\n", "\n");
        let forms = [
            (unix.as_str(), None),
            (body, None),
            (
                unix.trim_end_matches('\n'),
                Some(
                    "The body had no line break at its end: whatever has added it, check before that.",
                ),
            ),
            (
                unix.trim(),
                Some("The body had no space around it: whatever has added it, check before that."),
            ),
        ];
        let right = forms.into_iter().find(|(text, _)| self.is_signed(text));
        right.map(|(_, hint)| hint)
    }

    fn is_signed(&self, text: &str) -> bool {
        let expected = self.secrets.sign(self.id, self.sent_at, text.as_bytes());
        let expected = Secret::new(expected.unwrap_or_default());
        self.signatures
            .split_whitespace()
            .any(|it| Secret::new(it) == expected)
    }

    /// The verdict on a body that none of the signatures is of.
    fn mismatch(&self) -> Verdict {
        let mut reasons = vec![
            "The secret is that of another subscription, or was replaced more than a day ago.".to_owned(),
            "The body is not the one that was sent, byte for byte: check what arrives, before it is parsed and written again.".to_owned(),
            "The headers are those of another delivery.".to_owned(),
        ];
        let mut signatures = self.signatures.split_whitespace();
        if !signatures.any(|it| it.starts_with("v1,")) {
            let reason =
                "webhook-signature has to have signatures that begin with v1, and a comma.";
            reasons.insert(0, reason.to_owned());
        }
        Verdict::wrong("The signature is not right", reasons)
    }
}

/// The value of a header in lines of `name: value`.
fn header<'a>(lines: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = lines.lines().filter_map(|line| line.split_once(':'));
    let found = pairs.find(|(it, _)| it.trim().trim_matches('"').eq_ignore_ascii_case(name));
    // As JSON has it, too.
    found.map(|(_, value)| value.trim().trim_end_matches(',').trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const BODY: &str = "{\n  \"a\": 1\n}";
    const NOW: OffsetDateTime = datetime!(2026-11-29 12:00 UTC);

    fn headers(body: &str) -> String {
        let secrets = SigningSecrets::new(Secret::new(SECRET));
        let signature = secrets.sign("m1", NOW, body.as_bytes()).unwrap();
        let sent = NOW.unix_timestamp();
        format!(
            "Webhook-Id: m1\r\nwebhook-timestamp: {sent}\r\nWEBHOOK-SIGNATURE: v1,xx {signature}"
        )
    }

    #[test]
    fn a_right_signature_is_found_right() {
        let pasted = BODY.replace('\n', "\r\n");
        let verdict = check(SECRET, &headers(BODY), &pasted, NOW);
        assert_eq!(
            (verdict.is_right, verdict.reasons.len()),
            (true, 0),
            "{verdict:?}"
        );
        let with_break = check(SECRET, &headers(BODY), &format!("{pasted}\r\n"), NOW);
        assert!(with_break.is_right && with_break.reasons[0].contains("line break"));
        let late = check(SECRET, &headers(BODY), &pasted, NOW + Duration::minutes(6));
        assert!(late.is_right && late.reasons[0].contains("five minutes"));
        let json = format!(
            "{{\n\"webhook-id\": \"m1\",\n\"webhook-timestamp\": \"{}\",\n\"webhook-signature\": \"{}\"}}",
            NOW.unix_timestamp(),
            headers(BODY).split("SIGNATURE: ").nth(1).unwrap()
        );
        assert!(check(SECRET, json.trim_end_matches('}'), BODY, NOW).is_right);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let title = |secret: &str, headers: &str, body: &str| {
            let verdict = check(secret, headers, body, NOW);
            assert!(!verdict.is_right && !verdict.reasons.is_empty());
            verdict.title
        };
        assert_eq!(title(SECRET, "", BODY), "A header is missing");
        assert_eq!(
            title(SECRET, &headers(BODY).replace("Webhook-Id", "x"), BODY),
            "A header is missing"
        );
        let late = headers(BODY).replace("timestamp: 1", "timestamp: x1");
        assert_eq!(title(SECRET, &late, BODY), "The time can't be read");
        for secret in ["", "whsec_", "MfKQ", "whsec_!"] {
            let found = check(secret, &headers(BODY), BODY, NOW);
            assert!(!found.is_right, "{secret}");
        }
        assert_eq!(
            title(SECRET, &headers(BODY), "{}"),
            "The signature is not right"
        );
        assert_eq!(
            title("whsec_AAAA", &headers(BODY), BODY),
            "The signature is not right"
        );
    }
}
