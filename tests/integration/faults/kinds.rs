//! What providers do wrong.

use serde_json::{Value, json};

/// How long the providers' timeouts are here, in seconds.
const SHORT: f64 = 0.3;

/// How much the endless answer has, in bytes.
pub const ENDLESS: usize = 100 << 20;

/// What a provider does wrong. "First" is before the first content of a stream, "mid" behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Refused,
    ResetBeforeHead,
    ResetInBody,
    ResetMidStream,
    CloseInBody,
    CloseMidStream,
    Status(u16),
    HangBeforeHead,
    HangInBody,
    HangMidStream,
    DripInBody,
    DripMidStream,
    /// An error whose own words tell that it is a 429.
    LimitFirst,
    LimitMidStream,
    /// An error that has no status of its own.
    ErrorFirst,
    ErrorMidStream,
    JsonFirst,
    JsonMidStream,
    Utf8First,
    Utf8MidStream,
    EndlessFirst,
    EndlessMidStream,
    Empty,
    OnlyDone,
}

/// How the client wants its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Whole,
    Streamed,
}

impl Fault {
    pub const ALL: [Self; 31] = [
        Self::Refused,
        Self::ResetBeforeHead,
        Self::ResetInBody,
        Self::ResetMidStream,
        Self::CloseInBody,
        Self::CloseMidStream,
        Self::Status(400),
        Self::Status(401),
        Self::Status(403),
        Self::Status(408),
        Self::Status(429),
        Self::Status(500),
        Self::Status(503),
        Self::Status(529),
        Self::HangBeforeHead,
        Self::HangInBody,
        Self::HangMidStream,
        Self::DripInBody,
        Self::DripMidStream,
        Self::LimitFirst,
        Self::LimitMidStream,
        Self::ErrorFirst,
        Self::ErrorMidStream,
        Self::JsonFirst,
        Self::JsonMidStream,
        Self::Utf8First,
        Self::Utf8MidStream,
        Self::EndlessFirst,
        Self::EndlessMidStream,
        Self::Empty,
        Self::OnlyDone,
    ];

    /// What happens, in words.
    pub fn title(self, mode: Mode) -> String {
        let by_mode = |whole: &'static str, streamed: &'static str| match mode {
            Mode::Whole => whole,
            Mode::Streamed => streamed,
        };
        let words = match self {
            Self::Refused => "connection refused",
            Self::ResetBeforeHead => "reset before the head",
            Self::ResetInBody => by_mode("reset in the body", "reset before the first content"),
            Self::ResetMidStream => "reset mid-stream",
            Self::CloseInBody => by_mode("closed in the body", "closed before the first content"),
            Self::CloseMidStream => "ends in order, without a terminal event",
            Self::Status(429) => "status 429 with Retry-After: 120",
            Self::Status(status) => return format!("status {status}, {}", mode.name()),
            Self::HangBeforeHead => "hang before the head",
            Self::HangInBody => by_mode("hang in the body", "hang before the first content"),
            Self::HangMidStream => "hang mid-stream",
            Self::DripInBody => by_mode("slow drip without end", "slow drip of comments without end"),
            Self::DripMidStream => "slow drip of content without end",
            Self::LimitFirst => by_mode("status 200 with an error that is a 429", "first an error event that is a 429"),
            Self::LimitMidStream => "mid-stream an error event that is a 429, a good end behind it",
            Self::ErrorFirst => by_mode("status 200 with an error", "first an error event without a status of its own"),
            Self::ErrorMidStream => "mid-stream an error event without a status of its own, a good end behind it",
            Self::JsonFirst => by_mode("invalid JSON", "first content of invalid JSON, a good end behind it"),
            Self::JsonMidStream => "invalid JSON mid-stream, a good end behind it",
            Self::Utf8First => by_mode("invalid UTF-8", "first content of invalid UTF-8, a good end behind it"),
            Self::Utf8MidStream => "invalid UTF-8 mid-stream, a good end behind it",
            Self::EndlessFirst => by_mode("100 MiB answer", "100 MiB event before the first content"),
            Self::EndlessMidStream => "100 MiB event mid-stream",
            Self::Empty => by_mode("empty body", "empty stream"),
            Self::OnlyDone => "stream of only [DONE]",
        };
        format!("{words}, {}", mode.name())
    }

    /// The modes in which it makes sense.
    pub const fn modes(self) -> &'static [Mode] {
        match self {
            Self::ResetMidStream
            | Self::CloseMidStream
            | Self::HangMidStream
            | Self::DripMidStream
            | Self::LimitMidStream
            | Self::ErrorMidStream
            | Self::JsonMidStream
            | Self::Utf8MidStream
            | Self::EndlessMidStream
            | Self::OnlyDone => &[Mode::Streamed],
            _ => &[Mode::Whole, Mode::Streamed],
        }
    }

    /// The timeouts that the provider needs so that a test need not wait. Others keep theirs: a
    /// busy machine must not look like a fault.
    pub fn timeouts(self) -> Value {
        match self {
            Self::HangBeforeHead | Self::HangInBody | Self::DripInBody => {
                json!({"request_secs": SHORT, "ttft_secs": SHORT})
            }
            Self::HangMidStream => json!({"stream_idle_secs": SHORT}),
            Self::DripMidStream => json!({"stream_total_secs": 2.0 * SHORT}),
            _ => json!({}),
        }
    }
}

impl Mode {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Streamed => "streamed",
        }
    }
}
