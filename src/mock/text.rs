//! Words and pieces of text: what the mock counts as tokens and sends as deltas.

use serde_json::Value;

/// Bytes of tool arguments in one delta, at most; short enough that any real call takes several.
const FRAGMENT: usize = 6;

/// Whitespace-separated words of `text`: the mock's tokens.
pub(super) fn words(text: &str) -> u64 {
    u64::try_from(text.split_whitespace().count()).unwrap_or(u64::MAX)
}

/// `text` cut before each word, every piece keeping the whitespace in front of its word, so that
/// the pieces joined are the text again.
pub(super) fn pieces(text: &str) -> Vec<&str> {
    let mut cuts = Vec::new();
    let mut in_word = false;
    for (at, letter) in text.char_indices() {
        if letter.is_whitespace() && in_word {
            cuts.push(at);
        }
        in_word = !letter.is_whitespace();
    }
    split(text, cuts)
}

/// `text` cut into fragments of at most [`FRAGMENT`] bytes, one character at least.
pub(super) fn fragments(text: &str) -> Vec<&str> {
    let mut cuts = Vec::new();
    let mut last = 0;
    for (at, letter) in text.char_indices() {
        if at > last && at + letter.len_utf8() - last > FRAGMENT {
            cuts.push(at);
            last = at;
        }
    }
    split(text, cuts)
}

/// The text in a `content`, `output`, `system` or `input` of any protocol: a string, an object
/// holding text, or an array of these (joined with line feeds). Media and calls give nothing.
pub(super) fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts: Vec<String> = parts.iter().map(text_of).filter(|text| !text.is_empty()).collect();
            texts.join("\n")
        }
        Value::Object(part) => ["text", "refusal", "content", "output"]
            .iter()
            .filter_map(|key| part.get(*key))
            .map(text_of)
            .find(|text| !text.is_empty())
            .unwrap_or_default(),
        Value::Null | Value::Bool(_) | Value::Number(_) => String::new(),
    }
}

/// The array `key` of `body`; empty if it is not one.
pub(super) fn list<'a>(body: &'a Value, key: &str) -> &'a [Value] {
    body.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// The string `key` of `item`; empty if it is not one.
pub(super) fn string<'a>(item: &'a Value, key: &str) -> &'a str {
    item.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn split(text: &str, cuts: Vec<usize>) -> Vec<&str> {
    let mut start = 0;
    cuts.into_iter()
        .chain([text.len()])
        .filter_map(|end| {
            let piece = text.get(start..end);
            start = end;
            piece
        })
        .filter(|piece| !piece.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn pieces_keep_every_character_of_the_text() {
        let text = "  two  words\nand ünïcode ";
        assert_eq!(pieces(text), ["  two", "  words", "\nand", " ünïcode", " "]);
        assert_eq!(pieces(""), Vec::<&str>::new());
    }

    #[test]
    fn fragments_never_split_a_character() {
        let text = "{\"a\":\"éééé\u{1F600}\"}";
        let parts = fragments(text);
        assert_eq!(parts.concat(), text);
        assert!(parts.len() > 2);
        assert!(parts.iter().all(|part| part.len() <= FRAGMENT));
    }

    #[test]
    fn text_is_found_in_strings_parts_and_tool_results() {
        let content = json!([
            {"type": "text", "text": "one"},
            {"type": "image_url", "image_url": {"url": "data:,"}},
            {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "two"}]},
            "three",
        ]);
        assert_eq!(text_of(&content), "one\ntwo\nthree");
        assert_eq!(words(&text_of(&content)), 3);
    }
}
