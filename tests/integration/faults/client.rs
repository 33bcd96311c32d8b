//! A client that asks once and takes down what it gets.

use std::net::SocketAddr;

use serde_json::Value;

use super::cases::Case;
use super::kinds::Mode;
use super::seen::{End, Got, Refusal, Text, Who};
use super::wire::{Protocol, SAID};
use crate::support::{Answer, Connection};

/// What the client of a case saw.
pub struct Heard {
    pub got: Got,
    pub answered: Option<(Who, u16)>,
    pub told_attempts: Vec<(Who, String)>,
}

/// Sends the request of a case and reads all of its answer.
pub fn ask(case: &Case, address: SocketAddr, key: &str) -> Heard {
    let bearer = format!("Bearer {key}");
    let headers = [("authorization", bearer.as_str()), ("x-request-id", &case.request_id())];
    let body = case.client.request(&case.model(), case.mode).to_string();
    let answer = Connection::open(address).try_ask("POST", case.client.path(), &headers, body.as_bytes());
    match answer {
        Ok(answer) => Heard::read(case, &answer),
        Err(error) => {
            let got = Got::Nonsense(format!("an answer without an end: {error}"));
            Heard { got, answered: None, told_attempts: Vec::new() }
        }
    }
}

impl Heard {
    fn read(case: &Case, answer: &Answer) -> Self {
        let attempts = answer.header("x-llm-proxy-attempts").map(|count| count.parse().unwrap());
        let answered = answer.header("x-llm-proxy-provider").and_then(|key| case.who(key)).zip(attempts);
        let timing = answer.header("server-timing").unwrap_or_default();
        let descriptions = timing.split("desc=\"").skip(1).filter_map(|rest| rest.split('"').next());
        let told_attempts = descriptions.filter_map(|description| {
            let (key, outcome) = description.split_once(": ")?;
            Some((case.who(key)?, outcome.to_owned()))
        });
        let got = match (answer.status, case.mode) {
            (200, Mode::Whole) => whole(case.client, answer),
            (200, Mode::Streamed) => streamed(case.client, answer),
            _ => refusal(case.client, answer),
        };
        Self { got, answered, told_attempts: told_attempts.collect() }
    }
}

fn refusal(client: Protocol, answer: &Answer) -> Got {
    let header = |name: &str| answer.header(name).map(str::to_owned);
    let body: Value = match serde_json::from_slice(&answer.body) {
        Ok(body) if header("content-type").as_deref() == Some("application/json") => body,
        _ => return Got::Nonsense(format!("an error that is no JSON: {answer:?}")),
    };
    let Some((kind, code)) = error_of(client, &body) else {
        return Got::Nonsense(format!("not an error of {}: {body}", client.name()));
    };
    Got::Refusal(Refusal {
        status: answer.status,
        kind,
        code,
        header_code: header("x-llm-proxy-error-code"),
        source: header("x-llm-proxy-error-source").unwrap_or_default(),
        retry_after: header("retry-after"),
    })
}

/// Type and code of an error in exactly the shape of the protocol.
fn error_of(client: Protocol, body: &Value) -> Option<(String, Option<String>)> {
    let error = body.get("error")?.as_object()?;
    let text = |name: &str| error.get(name).and_then(Value::as_str).map(str::to_owned);
    text("message").filter(|message| !message.is_empty())?;
    let members = |wanted: &[&str]| wanted.iter().all(|name| error.contains_key(*name));
    match client {
        Protocol::Messages => {
            (body["type"] == "error" && !error.contains_key("code")).then_some(())?;
            Some((text("type")?, None))
        }
        Protocol::Chat | Protocol::Responses => {
            members(&["message", "type", "param", "code"]).then_some(())?;
            Some((text("type")?, text("code")))
        }
    }
}

fn whole(client: Protocol, answer: &Answer) -> Got {
    let body: Value = match serde_json::from_slice(&answer.body) {
        Ok(body) => body,
        Err(error) => return Got::Nonsense(format!("an answer that is no JSON: {error}")),
    };
    match body.pointer(client.text_at()).and_then(Value::as_str) {
        Some(text) => Got::Answer(Text::of(text)),
        None => Got::Nonsense(format!("no answer of {}: {body}", client.name())),
    }
}

/// What a client has understood of a stream.
#[derive(Default)]
struct Understood {
    text: String,
    /// Signs of a good end.
    successes: Vec<&'static str>,
    errors: Vec<(String, Option<String>)>,
    failed_responses: usize,
    /// The last event that is neither sign nor error came behind one.
    goes_on: bool,
}

fn streamed(client: Protocol, answer: &Answer) -> Got {
    if answer.header("content-type") != Some("text/event-stream; charset=utf-8") {
        return Got::Nonsense(format!("not a stream: {answer:?}"));
    }
    let Ok(text) = std::str::from_utf8(&answer.body) else {
        return Got::Nonsense("a stream that is no UTF-8".to_owned());
    };
    let mut understood = Understood::default();
    for event in text.split_terminator("\n\n") {
        let data: Vec<&str> = event.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
        let data = data.join("\n");
        if data == "[DONE]" {
            understood.successes.push("[DONE]");
        } else if !data.is_empty() {
            match serde_json::from_str::<Value>(&data) {
                Ok(value) => understood.event(client, &value),
                Err(error) => return Got::Nonsense(format!("an event that is no JSON: {error}: {}", cut(&data))),
            }
        }
    }
    understood.end(client)
}

impl Understood {
    fn event(&mut self, client: Protocol, event: &Value) {
        let is_over = self.has_ended(client);
        match client {
            Protocol::Chat => self.chat(event),
            Protocol::Messages => self.messages(event),
            Protocol::Responses => self.responses(event),
        }
        self.goes_on |= is_over && event["type"] != "response.failed";
    }

    fn chat(&mut self, event: &Value) {
        if event.get("error").is_some() {
            return self.errors.extend(error_of(Protocol::Chat, event).or_else(|| Some(no_error(event))));
        }
        let choice = &event["choices"][0];
        self.text.push_str(choice["delta"]["content"].as_str().unwrap_or_default());
        if choice["finish_reason"].is_string() {
            self.successes.push("finish_reason");
        }
    }

    fn messages(&mut self, event: &Value) {
        match event["type"].as_str().unwrap_or_default() {
            "content_block_delta" => self.text.push_str(event["delta"]["text"].as_str().unwrap_or_default()),
            "message_delta" => self.successes.push("message_delta"),
            "message_stop" => self.successes.push("message_stop"),
            "error" => {
                self.errors.extend(error_of(Protocol::Messages, event).or_else(|| Some(no_error(event))));
            }
            _ => {}
        }
    }

    fn responses(&mut self, event: &Value) {
        let text = |name: &str| event[name].as_str().map(str::to_owned);
        match event["type"].as_str().unwrap_or_default() {
            "response.output_text.delta" => self.text.push_str(event["delta"].as_str().unwrap_or_default()),
            "response.completed" => self.successes.push("response.completed"),
            "response.incomplete" => self.successes.push("response.incomplete"),
            "response.failed" => {
                let response = &event["response"];
                let is_whole = response["status"] == "failed"
                    && response["error"]["message"].is_string()
                    && response["error"]["code"] == "server_error";
                self.failed_responses += if is_whole { 1 } else { 99 };
            }
            "error" => {
                let is_whole = event["message"].is_string() && event["sequence_number"].is_u64();
                self.errors.push(if is_whole { ("error".to_owned(), text("code")) } else { no_error(event) });
            }
            _ => {}
        }
    }

    /// Whether a client would read on.
    fn has_ended(&self, client: Protocol) -> bool {
        let last = match client {
            Protocol::Chat => "[DONE]",
            Protocol::Messages => "message_stop",
            Protocol::Responses => "response.completed",
        };
        !self.errors.is_empty() || self.successes.contains(&last)
    }

    fn end(mut self, client: Protocol) -> Got {
        let signs: &[&str] = match client {
            Protocol::Chat => &["finish_reason", "[DONE]"],
            Protocol::Messages => &["message_delta", "message_stop"],
            Protocol::Responses => &["response.completed"],
        };
        let told = format!("signs {:?}, errors {:?}", self.successes, self.errors);
        let error = self.errors.pop();
        let is_once = self.errors.is_empty() && !self.goes_on && self.failed_responses <= 1;
        let text = Text::of(&self.text);
        match error {
            Some((kind, code)) if is_once && self.successes.is_empty() => {
                Got::Stream(text, End::Error { kind, code, is_response_failed: self.failed_responses == 1 })
            }
            None if is_once && self.successes == signs && self.failed_responses == 0 => Got::Stream(text, End::Success),
            _ => Got::Nonsense(format!("a stream of {text} that does not end exactly once: {told}")),
        }
    }
}

fn no_error(event: &Value) -> (String, Option<String>) {
    (format!("NO ERROR: {event}"), None)
}

fn cut(text: &str) -> String {
    text.chars().take(80).collect()
}

impl Text {
    fn of(text: &str) -> Self {
        match text {
            "" => Self::Nothing,
            SAID => Self::All,
            _ => Self::Part,
        }
    }
}
