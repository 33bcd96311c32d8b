use serde_json::{Value, json};

use super::folded;
use crate::chat::{Block, ChatResponse, Citation, FinishReason, Reasoning, Text, ToolCall};

fn text(text: &str) -> Block {
    Block::Text(Text { text: text.to_owned(), citations: Vec::new() })
}

fn call(id: &str, arguments: &str) -> Block {
    Block::ToolCall(ToolCall {
        id: id.to_owned(),
        name: "f".to_owned(),
        arguments: arguments.to_owned(),
        custom: false,
    })
}

fn call_item(id: &str, arguments: &str) -> Value {
    json!({"type": "function_call", "id": "fc", "call_id": id, "name": "f", "arguments": arguments})
}

fn message_item(text: &str) -> Value {
    json!({"type": "message", "id": "msg", "role": "assistant", "content": [{"type": "output_text", "text": text, "annotations": []}]})
}

fn added(at: u64, item: &Value) -> Value {
    json!({"type": "response.output_item.added", "output_index": at, "item": item})
}

fn done(at: u64, item: &Value) -> Value {
    json!({"type": "response.output_item.done", "output_index": at, "item": item})
}

fn delta(at: u64, text: &str) -> Value {
    json!({"type": "response.output_text.delta", "output_index": at, "content_index": 0, "item_id": text, "delta": text})
}

fn arguments(at: u64, text: &str) -> Value {
    json!({"type": "response.function_call_arguments.delta", "output_index": at, "delta": text})
}

fn completed(output: &[Value]) -> Value {
    json!({"type": "response.completed", "response": {"object": "response", "status": "completed", "output": output}})
}

fn blocks(events: &[Value]) -> Vec<Block> {
    folded(events).blocks
}

#[test]
fn text_is_taken_from_whatever_comes_first_and_never_twice() {
    let empty = json!({"type": "message", "content": []});
    let item = message_item("hello");
    let text_done =
        json!({"type": "response.output_text.done", "output_index": 0, "content_index": 0, "text": "hello"});
    let part_done = json!({"type": "response.content_part.done", "output_index": 0, "content_index": 0, "part": item["content"][0]});
    let all =
        [added(0, &empty), delta(0, "hel"), delta(0, "lo"), text_done, part_done, done(0, &item), completed(&[item])];
    let expected = [text("hello")];
    // Whatever a server leaves out from the front, the rest is enough.
    for skipped in [0..0, 1..3, 1..4, 1..5, 1..6, 0..6, 0..1] {
        let events: Vec<Value> =
            all.iter().enumerate().filter(|(i, _)| !skipped.contains(i)).map(|(_, event)| event.clone()).collect();
        assert_eq!(blocks(&events), expected, "{skipped:?}");
    }
    // And an empty terminal output takes nothing away.
    let mut events = all[..6].to_vec();
    events.push(completed(&[]));
    assert_eq!(blocks(&events), expected);
}

#[test]
fn arguments_are_taken_from_whatever_comes_first_and_never_twice() {
    let item = call_item("c", "{\"a\":1}");
    let args_done =
        json!({"type": "response.function_call_arguments.done", "output_index": 0, "arguments": "{\"a\":1}"});
    let all = [
        added(0, &call_item("c", "")),
        arguments(0, "{\"a\""),
        arguments(0, ":1}"),
        args_done,
        done(0, &item),
        completed(std::slice::from_ref(&item)),
    ];
    let expected = [call("c", "{\"a\":1}")];
    for skipped in [0..0, 1..3, 1..4, 1..5, 0..5, 0..1, 0..4] {
        let events: Vec<Value> =
            all.iter().enumerate().filter(|(i, _)| !skipped.contains(i)).map(|(_, event)| event.clone()).collect();
        assert_eq!(blocks(&events), expected, "{skipped:?}");
    }
    // Only the first event has them.
    assert_eq!(blocks(&[added(0, &item), completed(&[])]), expected);
    assert_eq!(blocks(&[added(0, &item), done(0, &call_item("c", "")), completed(&[])]), expected);
}

#[test]
fn interleaved_calls_are_put_in_order() {
    let events = [
        added(0, &call_item("a", "")),
        added(1, &call_item("b", "")),
        arguments(1, "{\"b\""),
        arguments(0, "{\"a\""),
        arguments(1, ":1}"),
        arguments(0, ":1}"),
        done(1, &call_item("b", "{\"b\":1}")),
        done(0, &call_item("a", "{\"a\":1}")),
        completed(&[]),
    ];
    let answer = folded(&events);
    assert_eq!(answer.blocks, [call("a", "{\"a\":1}"), call("b", "{\"b\":1}")]);
    assert_eq!(answer.finish, FinishReason::ToolCalls);
}

#[test]
fn items_of_the_providers_own_tools_shift_nothing() {
    let search = json!({"type": "web_search_call", "id": "ws", "status": "completed", "arguments": {"odd": 1}});
    let events = [
        added(1, &json!({"type": "message", "content": []})),
        delta(1, "found"),
        json!({"type": "response.web_search_call.searching", "output_index": 0, "delta": {"odd": 1}}),
        completed(&[search, message_item("found")]),
    ];
    assert_eq!(blocks(&events), [text("found")]);
}

#[test]
fn two_items_at_one_index_are_two_items() {
    let events = [
        added(0, &json!({"type": "message", "content": []})),
        delta(0, "one"),
        done(0, &message_item("one")),
        added(0, &call_item("c", "")),
        arguments(0, "{}"),
        done(0, &call_item("c", "{}")),
        completed(&[message_item("one"), call_item("c", "{}")]),
    ];
    assert_eq!(blocks(&events), [text("one"), call("c", "{}")]);
}

#[test]
fn raw_reasoning_of_open_models_is_read_and_a_repeated_summary_is_not() {
    let reasoning = |text: &str| json!({"type": "response.reasoning_text.delta", "output_index": 0, "content_index": 0, "delta": text});
    let summary =
        json!({"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": 0, "delta": "ab"});
    let item = json!({"type": "reasoning", "summary": [{"type": "summary_text", "text": "ab"}],
        "content": [{"type": "reasoning_text", "text": "ab"}]});
    let expected = [Block::Reasoning(Reasoning { text: "ab".to_owned(), opaque: None }), text("x")];
    let events = [
        added(0, &json!({"type": "reasoning", "summary": []})),
        reasoning("a"),
        reasoning("b"),
        summary,
        delta(1, "x"),
        // Some servers close an item only after the next has begun.
        done(0, &item),
        completed(&[item.clone(), message_item("x")]),
    ];
    assert_eq!(blocks(&events), expected);
    assert_eq!(blocks(&[completed(&[item, message_item("x")])]), expected);
}

#[test]
fn encrypted_reasoning_that_comes_late_is_kept() {
    let item =
        json!({"type": "reasoning", "summary": [{"type": "summary_text", "text": "a"}], "encrypted_content": "enc"});
    let events = [
        json!({"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": 0, "delta": "a"}),
        delta(1, "x"),
        done(0, &item),
        completed(&[item, message_item("x")]),
    ];
    let blocks = blocks(&events);
    assert_eq!(blocks.len(), 3);
    let Block::Reasoning(late) = &blocks[2] else { panic!("{blocks:?}") };
    assert_eq!((late.text.as_str(), late.opaque.as_ref().map(|opaque| opaque.data.as_str())), ("", Some("enc")));
}

#[test]
fn text_that_goes_on_behind_a_call_is_kept() {
    let events = [delta(0, "a"), added(1, &call_item("c", "{}")), delta(0, "b"), completed(&[])];
    assert_eq!(blocks(&events), [text("a"), call("c", "{}"), text("b")]);
}

#[test]
fn sources_come_once() {
    let annotation =
        json!({"type": "url_citation", "url": "https://x", "title": "X", "start_index": 0, "end_index": 1});
    let mut item = message_item("a");
    item["content"][0]["annotations"] = json!([annotation, {"type": "file_citation", "file_id": "f"}]);
    let live = json!({"type": "response.output_text.annotation.added", "output_index": 0, "content_index": 0, "annotation": annotation});
    let citation = Citation { url: "https://x".to_owned(), title: "X".to_owned(), span: Some((0, 1)) };
    let expected = [Block::Text(Text { text: "a".to_owned(), citations: vec![citation] })];
    assert_eq!(blocks(&[delta(0, "a"), live, done(0, &item), completed(&[item.clone()])]), expected);
    assert_eq!(blocks(&[delta(0, "a"), completed(&[item])]), expected);
}

#[test]
fn nothing_but_a_terminal_event_is_an_empty_answer() {
    assert_eq!(folded(&[completed(&[])]), ChatResponse::default());
}
