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
    pub fn title(self) -> String {
        let words = match self {
            Self::Refused => "connection refused",
            Self::ResetBeforeHead => "reset before the head",
            Self::ResetInBody => "reset in the body; of a stream before its first content",
            Self::ResetMidStream => "reset mid-stream",
            Self::CloseInBody => "closed in the body; of a stream before its first content",
            Self::CloseMidStream => "a body that ends in order, without a terminal event",
            Self::Status(429) => "status 429 with Retry-After: 120",
            Self::Status(status) => return format!("status {status}"),
            Self::HangBeforeHead => "hang before the head",
            Self::HangInBody => "hang in the body; of a stream before its first content",
            Self::HangMidStream => "hang mid-stream",
            Self::DripInBody => "slow drip without end; of a stream before its first content",
            Self::DripMidStream => "slow drip of content without end",
            Self::LimitFirst => {
                "error event first, of a type that is a 429; whole: the same as an answer of status 200"
            }
            Self::LimitMidStream => "error event mid-stream, of a type that is a 429; a good end behind it",
            Self::ErrorFirst => {
                "error event first, without a status of its own; whole: the same as an answer of status 200"
            }
            Self::ErrorMidStream => "error event mid-stream, without a status of its own; a good end behind it",
            Self::JsonFirst => "invalid JSON; in a stream the first content",
            Self::JsonMidStream => "invalid JSON mid-stream; a good end behind it",
            Self::Utf8First => "invalid UTF-8; in a stream the first content",
            Self::Utf8MidStream => "invalid UTF-8 mid-stream; a good end behind it",
            Self::EndlessFirst => "100 MiB answer; of a stream the first event",
            Self::EndlessMidStream => "100 MiB event mid-stream",
            Self::Empty => "empty body",
            Self::OnlyDone => "stream of only [DONE]",
        };
        words.to_owned()
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
