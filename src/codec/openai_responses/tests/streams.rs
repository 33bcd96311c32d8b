use serde_json::json;

use super::answers::everything;
use super::{data, decode, decode_body, encode, exchange, folded, full_exchange, kinds, plain_request, try_decode};
use crate::chat::{
    Block, BlockKind, ChatEvent, ChatResponse, Citation, Delta, FinishReason, Opaque, OpaqueKind, Protocol, Usage, fold,
};

/// The events of an answer, its texts in two pieces each.
pub(super) fn events(answer: &ChatResponse) -> Vec<ChatEvent> {
    let halves = |text: &str| {
        let middle = text.char_indices().nth(2).map_or(text.len(), |(i, _)| i);
        let (a, b) = text.split_at(middle);
        [a.to_owned(), b.to_owned()].into_iter().filter(|half| !half.is_empty())
    };
    let mut events = vec![ChatEvent::Started { id: answer.id.clone(), usage: None }];
    for (index, block) in answer.blocks.iter().enumerate() {
        let (kind, deltas): (_, Vec<Delta>) = match block {
            Block::Text(text) => {
                let citations = text.citations.iter().cloned().map(Delta::Citation);
                (BlockKind::Text, halves(&text.text).map(Delta::Text).chain(citations).collect())
            }
            Block::Refusal(text) => (BlockKind::Refusal, halves(text).map(Delta::Text).collect()),
            Block::Reasoning(reasoning) => {
                let opaque = reasoning.opaque.clone().map(Delta::Opaque);
                (BlockKind::Reasoning, halves(&reasoning.text).map(Delta::Text).chain(opaque).collect())
            }
            Block::ToolCall(call) => {
                let kind = BlockKind::ToolCall { id: call.id.clone(), name: call.name.clone(), custom: call.custom };
                (kind, halves(&call.arguments).map(Delta::Arguments).collect())
            }
            other => panic!("{other:?}"),
        };
        events.push(ChatEvent::BlockStarted { index, kind });
        events.extend(deltas.into_iter().map(|delta| ChatEvent::Delta { index, delta }));
        events.push(ChatEvent::BlockEnded { index });
    }
    let (reason, service_tier) = (answer.finish.clone(), answer.service_tier.clone());
    events.push(ChatEvent::Finished { reason, usage: answer.usage, service_tier });
    events
}

/// The answer that a client of ours reads, with our packing taken off.
fn read_back(stream: &[u8]) -> ChatResponse {
    let mut read = fold(try_decode(stream, usize::MAX).unwrap()).unwrap();
    for block in &mut read.blocks {
        if let Block::Reasoning(reasoning) = block {
            reasoning.opaque = reasoning.opaque.take().and_then(|opaque| Opaque::unpack(&opaque.data));
        }
    }
    read.id = None;
    read
}

#[test]
fn reading_what_was_written_gives_the_same_answer() {
    let answer = everything();
    let stream = encode(&events(&answer), &full_exchange());
    assert_eq!(read_back(&stream), ChatResponse { id: None, ..answer });
}

#[test]
fn a_stream_says_every_step_in_order() {
    let stream = encode(&events(&everything()), &full_exchange());
    let values = data(&stream);
    let expected = [
        "created",
        "in_progress",
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.annotation.added",
        "output_text.done",
        "content_part.done",
        "content_part.added",
        "refusal.delta",
        "refusal.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "output_item.added",
        "custom_tool_call_input.delta",
        "custom_tool_call_input.delta",
        "custom_tool_call_input.done",
        "output_item.done",
        "completed",
    ];
    assert_eq!(kinds(&values), expected);
    let last = &values.last().unwrap()["response"];
    assert_eq!(last["output"].as_array().unwrap().len(), 5);
    assert_eq!(last["usage"]["total_tokens"], 30);
    // Each item keeps its id and its place.
    for value in &values {
        if let (Some(id), Some(at)) = (value["item_id"].as_str(), value["output_index"].as_u64()) {
            assert_eq!(last["output"][usize::try_from(at).unwrap()]["id"], id, "{value}");
        }
    }
    let done: Vec<_> = values.iter().filter(|value| value["type"] == "response.output_item.done").collect();
    for (value, item) in done.iter().zip(last["output"].as_array().unwrap()) {
        assert_eq!(&value["item"], item);
    }
}

#[test]
fn a_stream_and_the_whole_answer_say_the_same() {
    let stream = encode(&events(&everything()), &full_exchange());
    let terminal = data(&stream).pop().unwrap()["response"].take();
    let whole = decode_body(&terminal).unwrap();
    let streamed = fold(try_decode(&stream, usize::MAX).unwrap()).unwrap();
    assert_eq!(streamed, whole);
}

#[test]
fn however_a_stream_is_cut_the_events_are_the_same() {
    let stream = encode(&events(&everything()), &full_exchange());
    let whole = try_decode(&stream, usize::MAX).unwrap();
    for size in 1..400 {
        assert_eq!(try_decode(&stream, size).unwrap(), whole, "pieces of {size}");
    }
}

#[test]
fn pieces_are_passed_on_as_they_come() {
    let text = |index: u64, delta: &str| json!({"type": "response.output_text.delta", "output_index": index, "content_index": 0, "delta": delta});
    let created = json!({"type": "response.created", "response": {"id": "resp_1"}});
    let added =
        json!({"type": "response.output_item.added", "output_index": 0, "item": {"type": "message", "content": []}});
    let done = json!({"type": "response.completed", "response": {"status": "completed", "output": []}});
    let delta = |text: &str| ChatEvent::Delta { index: 0, delta: Delta::Text(text.to_owned()) };
    let expected = vec![
        ChatEvent::Started { id: Some("resp_1".to_owned()), usage: None },
        ChatEvent::BlockStarted { index: 0, kind: BlockKind::Text },
        delta("a"),
        delta("\u{1F600}\n"),
        ChatEvent::BlockEnded { index: 0 },
        ChatEvent::Finished { reason: FinishReason::Stop, usage: None, service_tier: None },
    ];
    assert_eq!(decode(&[created, added, text(0, "a"), text(0, ""), text(0, "\u{1F600}\n"), done]), expected);
}

#[test]
fn a_call_without_arguments_gets_an_empty_object() {
    let kind = BlockKind::ToolCall { id: "c".to_owned(), name: "f".to_owned(), custom: false };
    let events = [
        ChatEvent::Started { id: None, usage: None },
        ChatEvent::BlockStarted { index: 0, kind },
        ChatEvent::BlockEnded { index: 0 },
        ChatEvent::Finished { reason: FinishReason::ToolCalls, usage: Some(Usage::default()), service_tier: None },
    ];
    let values = data(&encode(&events, &full_exchange()));
    assert_eq!(values.last().unwrap()["response"]["output"][0]["arguments"], "{}");
    assert_eq!(values[3]["delta"], "{}");
}

#[test]
fn reasoning_that_is_not_shown_leaves_no_item() {
    let opaque = Opaque {
        protocol: Protocol::Anthropic,
        provider: "maker".to_owned(),
        kind: OpaqueKind::Redacted,
        data: "x".to_owned(),
    };
    let hidden = [
        ChatEvent::Started { id: None, usage: None },
        ChatEvent::BlockStarted { index: 0, kind: BlockKind::Reasoning },
        ChatEvent::Delta { index: 0, delta: Delta::Opaque(opaque) },
        ChatEvent::BlockEnded { index: 0 },
        ChatEvent::BlockStarted { index: 1, kind: BlockKind::Text },
        ChatEvent::Delta { index: 1, delta: Delta::Text("a".to_owned()) },
        ChatEvent::BlockEnded { index: 1 },
        ChatEvent::Finished { reason: FinishReason::Stop, usage: None, service_tier: None },
    ];
    let values = data(&encode(&hidden, &exchange(&plain_request())));
    assert_eq!(values.last().unwrap()["response"]["output"].as_array().unwrap().len(), 1);
    let values = data(&encode(&hidden, &full_exchange()));
    let output = values.last().unwrap()["response"]["output"].as_array().unwrap().clone();
    assert_eq!(output.len(), 2);
    assert!(output[0]["encrypted_content"].as_str().unwrap().starts_with("llmp1."));
}

#[test]
fn a_citation_without_a_span_names_all_of_the_text() {
    let citation = Citation { url: "https://x".to_owned(), title: String::new(), span: None };
    let events = [
        ChatEvent::Started { id: None, usage: None },
        ChatEvent::BlockStarted { index: 0, kind: BlockKind::Text },
        ChatEvent::Delta { index: 0, delta: Delta::Text("héé".to_owned()) },
        ChatEvent::Delta { index: 0, delta: Delta::Citation(citation) },
        ChatEvent::BlockEnded { index: 0 },
        ChatEvent::Finished { reason: FinishReason::Stop, usage: None, service_tier: None },
    ];
    let values = data(&encode(&events, &full_exchange()));
    let annotation = &values.last().unwrap()["response"]["output"][0]["content"][0]["annotations"][0];
    assert_eq!((&annotation["start_index"], &annotation["end_index"]), (&json!(0), &json!(3)));
}

#[test]
fn answers_of_both_forms_are_read_alike() {
    let item = json!({"type": "reasoning", "id": "rs", "summary": [
        {"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}], "encrypted_content": "enc"});
    let summary = |i: u64, text: &str| json!({"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": i, "delta": text});
    let whole = json!({"id": "r", "object": "response", "status": "completed", "output": [item]});
    let streamed = folded(&[
        json!({"type": "response.created", "response": {"id": "r"}}),
        json!({"type": "response.output_item.added", "output_index": 0, "item": {"type": "reasoning", "encrypted_content": "partial"}}),
        summary(0, "a"),
        summary(1, "b"),
        json!({"type": "response.output_item.done", "output_index": 0, "item": item}),
        json!({"type": "response.completed", "response": whole}),
    ]);
    assert_eq!(streamed, decode_body(&whole).unwrap());
}
