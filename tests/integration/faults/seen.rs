//! What a case looks like from outside: by rule, and as it was observed.

use std::fmt;

/// Which of the two providers of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    Faulty,
    Spare,
}

/// Everything that a request with a fault leaves behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub got: Got,
    /// Who answered, by the header, and the number of attempts.
    pub answered: Option<(Who, u16)>,
    /// Failed attempts that the head of the answer tells of, in `Server-Timing`.
    pub told_attempts: Vec<(Who, String)>,
    /// Requests that arrived at the faulty provider and at the spare one.
    pub asked: (usize, usize),
    /// What the breaker thinks of the faulty provider.
    pub breaker: String,
    /// What is kept of the faulty provider's last error: its category.
    pub last_error: Option<String>,
    /// Whether the spare one is thought well of.
    pub is_spare_well: bool,
    /// Attempts that were never given back.
    pub in_flight: u64,
    pub counted: Counted,
    pub row: Row,
    /// The lines of the process about failed attempts: who, category, status.
    pub warned: Vec<(Who, String, u16)>,
}

/// What the client gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Got {
    Refusal(Refusal),
    Answer(Text),
    Stream(Text, End),
    /// Nothing that a client could use.
    Nonsense(String),
}

/// An HTTP error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub status: u16,
    pub kind: String,
    /// In the body; Messages has none there.
    pub code: Option<String>,
    /// The header that repeats it in every protocol.
    pub header_code: Option<String>,
    pub source: String,
    pub retry_after: Option<String>,
}

/// How much of what the provider says came through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Text {
    Nothing,
    Part,
    All,
}

/// How a stream ends: exactly once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    Success,
    Error {
        kind: String,
        code: Option<String>,
        /// Responses: the response itself is told to have failed, too.
        is_response_failed: bool,
    },
}

/// The metrics of a case's two providers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counted {
    /// `requests_total`: by whom and with which status.
    pub requests: Vec<(Who, String)>,
    /// `upstream_attempts_total`: what became of which attempts.
    pub attempts: Vec<(Who, String)>,
    /// `failovers_total`: who was left, and why.
    pub failovers: Vec<(Who, String)>,
    /// `streams_total`: whose stream ended how.
    pub streams: Vec<(Who, String)>,
}

/// The row of the request log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub outcome: String,
    pub status: i32,
    pub category: Option<String>,
    pub attempts: i32,
    pub provider: Option<Who>,
}

impl Who {
    const fn name(self) -> &'static str {
        match self {
            Self::Faulty => "faulty",
            Self::Spare => "spare",
        }
    }
}

impl fmt::Display for Got {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_none = |code: &Option<String>| code.clone().unwrap_or_else(|| "-".to_owned());
        match self {
            Self::Refusal(Refusal { status, kind, header_code, source, retry_after, .. }) => {
                write!(f, "{status} {kind} / {} ({source})", or_none(header_code))?;
                retry_after.iter().try_for_each(|seconds| write!(f, ", Retry-After {seconds}"))
            }
            Self::Answer(text) => write!(f, "200, {text}"),
            Self::Stream(text, End::Success) => write!(f, "200, {text}, ended well"),
            Self::Stream(text, End::Error { kind, code, is_response_failed }) => {
                write!(f, "200, {text}, error {kind} / {}", or_none(code))?;
                f.write_str(if *is_response_failed { ", response.failed" } else { "" })
            }
            Self::Nonsense(what) => write!(f, "NONSENSE: {what}"),
        }
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "no text",
            Self::Part => "part of the text",
            Self::All => "all of the text",
        })
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { outcome, status, category, attempts, provider } = self;
        let provider = provider.map_or("-", Who::name);
        write!(f, "{outcome} {status} {} {attempts} {provider}", category.as_deref().unwrap_or("-"))
    }
}

/// A list of things that providers did or had done to them.
pub fn list(things: &[(Who, String)]) -> String {
    let parts: Vec<String> = things.iter().map(|(who, what)| format!("{} {what}", who.name())).collect();
    if parts.is_empty() { "-".to_owned() } else { parts.join(", ") }
}
