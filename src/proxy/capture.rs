//! What was asked and answered, kept where a log or a trace wants it.

use bytes::{Bytes, BytesMut};

use super::Endpoint;
use crate::actors::finished::Captured;
use crate::config::{MASK, Secret, is_secret_header};
use crate::upstream::mask;

/// Headers by their lower-case names, keys and cookies masked.
pub type ShownHeaders = Vec<(String, String)>;

/// Headers as logs and traces may show them: without those that hold secrets by their name, and
/// without what looks like a key in the others, such as a `Referer` with a query.
pub fn shown_headers<'h>(headers: impl Iterator<Item = (&'h str, &'h [u8])>, hidden: &[Secret]) -> ShownHeaders {
    let shown = |(name, value): (&str, &[u8])| {
        let masked = if is_secret_header(name) { MASK.as_bytes().into() } else { mask(value, hidden) };
        (name.to_owned(), String::from_utf8_lossy(&masked).into_owned())
    };
    headers.map(shown).collect()
}

/// What has been asked and answered so far.
pub(super) struct Capture {
    headers: ShownHeaders,
    endpoint: Option<Endpoint>,
    request: Bytes,
    response: BytesMut,
}

// === impl Capture ===

impl Capture {
    /// Of a request with these headers.
    pub(super) fn new(headers: ShownHeaders) -> Self {
        Self { headers, endpoint: None, request: Bytes::new(), response: BytesMut::new() }
    }

    /// The client's body has come.
    pub(super) fn asked(&mut self, endpoint: Endpoint, body: &Bytes) {
        self.endpoint = Some(endpoint);
        self.request = body.clone();
    }

    /// A part of the answer goes out.
    pub(super) fn answered(&mut self, part: &[u8]) {
        let room = Captured::MOST.saturating_sub(self.response.len());
        self.response.extend_from_slice(part.get(..room).unwrap_or(part));
    }

    /// The headers as a JSON object.
    pub(super) fn headers(&self) -> String {
        json_object(&self.headers)
    }

    /// The client's body, cut and masked.
    pub(super) fn request(&self, most: usize) -> String {
        body_text(&self.request, most)
    }

    /// The answer's body so far, cut and masked.
    pub(super) fn response(&self, most: usize) -> String {
        body_text(&self.response, most)
    }

    /// All of it, for an exporter; `None` when the request had no body that was taken.
    pub(super) fn into_captured(self) -> Option<Captured> {
        let endpoint = self.endpoint?;
        Some(Captured {
            protocol: endpoint.protocol,
            operation: endpoint.operation,
            headers: self.headers,
            request: self.request,
            response: self.response.freeze(),
        })
    }
}

/// Headers as a JSON object. Of several with one name the last one shows.
pub(super) fn json_object(headers: &ShownHeaders) -> String {
    let object = headers.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
    serde_json::Value::Object(object).to_string()
}

/// At most `most` bytes of a body, without whatever looks like a key.
pub(super) fn body_text(body: &[u8], most: usize) -> String {
    // Masked before it is cut, or half of a key might not look like one.
    let reach = body.get(..most.saturating_add(KEY_REACH)).unwrap_or(body);
    let masked = mask(reach, &[]);
    let text = String::from_utf8_lossy(masked.get(..most).unwrap_or(&masked));
    // What the cut left of a character is no character.
    text.strip_suffix(char::REPLACEMENT_CHARACTER).unwrap_or(&text).to_owned()
}

/// Longer than any key.
const KEY_REACH: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_cut_between_characters_and_shows_no_key() {
        assert_eq!(body_text("aöö".as_bytes(), 4), "aö");
        assert_eq!(body_text("aöö".as_bytes(), 5), "aöö");
        assert_eq!(body_text(br#"{"key":"sk-abcdefghijkl"}"#, 15), r#"{"key":"***"}"#);
        assert_eq!(body_text(b"Authorization: Bearer abcdefgh", 24), "Authorization: Bearer **");
        assert_eq!(body_text(b"", 10), "");
    }

    #[test]
    fn an_answer_is_kept_to_its_bound() {
        let mut capture = Capture::new(Vec::new());
        capture.answered(&vec![b'x'; Captured::MOST - 1]);
        capture.answered(b"yz");
        capture.answered(b"z");
        assert_eq!(capture.response.len(), Captured::MOST);
        assert!(capture.response.ends_with(b"xy"));
    }

    #[test]
    fn shown_headers_hold_no_key_by_name_or_by_look() {
        let headers: [(&str, &[u8]); 5] = [
            ("x-password", b"hunter2-hunter2"),
            ("x-goog-credential", b"whatever"),
            ("referer", b"https://app/?api_key=sk-abcdefgh"),
            ("x-note", b"Bearer abcdefgh"),
            ("x-region", b"the-own-one"),
        ];
        let shown = shown_headers(headers.into_iter(), &[Secret::new("own".to_owned())]);
        let values: Vec<_> = shown.iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!(values, ["***", "***", "https://app/?api_key=***", "Bearer ***", "the-***-one"]);
    }

    #[test]
    fn headers_are_an_object() {
        let headers = vec![("a".to_owned(), "1\"".to_owned()), ("b".to_owned(), "***".to_owned())];
        assert_eq!(json_object(&headers), r#"{"a":"1\"","b":"***"}"#);
    }
}
