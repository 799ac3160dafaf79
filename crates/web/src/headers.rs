//! What every answer of a console says beside its content.

use lambda_http::http::HeaderMap;
use lambda_http::http::HeaderValue;
use lambda_http::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};

use crate::assets::SCRIPT_SOURCE;

/// The policy of pages: their own style sheet, their own script and the logo, and nothing else; forms go nowhere else, and
/// no other page shows them in a frame.
/// <https://www.w3.org/TR/CSP3/>
pub fn policy(logo_origin: Option<&str>) -> String {
    let images = logo_origin
        .map(|origin| format!(" {origin}"))
        .unwrap_or_default();
    format!(
        "default-src 'none'; style-src 'self'; script-src {}; img-src data:{images}; form-action 'self'; \
         base-uri 'none'; frame-ancestors 'none'",
        *SCRIPT_SOURCE
    )
}

/// Adds the headers of a page. What is in it is kept by no cache.
pub fn add(headers: &mut HeaderMap, policy: &str) {
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    // The address of a page may have the token of a link.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(
        "cross-origin-opener-policy",
        HeaderValue::from_static("same-origin"),
    );
    if let Ok(policy) = HeaderValue::from_str(policy) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
}
