//! Taking reasoning that llm-proxy packed for another protocol out of a request whose provider
//! could not read it.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::chat::{PACKED_PREFIX, may_hold_packed};
use crate::codec::json::Edit;
use crate::codec::openai::lenient::Words;

const KEY: &str = "\"reasoning_details\"";

#[derive(Deserialize)]
struct Body<'b> {
    #[serde(borrow)]
    messages: Vec<&'b RawValue>,
}

#[derive(Deserialize)]
struct Message<'b> {
    #[serde(borrow)]
    reasoning_details: Vec<&'b RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry<'b> {
    #[serde(borrow)]
    signature: Words<'b>,
    #[serde(borrow)]
    data: Words<'b>,
}

/// What to take out of `body`; nothing in almost every request, which costs one search.
pub(super) fn removals(body: &[u8]) -> Vec<Edit> {
    if !may_hold_packed(body) {
        return Vec::new();
    }
    let Some((text, Body { messages })) =
        std::str::from_utf8(body).ok().and_then(|text| Some((text, serde_json::from_str(text).ok()?)))
    else {
        return Vec::new();
    };
    messages.into_iter().filter_map(|message| removal(text, message)).collect()
}

fn removal(text: &str, message: &RawValue) -> Option<Edit> {
    let Message { reasoning_details: entries } = serde_json::from_str(message.get()).ok()?;
    let kept: Vec<&str> = entries.iter().filter(|entry| !is_packed(entry)).map(|entry| entry.get()).collect();
    if kept.len() == entries.len() {
        return None;
    }
    // The array stands around its entries; at least one was packed, so there is a first one.
    let first = offset(text, entries.first()?);
    let last = entries.last()?;
    let end = offset(text, last).checked_add(last.get().len())?;
    if kept.is_empty() {
        return remove_member(text, first, end);
    }
    Some(Edit { span: first..end, with: kept.join(",").into_bytes() })
}

fn is_packed(entry: &RawValue) -> bool {
    serde_json::from_str::<Entry<'_>>(entry.get())
        .is_ok_and(|entry| entry.signature.0.starts_with(PACKED_PREFIX) || entry.data.0.starts_with(PACKED_PREFIX))
}

/// Where a value that was read from `text` stands in it.
fn offset(text: &str, value: &RawValue) -> usize {
    value.get().as_ptr().addr().saturating_sub(text.as_ptr().addr())
}

/// Takes the whole member out, with one of the commas around it; a server that checks its
/// messages strictly then finds nothing unknown. `first..end` is the inside of the array.
fn remove_member(text: &str, first: usize, end: usize) -> Option<Edit> {
    let inside = Edit { span: first..end, with: Vec::new() };
    let before = text.get(..first)?.trim_end().strip_suffix('[')?.trim_end().strip_suffix(':')?.trim_end();
    let Some(before) = before.strip_suffix(KEY).map(str::trim_end) else {
        // The key is written with escapes: an empty array will do.
        return Some(inside);
    };
    let rest = text.get(end..)?;
    let after = rest.trim_start().strip_prefix(']')?;
    let (start, after) = match before.strip_suffix(',') {
        Some(before) => (before.len(), after),
        None => (before.len(), after.trim_start().strip_prefix(',').unwrap_or(after)),
    };
    Some(Edit { span: start..text.len().checked_sub(after.len())?, with: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::json::splice;

    fn strip(body: &str) -> String {
        String::from_utf8(splice(body.as_bytes(), removals(body.as_bytes())).to_vec()).unwrap()
    }

    #[test]
    fn packed_entries_go_and_everything_else_stays_to_the_byte() {
        for (body, want) in [
            (
                r#"{"messages":[{"role":"assistant", "reasoning_details" : [ {"type":"reasoning.text","text":"t","signature":"llmp1.x"} ] ,"content":"c"}, 1]}"#,
                r#"{"messages":[{"role":"assistant" ,"content":"c"}, 1]}"#,
            ),
            (
                r#"{"messages":[{ "reasoning_details":[{"type":"reasoning.encrypted","data":"llmp1.x"}], "content":"c"}]}"#,
                r#"{"messages":[{ "content":"c"}]}"#,
            ),
            (r#"{"messages":[{"reasoning_details":[{"data":"llmp1.x"}]}]}"#, r#"{"messages":[{}]}"#),
            (
                r#"{"messages":[{"reasoning_details":[{"data":"own"}, {"data":"llmp1.x"},{"n":1.10}]}]}"#,
                r#"{"messages":[{"reasoning_details":[{"data":"own"},{"n":1.10}]}]}"#,
            ),
            (
                r#"{"messages":[{"reasoning\u005fdetails":[{"data":"llmp1.x"}]}]}"#,
                r#"{"messages":[{"reasoning\u005fdetails":[]}]}"#,
            ),
        ] {
            assert_eq!(strip(body).split_whitespace().collect::<String>(), want.split_whitespace().collect::<String>());
            serde_json::from_str::<serde_json::Value>(&strip(body)).unwrap();
        }
    }

    #[test]
    fn the_prefix_in_a_text_is_only_a_text() {
        let body = r#"{"messages":[{"content":"llmp1.x","reasoning_details":[{"text":"llmp1.","data":"own"}]},7]}"#;
        assert_eq!(removals(body.as_bytes()), []);
    }
}
