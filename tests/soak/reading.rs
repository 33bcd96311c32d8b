//! What a client makes of an answer, read as strictly as the protocols allow.

use serde_json::Value;

use crate::support::Answer;
use crate::wire::Wire;

/// What a stream said.
#[derive(Debug, Default)]
pub struct Reading {
    pub text: String,
    /// Signs of a good end, such as `[DONE]`.
    pub ends: usize,
    /// Signs that tell of success, of which a cut stream must have none.
    pub successes: usize,
    /// Codes of the errors in the stream.
    pub errors: Vec<String>,
    /// Whether the end, or the error, was the last of it.
    pub is_last: bool,
}

/// How a stream ended, where both is right.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// With all of its text.
    Complete,
    /// With an error of this code after a part of its text.
    Broken(String),
}

impl Reading {
    /// Reads the body of a stream.
    ///
    /// # Errors
    /// What in it is not of the protocol.
    pub fn of(wire: Wire, body: &str) -> Result<Self, String> {
        let mut reading = Self::default();
        if !body.ends_with("\n\n") {
            return Err("a frame without an end".to_owned());
        }
        for frame in body.split("\n\n").filter(|frame| !frame.is_empty()) {
            let data: Vec<&str> = frame.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
            let data = data.concat();
            if data.is_empty() {
                // A comment, which every client skips.
                continue;
            }
            reading.is_last = false;
            if data == "[DONE]" && wire == Wire::Chat {
                reading.end();
                continue;
            }
            let data: Value = serde_json::from_str(&data).map_err(|error| format!("{error}: {data}"))?;
            match wire {
                Wire::Chat => reading.chat(&data),
                Wire::Messages => reading.messages(&data),
                Wire::Responses => reading.responses(&data),
            }
        }
        Ok(reading)
    }

    /// How it ended.
    ///
    /// # Errors
    /// What is wrong with it, when it should say `text`.
    pub fn end_of(&self, text: &str) -> Result<End, String> {
        match &*self.errors {
            [] if self.ends == 1 && self.is_last && self.successes == 1 && self.text == text => Ok(End::Complete),
            [code] => {
                let is_part = !self.text.is_empty() && text.starts_with(&self.text);
                let is_cut = self.ends == 0 && self.successes == 0 && self.is_last;
                let broken = (is_part && is_cut).then(|| End::Broken(code.clone()));
                broken.ok_or_else(|| format!("ended wrongly: {self:?}"))
            }
            _ => Err(format!("neither whole nor broken: {self:?}, not {text:?}")),
        }
    }

    fn say(&mut self, delta: &Value) {
        self.text.push_str(delta.as_str().unwrap_or_default());
    }

    fn end(&mut self) {
        self.ends += 1;
        self.is_last = true;
    }

    fn fail(&mut self, code: &Value, kind: &Value) {
        let code = code.as_str().or_else(|| kind.as_str()).unwrap_or("without a code");
        self.errors.push(code.to_owned());
        self.is_last = true;
    }

    fn chat(&mut self, data: &Value) {
        if !data["error"].is_null() {
            return self.fail(&data["error"]["code"], &data["error"]["type"]);
        }
        let choice = &data["choices"][0];
        self.say(&choice["delta"]["content"]);
        self.successes += usize::from(!choice["finish_reason"].is_null());
    }

    fn messages(&mut self, data: &Value) {
        match data["type"].as_str().unwrap_or_default() {
            "error" => self.fail(&Value::Null, &data["error"]["type"]),
            "content_block_delta" => self.say(&data["delta"]["text"]),
            "message_delta" => self.successes += 1,
            "message_stop" => self.end(),
            _ => {}
        }
    }

    fn responses(&mut self, data: &Value) {
        match data["type"].as_str().unwrap_or_default() {
            "error" => self.fail(&data["code"], &Value::Null),
            "response.output_text.delta" => self.say(&data["delta"]),
            // It repeats the error.
            "response.failed" => self.is_last = self.errors.len() == 1,
            "response.completed" | "response.incomplete" => {
                self.successes += 1;
                self.end();
            }
            _ => {}
        }
    }
}

/// The text of a whole answer.
pub fn text_of(wire: Wire, answer: &Answer) -> Option<String> {
    let body: Value = serde_json::from_slice(&answer.body).ok()?;
    let text = match wire {
        Wire::Chat => &body["choices"][0]["message"]["content"],
        Wire::Messages => &body["content"][0]["text"],
        Wire::Responses => &body["output"][0]["content"][0]["text"],
    };
    text.as_str().map(str::to_owned)
}
