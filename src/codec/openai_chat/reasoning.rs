//! Reasoning state in `reasoning_details`, the array that agents send back as they got it.
//!
//! Three forms meet here: what we write for our clients (packed state of any maker), what our
//! clients send back, and what gateways that speak Chat send us as providers.

use serde::Serialize;
use serde_json::{Map, Value};

use super::wire::Detail;
use crate::chat::{Failure, Opaque, OpaqueKind, Protocol, Reasoning};
use crate::codec::openai::lenient::Count;
use crate::codec::openai::object::Object;

const TEXT: &str = "reasoning.text";
const ENCRYPTED: &str = "reasoning.encrypted";

/// An entry as our clients get it.
#[derive(Debug, Serialize)]
pub(super) struct Entry<'r> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signature: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<String>,
    format: &'static str,
    index: usize,
}

/// The entries of a block; `place` tells it from other blocks of the same answer. Text and
/// encrypted state of one block share their index, which is how they find together again.
pub(super) fn entries<'r>(text: &'r str, opaque: &Opaque, place: usize) -> Vec<Entry<'r>> {
    let format = opaque.protocol.name();
    let packed = opaque.pack();
    let said = |signature| Entry { r#type: TEXT, text: Some(text), signature, data: None, format, index: place };
    if opaque.kind == OpaqueKind::Signature {
        return vec![said(Some(packed))];
    }
    let state = Entry { r#type: ENCRYPTED, text: None, signature: None, data: Some(packed), format, index: place };
    if text.is_empty() { vec![state] } else { vec![said(None), state] }
}

/// Reads what a client sends back.
pub(super) fn decode_history(entries: Vec<Object>) -> Result<Vec<Reasoning>, Failure> {
    let mut blocks: Vec<(Option<u64>, Reasoning)> = Vec::new();
    for mut entry in entries {
        let index = entry.count("index")?;
        let mut text = entry.text("text")?.unwrap_or_default();
        if let Some(summary) = entry.text("summary")? {
            text.push_str(&summary);
        }
        let opaque = match (entry.text("signature")?, entry.text("data")?) {
            (Some(signature), _) if !signature.is_empty() => Some(unpack(signature, OpaqueKind::Signature)),
            (_, Some(data)) if !data.is_empty() => Some(unpack(data, OpaqueKind::Encrypted)),
            _ => None,
        };
        match blocks.last_mut() {
            // The state of the text before it, or a further piece of a text sent in pieces.
            Some((place, block)) if *place == index && index.is_some() && block.opaque.is_none() => {
                block.text.push_str(&text);
                block.opaque = opaque;
            }
            _ => blocks.push((index, Reasoning { text, opaque })),
        }
    }
    let is_something = |block: &Reasoning| !block.text.is_empty() || block.opaque.is_some();
    Ok(blocks.into_iter().map(|(_, block)| block).filter(is_something).collect())
}

/// State that we did not pack came from a Chat provider that we cannot tell.
fn unpack(state: String, kind: OpaqueKind) -> Opaque {
    Opaque::unpack(&state).unwrap_or_else(|| Opaque {
        protocol: Protocol::OpenAiChat,
        provider: String::new(),
        kind,
        data: state,
    })
}

impl Detail<'_> {
    /// What may be read of it.
    pub(super) fn said(&self) -> &str {
        self.text.some().or_else(|| self.summary.some()).unwrap_or_default()
    }

    /// Its state, when it has any. The whole entry but its text is kept: a gateway wants its own
    /// `id`, `format` and `index` back.
    pub(super) fn opaque(&self, provider: &str) -> Option<Opaque> {
        let kind = match (self.signature.some(), self.data.some()) {
            (Some(_), _) => OpaqueKind::Signature,
            (None, Some(_)) => OpaqueKind::Encrypted,
            (None, None) => return None,
        };
        let members = [
            ("type", &self.r#type),
            ("signature", &self.signature),
            ("data", &self.data),
            ("id", &self.id),
            ("format", &self.format),
        ];
        let mut entry: Map<String, Value> = members
            .into_iter()
            .filter_map(|(name, words)| Some((name.to_owned(), Value::from(words.some()?))))
            .collect();
        if let Some(Count(index)) = self.index {
            entry.insert("index".to_owned(), Value::from(index));
        }
        let data = Value::Object(entry).to_string();
        Some(Opaque { protocol: Protocol::OpenAiChat, provider: provider.to_owned(), kind, data })
    }
}

/// The entry that [`Detail::opaque`] kept, with its text again, for the provider that made it.
pub(super) fn entry_of_provider(reasoning: &Reasoning, opaque: &Opaque) -> Vec<Value> {
    let Ok(Value::Object(mut entry)) = serde_json::from_str(&opaque.data) else {
        return Vec::new();
    };
    if reasoning.text.is_empty() {
        return vec![Value::Object(entry)];
    }
    let text = Value::from(reasoning.text.as_str());
    if opaque.kind == OpaqueKind::Signature {
        entry.insert("text".to_owned(), text);
        return vec![Value::Object(entry)];
    }
    // Encrypted state stands beside its summary, not in it.
    let mut summary = Map::new();
    summary.insert("type".to_owned(), Value::from("reasoning.summary"));
    summary.insert("summary".to_owned(), text);
    for name in ["format", "index"] {
        if let Some(value) = entry.get(name) {
            summary.insert(name.to_owned(), value.clone());
        }
    }
    vec![Value::Object(summary), Value::Object(entry)]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::codec::openai::object::objects_of;

    fn opaque(kind: OpaqueKind) -> Opaque {
        Opaque { protocol: Protocol::Anthropic, provider: "p".to_owned(), kind, data: "d".to_owned() }
    }

    fn block(text: &str, opaque: Option<Opaque>) -> Reasoning {
        Reasoning { text: text.to_owned(), opaque }
    }

    #[test]
    fn what_we_write_comes_back_as_it_was() {
        let blocks = [
            block("signed", Some(opaque(OpaqueKind::Signature))),
            block("", Some(opaque(OpaqueKind::Redacted))),
            block("summary", Some(opaque(OpaqueKind::Encrypted))),
            block("", Some(opaque(OpaqueKind::Signature))),
        ];
        let mut written = Vec::new();
        for (place, block) in blocks.iter().enumerate() {
            written.extend(entries(&block.text, block.opaque.as_ref().unwrap(), place));
        }
        let Value::Array(written) = serde_json::to_value(written).unwrap() else { panic!() };
        assert_eq!(written[0]["format"], "anthropic");
        assert_eq!(decode_history(objects_of(written, "d").unwrap()).unwrap(), blocks);
    }

    #[test]
    fn pieces_of_one_text_are_joined_and_raw_state_has_no_known_maker() {
        let sent = json!([
            {"type": "reasoning.text", "text": "a", "index": 0},
            {"type": "reasoning.text", "text": "b", "index": 0, "signature": "raw"},
            {"type": "reasoning.summary", "summary": "s"},
            {"type": "reasoning.text", "text": ""},
        ]);
        let Value::Array(sent) = sent else { panic!() };
        let blocks = decode_history(objects_of(sent, "d").unwrap()).unwrap();
        assert_eq!(blocks.iter().map(|block| block.text.as_str()).collect::<Vec<_>>(), ["ab", "s"]);
        let raw = blocks[0].opaque.as_ref().unwrap();
        assert_eq!((raw.provider.as_str(), raw.data.as_str()), ("", "raw"));
    }

    #[test]
    fn a_gateway_gets_its_own_entry_back() {
        let sent = r#"{"type":"reasoning.encrypted","data":"x","id":"rs_1","format":"openai-responses-v1","index":2}"#;
        let detail: Detail<'_> = serde_json::from_str(sent).unwrap();
        let opaque = detail.opaque("or").unwrap();
        assert!(opaque.is_made_by(Protocol::OpenAiChat, "or"));
        let back = entry_of_provider(&block("", Some(opaque.clone())), &opaque);
        assert_eq!(back, [serde_json::from_str::<Value>(sent).unwrap()]);
        let back = entry_of_provider(&block("s", Some(opaque.clone())), &opaque);
        assert_eq!(back[0], json!({"type":"reasoning.summary","summary":"s","format":"openai-responses-v1","index":2}));
    }
}
