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
            for piece in said.texts() {
                choices.hear(index, piece);
                told.texts.note(text, index, piece);
            }
        }
    }
    Ok(told)
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use serde_json::{Value, json};

    use super::*;
    use crate::codec::openai::body::peek;
    use crate::codec::openai::stream::Stream;
    use crate::codec::{Heard, VerbatimStream as _};
    use crate::sse::Parser;

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
    fn a_stream_is_forwarded_as_each_of_its_chunks_is_alone() {
        let pieces =
            ["Hello", " wörld", "", "\u{2028}", "a\nb", "\"q\"", "\\", "x", "y", "[DONE]", "}", "z\u{1f600}", "w"];
        let deltas: [fn(&str) -> Value; 4] = [
            |text| json!({"content": text}),
            |text| json!({"reasoning_content": text, "content": null}),
            |text| json!({"tool_calls": [{"index": 0, "function": {"arguments": text}}]}),
            |text| json!({"content": [{"type": "text", "text": text}]}),
        ];
        let asked = br#"{"model":"alias","messages":[],"stream":true,"stream_options":{"include_usage":true}}"#;
        let peek = peek(&Bytes::from_static(asked), MESSAGES).unwrap();
        let mut chunks = Vec::new();
        for (delta, choice) in deltas.into_iter().zip([0, 1, 0, 2]) {
            for (n, piece) in pieces.iter().cycle().take(40).enumerate() {
                let chunk = json!({"id": "c", "model": "real", "system_fingerprint": if n % 17 == 16 { "new" } else { "f" },
                    "choices": [{"index": choice, "delta": delta(piece), "finish_reason": null}],
                    "usage": if n % 13 == 12 { json!({"prompt_tokens": n, "completion_tokens": 1}) } else { Value::Null }});
                chunks.push(format!("data: {chunk}\n\n"));
            }
        }
        let run = |stream: &mut Stream, chunk: &str| {
            let (mut parser, mut out) = (Parser::new(1 << 20), BytesMut::new());
            parser.feed(chunk.as_bytes());
            let seen = stream.forward(&parser.next_frame().unwrap().unwrap(), &mut out).unwrap();
            (out, seen.content)
        };
        let mut stream = Stream::new(&peek, read_chunk);
        let (mut heard, mut out) = (Heard::default(), Vec::new());
        for chunk in &chunks {
            let mut alone = Stream::new(&peek, read_chunk);
            let written = run(&mut alone, chunk);
            assert_eq!(written.0, chunk.replace("\"real\"", "\"alias\""));
            assert_eq!(run(&mut stream, chunk), written, "{chunk}");
            out.extend_from_slice(&written.0);
            let told: Value = serde_json::from_str(chunk.trim_start_matches("data: ")).unwrap();
            let choice = &told["choices"][0];
            for text in [
                &choice["delta"]["content"],
                &choice["delta"]["content"][0]["text"],
                &choice["delta"]["reasoning_content"],
                &choice["delta"]["tool_calls"][0]["function"]["arguments"],
            ] {
                heard.hear(choice["index"].as_u64().unwrap(), text.as_str().unwrap_or_default().as_bytes());
            }
        }
        assert_eq!(stream.said(), heard);
    }

    #[test]
    fn a_chunk_tells_of_its_choices() {
        let mut choices = Choices::default();
        assert!(!read_chunk(r#"{"choices":[],"usage":{}}"#, &mut choices).unwrap().has_choices);
        assert!(read_chunk(r#"{"choices":[{"delta":{}}]}"#, &mut choices).unwrap().has_choices);
        assert!(read_chunk("{", &mut choices).is_err());
    }
}
