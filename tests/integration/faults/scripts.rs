//! The faults as acts of a provider.

use super::kinds::{ENDLESS, Fault, Mode};
use super::wire::{Protocol, SAID};
use crate::support::Act;

const MIB: usize = 1 << 20;

/// What a healthy provider does.
pub fn healthy(protocol: Protocol, mode: Mode) -> Vec<Act> {
    match mode {
        Mode::Whole => vec![whole(200, "", protocol.answer().as_bytes())],
        Mode::Streamed => {
            let events = protocol.events();
            stream([events.first, events.content.concat(), events.end].map(Act::chunk).into(), true)
        }
    }
}

/// What a provider with this fault does; the refused one is never asked.
pub fn faulty(fault: Fault, protocol: Protocol, mode: Mode) -> Vec<Act> {
    match (fault, mode) {
        (Fault::Refused, _) => Vec::new(),
        (Fault::ResetBeforeHead, _) => vec![Act::Reset],
        (Fault::HangBeforeHead, _) => vec![Act::Hang],
        (Fault::Status(status), _) => {
            let headers = if status == 429 { "retry-after: 120\r\n" } else { "" };
            vec![whole(status, headers, protocol.error_body(status).as_bytes())]
        }
        (_, Mode::Whole) => faulty_answer(fault, protocol),
        (_, Mode::Streamed) => faulty_stream(fault, protocol),
    }
}

fn faulty_answer(fault: Fault, protocol: Protocol) -> Vec<Act> {
    let answer = protocol.answer();
    // Behind it the answer would still be whole JSON.
    let head = Act::send(format!("HTTP/1.1 200 OK\r\n{JSON}content-length: {}\r\n\r\n{answer}", answer.len() + 9));
    let endless = |unit: Act| vec![Act::send(CHUNKED_JSON), Act::chunk("{\"padding\":\""), unit];
    match fault {
        Fault::ResetInBody => vec![head, Act::Reset],
        Fault::CloseInBody => vec![head, Act::Close],
        Fault::HangInBody => vec![head, Act::Hang],
        Fault::DripInBody => endless(Act::Drip(chunk(b"y"))),
        Fault::EndlessFirst => {
            let mut acts = endless(Act::Repeat(chunk(&[b'y'; MIB]), ENDLESS / MIB));
            acts.push(Act::chunk(format!("\",{}", answer.trim_start_matches('{'))));
            acts.push(Act::send("0\r\n\r\n"));
            acts
        }
        Fault::LimitFirst => vec![whole(200, "", protocol.error_answer(true).as_bytes())],
        Fault::ErrorFirst => vec![whole(200, "", protocol.error_answer(false).as_bytes())],
        Fault::JsonFirst => vec![whole(200, "", truncated(&answer).as_bytes())],
        Fault::Utf8First => vec![whole(200, "", &misspelt(&answer))],
        Fault::Empty => vec![whole(200, "", b"")],
        _ => unreachable!("{fault:?} is one of streams"),
    }
}

fn faulty_stream(fault: Fault, protocol: Protocol) -> Vec<Act> {
    let events = protocol.events();
    let [half, rest] = &events.content;
    let begun = format!("{}{half}", events.first);
    // What it goes on with, as if nothing had happened.
    let good = format!("{rest}{}", events.end);
    let before = |act: Act| stream(vec![Act::chunk(&events.first), act], false);
    let behind = |act: Act| stream(vec![Act::chunk(&begun), act], false);
    let instead = |piece: &[u8]| stream(vec![Act::chunk(&events.first), Act::chunk(piece), Act::chunk(&good)], true);
    let in_between = |piece: &[u8]| stream(vec![Act::chunk(&begun), Act::chunk(piece), Act::chunk(&good)], true);
    match fault {
        Fault::ResetInBody => before(Act::Reset),
        Fault::CloseInBody => before(Act::Close),
        Fault::HangInBody => before(Act::Hang),
        Fault::DripInBody => before(Act::Drip(chunk(b": \n\n"))),
        Fault::EndlessFirst => endless(&events.first),
        Fault::ResetMidStream => behind(Act::Reset),
        Fault::CloseMidStream => stream(vec![Act::chunk(&begun)], true),
        Fault::HangMidStream => behind(Act::Hang),
        Fault::DripMidStream => behind(Act::Drip(chunk(half.as_bytes()))),
        Fault::EndlessMidStream => endless(&begun),
        Fault::LimitFirst => instead(protocol.error_event(true).as_bytes()),
        Fault::LimitMidStream => in_between(protocol.error_event(true).as_bytes()),
        Fault::ErrorFirst => instead(protocol.error_event(false).as_bytes()),
        Fault::ErrorMidStream => in_between(protocol.error_event(false).as_bytes()),
        Fault::JsonFirst => instead(truncated(half).as_bytes()),
        Fault::JsonMidStream => in_between(truncated(rest).as_bytes()),
        Fault::Utf8First => instead(&misspelt(half)),
        Fault::Utf8MidStream => in_between(&misspelt(half)),
        Fault::Empty => stream(Vec::new(), true),
        Fault::OnlyDone => stream(vec![Act::chunk("data: [DONE]\n\n")], true),
        Fault::Refused | Fault::ResetBeforeHead | Fault::HangBeforeHead | Fault::Status(_) => {
            unreachable!("{fault:?} has no stream")
        }
    }
}

const JSON: &str = "content-type: application/json\r\n";
const CHUNKED_JSON: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";

fn whole(status: u16, headers: &str, body: &[u8]) -> Act {
    let head = format!("HTTP/1.1 {status} Any\r\n{JSON}{headers}content-length: {}\r\n\r\n", body.len());
    Act::send([head.as_bytes(), body].concat())
}

fn stream(mut acts: Vec<Act>, ends: bool) -> Vec<Act> {
    acts.insert(0, Act::stream_head());
    if ends {
        acts.push(Act::send("0\r\n\r\n"));
    }
    acts
}

/// One event that does not end for long behind these.
fn endless(events: &str) -> Vec<Act> {
    let event = Act::chunk("data: {\"padding\":\"");
    stream(vec![Act::chunk(events), event, Act::Repeat(chunk(&[b'y'; MIB]), ENDLESS / MIB)], true)
}

fn chunk(piece: &[u8]) -> Vec<u8> {
    let Act::Send(bytes) = Act::chunk(piece) else { unreachable!("a chunk is sent") };
    bytes
}

/// JSON, or an event of a stream, without its last brackets.
fn truncated(text: &str) -> String {
    text.trim_end().trim_end_matches(['}', ']']).to_owned() + &text[text.trim_end().len()..]
}

/// The same with a byte among what is said that no UTF-8 has.
fn misspelt(text: &str) -> Vec<u8> {
    let at = text.find(&SAID[..3]).unwrap() + 2;
    let mut bytes = text.as_bytes().to_vec();
    bytes[at] = 0xff;
    bytes
}
