//! Forwarding between a Chat client and a Chat provider: what is special to Chat.

use bytes::Bytes;

use super::packed;
use super::wire::Chunk;
use crate::codec::Peek;
use crate::codec::openai::body::{Subject, edited, edits};
use crate::codec::openai::stream::{Choices, Told};

/// The field that every request must have.
pub(super) const MESSAGES: Subject = Subject { name: "messages", begins: &['['], rule: "must be an array" };

/// The body for a provider that calls the model `model`.
pub(super) fn forward_request(body: &Bytes, peek: &Peek, model: &str, inject_usage: bool) -> Bytes {
    let mut all = packed::removals(body);
    all.extend(edits(body, peek, model, inject_usage));
    edited(body, all)
}

/// Reads a chunk of a stream.
pub(super) fn read_chunk<'b>(text: &'b str, choices: &mut Choices) -> Result<Told<'b>, serde_json::Error> {
    let chunk: Chunk<'b> = serde_json::from_str(text)?;
    let mut told = Told { model: chunk.model, usage: chunk.usage, error: chunk.error, ..Told::default() };
    for choice in chunk.choices.iter().flatten() {
        let index = choice.index.unwrap_or_default().0;
        choices.note(index, !choice.finish_reason.is_empty());
        told.has_choices = true;
        if let Some(said) = choice.delta.as_ref().filter(|said| said.has_content()) {
            told.has_content = true;
            said.texts().for_each(|text| choices.hear(index, text));
        }
    }
    Ok(told)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::openai::body::peek;

    #[test]
    fn packed_reasoning_and_the_model_are_taken_out_together() {
        let body = Bytes::from_static(
            br#"{"model":"m","messages":[{"reasoning_details":[{"data":"llmp1.x"}],"content":"c"}]}"#,
        );
        let forwarded = forward_request(&body, &peek(&body, MESSAGES).unwrap(), "n", true);
        assert_eq!(forwarded, r#"{"model":"n","messages":[{"content":"c"}]}"#);
    }

    #[test]
    fn every_kind_of_content_counts_as_content() {
        for (delta, content) in [
            (r#"{"content":"a"}"#, true),
            (r#"{"reasoning_content":"a"}"#, true),
            (r#"{"reasoning":"a"}"#, true),
            (r#"{"refusal":"a"}"#, true),
            (r#"{"tool_calls":[{"index":0,"id":"x","function":{"name":"f","arguments":""}}]}"#, true),
            (r#"{"tool_calls":[{"index":0,"function":{"arguments":"{"}}]}"#, true),
            (r#"{"function_call":{"name":"f"}}"#, true),
            (r#"{"role":"assistant","content":null,"refusal":null,"tool_calls":null}"#, false),
            (r#"{"tool_calls":[{"index":0,"id":"x","function":{"arguments":""}}]}"#, false),
        ] {
            let chunk = format!("{{\"choices\":[{{\"index\":0,\"delta\":{delta}}}]}}");
            let told = read_chunk(&chunk, &mut Choices::default()).unwrap();
            assert_eq!(told.has_content, content, "{delta}");
        }
    }

    #[test]
    fn a_chunk_tells_of_its_choices() {
        let mut choices = Choices::default();
        assert!(!read_chunk(r#"{"choices":[],"usage":{}}"#, &mut choices).unwrap().has_choices);
        assert!(read_chunk(r#"{"choices":[{"delta":{}}]}"#, &mut choices).unwrap().has_choices);
        assert!(read_chunk("{", &mut choices).is_err());
    }
}
