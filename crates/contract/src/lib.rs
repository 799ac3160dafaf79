//! The contract of the API: `openapi.yaml`, as JSON.

/// The document in JSON, without its `servers`, which differ by stack. It is an object that has other members.
const OPENAPI: &str = include_str!(concat!(env!("OUT_DIR"), "/openapi.json"));

/// The document in JSON, of a stack whose API is called at `server`, a URL without a slash at its end.
/// <https://spec.openapis.org/oas/v3.1.0#server-object>
pub fn openapi(server: &str) -> String {
    let members = OPENAPI.strip_prefix('{').unwrap_or(OPENAPI);
    // A URL has no character that JSON would escape; what has one is no URL.
    let server: String = server
        .chars()
        .filter(|c| !c.is_control() && !matches!(c, '"' | '\\'))
        .collect();
    format!("{{\"servers\":[{{\"url\":\"{server}\"}}],{members}")
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_document_has_the_servers_of_its_stack() {
        let document: Value = serde_json::from_str(&openapi("https://a.example.com/live")).unwrap();
        let servers = document.get("servers").unwrap();
        assert_eq!(
            servers,
            &serde_json::json!([{"url": "https://a.example.com/live"}])
        );
        let version = document.get("openapi").and_then(Value::as_str).unwrap();
        assert!(version.starts_with("3.1."), "{version}");
        assert_eq!(document.get("x-errors"), None);
        assert!(serde_json::from_str::<Value>(&openapi("a\"}],\"x\":[{\"")).is_ok());
    }

    #[test]
    fn what_spellings_share_is_written_out() {
        let document: Value = serde_json::from_str(OPENAPI).unwrap();
        let paths = document.get("paths").unwrap();
        let post = |path: &str| paths.get(path).unwrap().get("post").unwrap();
        let (one, other) = (post("/topics"), post("/streams/hub/api/v1/topics"));
        assert_eq!(other.get("operationId").unwrap(), "createTopicInStreams");
        assert_ne!(one.get("operationId"), other.get("operationId"));
        assert_eq!(one.get("responses"), other.get("responses"));
        let responses = one.get("responses").unwrap();
        assert!(responses.get("401").is_some() && responses.get("429").is_some());
        assert!(!OPENAPI.contains("\"<<\""));
    }
}
