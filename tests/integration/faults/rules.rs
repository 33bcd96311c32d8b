//! What each fault must come to. Nothing here looks at what happened.

use super::cases::Case;
use super::kinds::{Fault, Mode};
use super::seen::{Counted, End, Got, Refusal, Row, Seen, Text, Who};
use super::wire::{OWN_CODE, OWN_TYPE, Protocol};

/// What a fault is to llm-proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failure {
    /// No answer begins.
    Connect,
    Reset,
    /// A whole answer that cannot be used.
    Invalid,
    /// A stream that cannot be used, or used further.
    Stream,
    Timeout,
    FirstTokenTimeout,
    IdleTimeout,
    TotalTimeout,
    /// An error status.
    Status(u16),
    /// An error in what should be an answer, of a type that is a 429.
    LimitEvent,
    /// The same in a stream, without a status of its own.
    ErrorEvent,
    /// The same as a whole answer.
    ErrorAnswer,
}

/// When a fault shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    /// While the client has nothing.
    First,
    /// Behind the first content of a stream.
    Mid,
}

/// What clients of the two families of protocols are told of a failure.
struct Told {
    status: u16,
    openai: &'static str,
    code: Option<&'static str>,
    anthropic: &'static str,
}

/// What must be seen of a case.
pub fn expected(case: &Case) -> Seen {
    let (failure, when) = what_it_is(case.fault, case.mode);
    let goes_on = case.is_backed && when == When::First && failure.may_fail_over();
    let answering = if goes_on { Who::Spare } else { Who::Faulty };
    let attempts = if goes_on { 2 } else { 1 };
    let label = failure.label().to_owned();
    let failed_attempt = (Who::Faulty, label);
    let got = match (goes_on, when) {
        (true, _) => whole_answer(case.mode),
        (false, When::First) => Got::Refusal(failure.refusal(case)),
        (false, When::Mid) => Got::Stream(Text::Part, failure.in_band(case)),
    };
    let is_told = when == When::First;
    Seen {
        answered: Some((answering, attempts)),
        told_attempts: if is_told { vec![failed_attempt] } else { Vec::new() },
        asked: (usize::from(case.fault != Fault::Refused), usize::from(goes_on)),
        breaker: failure.breaker().to_owned(),
        last_error: Some(failure.category().to_owned()),
        is_spare_well: true,
        in_flight: 0,
        counted: counted(case, failure, answering, &got),
        row: row(&got, failure, answering, attempts),
        warned: vec![(Who::Faulty, failure.category().to_owned(), failure.told().status)],
        got,
    }
}

fn what_it_is(fault: Fault, mode: Mode) -> (Failure, When) {
    let is_streamed = mode == Mode::Streamed;
    let unusable = if is_streamed { Failure::Stream } else { Failure::Invalid };
    let first = match fault {
        Fault::Refused => Failure::Connect,
        Fault::ResetBeforeHead => Failure::Reset,
        Fault::Status(status) => Failure::Status(status),
        Fault::HangBeforeHead | Fault::HangInBody | Fault::DripInBody if is_streamed => Failure::FirstTokenTimeout,
        Fault::HangBeforeHead | Fault::HangInBody | Fault::DripInBody => Failure::Timeout,
        Fault::ErrorFirst if is_streamed => Failure::ErrorEvent,
        Fault::ErrorFirst => Failure::ErrorAnswer,
        Fault::LimitFirst => Failure::LimitEvent,
        // Larger than any answer may be, whatever it would have been.
        Fault::EndlessFirst => Failure::Invalid,
        Fault::ResetInBody
        | Fault::CloseInBody
        | Fault::JsonFirst
        | Fault::Utf8First
        | Fault::Empty
        | Fault::OnlyDone => unusable,
        Fault::HangMidStream => return (Failure::IdleTimeout, When::Mid),
        Fault::DripMidStream => return (Failure::TotalTimeout, When::Mid),
        Fault::LimitMidStream => return (Failure::LimitEvent, When::Mid),
        Fault::ErrorMidStream => return (Failure::ErrorEvent, When::Mid),
        Fault::ResetMidStream
        | Fault::CloseMidStream
        | Fault::JsonMidStream
        | Fault::Utf8MidStream
        | Fault::EndlessMidStream => return (Failure::Stream, When::Mid),
    };
    (first, When::First)
}

const fn whole_answer(mode: Mode) -> Got {
    match mode {
        Mode::Whole => Got::Answer(Text::All),
        Mode::Streamed => Got::Stream(Text::All, End::Success),
    }
}

fn counted(case: &Case, failure: Failure, answering: Who, got: &Got) -> Counted {
    let failed = || (Who::Faulty, failure.label().to_owned());
    let goes_on = answering == Who::Spare;
    let success = goes_on.then(|| (Who::Spare, "success".to_owned()));
    let status = if let Got::Refusal(refusal) = got { refusal.status } else { 200 };
    let outcome = if goes_on { "complete" } else { "failed" };
    let streams = (case.mode == Mode::Streamed).then(|| (answering, outcome.to_owned()));
    Counted {
        requests: vec![(answering, status.to_string())],
        attempts: std::iter::once(failed()).chain(success).collect(),
        failovers: goes_on.then(failed).into_iter().collect(),
        streams: streams.into_iter().collect(),
    }
}

fn row(got: &Got, failure: Failure, answering: Who, attempts: u16) -> Row {
    let is_complete = answering == Who::Spare;
    let status = if let Got::Refusal(refusal) = got { refusal.status } else { 200 };
    Row {
        outcome: if is_complete { "complete" } else { "failed" }.to_owned(),
        status: i32::from(status),
        category: (!is_complete).then(|| failure.category().to_owned()),
        attempts: i32::from(attempts),
        provider: Some(answering),
    }
}

impl Failure {
    /// The client's own fault would meet the same answer elsewhere.
    const fn may_fail_over(self) -> bool {
        !matches!(self, Self::Status(400))
    }

    fn told(self) -> Told {
        let told = |status, openai, code, anthropic| Told { status, openai, code: Some(code), anthropic };
        match self {
            Self::Connect | Self::Reset => told(502, "server_error", "upstream_connect_error", "api_error"),
            Self::Invalid | Self::ErrorAnswer => told(502, "server_error", "upstream_invalid_response", "api_error"),
            Self::Stream | Self::ErrorEvent => told(502, "server_error", "upstream_stream_error", "api_error"),
            Self::Timeout => told(504, "timeout_error", "upstream_timeout", "timeout_error"),
            Self::FirstTokenTimeout => told(504, "timeout_error", "ttft_timeout", "timeout_error"),
            Self::IdleTimeout => told(504, "timeout_error", "stream_idle_timeout", "timeout_error"),
            Self::TotalTimeout => told(504, "timeout_error", "stream_total_timeout", "timeout_error"),
            Self::LimitEvent => told(429, "requests", "rate_limit_exceeded", "rate_limit_error"),
            Self::Status(status) => match status {
                401 => told(401, "invalid_request_error", "upstream_unauthorized", "authentication_error"),
                403 => told(403, "permission_error", "upstream_forbidden", "permission_error"),
                408 => told(408, "timeout_error", "upstream_timeout", "timeout_error"),
                429 => told(429, "requests", "rate_limit_exceeded", "rate_limit_error"),
                503 | 529 => told(status, "server_error", "overloaded", "overloaded_error"),
                500.. => Told { status, openai: "server_error", code: None, anthropic: "api_error" },
                _ => {
                    let kind = "invalid_request_error";
                    Told { status, openai: kind, code: None, anthropic: kind }
                }
            },
        }
    }

    /// Type and code of the provider's own words, when it has said something.
    fn own_words(self, provider: Protocol) -> Option<(&'static str, Option<&'static str>)> {
        match (self, provider) {
            (Self::LimitEvent, _) => Some(provider.error_words(true)),
            (Self::ErrorEvent | Self::ErrorAnswer, _) => Some(provider.error_words(false)),
            (Self::Status(_), Protocol::Messages) => Some((OWN_TYPE, None)),
            (Self::Status(_), _) => Some((OWN_TYPE, Some(OWN_CODE))),
            _ => None,
        }
    }

    /// The code: the provider's own, else its type, else the table's.
    fn code(self, provider: Protocol) -> Option<String> {
        let own = self.own_words(provider).map(|(kind, code)| code.unwrap_or(kind));
        own.or(self.told().code).map(str::to_owned)
    }

    fn kind_for(self, client: Protocol) -> &'static str {
        if client == Protocol::Messages { self.told().anthropic } else { self.told().openai }
    }

    fn refusal(self, case: &Case) -> Refusal {
        let (client, provider) = (case.client, case.provider);
        let code = self.code(provider);
        // An error status of the same protocol is forwarded byte for byte.
        let kind = match self {
            Self::Status(_) if client == provider => OWN_TYPE,
            _ => self.kind_for(client),
        };
        Refusal {
            status: self.told().status,
            kind: kind.to_owned(),
            code: code.clone().filter(|_| client != Protocol::Messages),
            header_code: code,
            source: if self.own_words(provider).is_some() { "upstream" } else { "proxy" }.to_owned(),
            retry_after: (self == Self::Status(429)).then(|| "120".to_owned()),
        }
    }

    /// The end of a stream that had begun.
    fn in_band(self, case: &Case) -> End {
        let (client, provider) = (case.client, case.provider);
        let forwarded = self.own_words(provider).filter(|_| client == provider);
        let is_forwarded = forwarded.is_some();
        let (kind, code) = match forwarded {
            Some((kind, code)) => (kind, code.map(str::to_owned)),
            None if client == Protocol::Responses => ("error", self.code(provider)),
            None => (self.kind_for(client), self.code(provider).filter(|_| client == Protocol::Chat)),
        };
        // What the provider says is forwarded as it says it; ours is said in full.
        let is_response_failed = client == Protocol::Responses && !is_forwarded;
        End::Error { kind: kind.to_owned(), code, is_response_failed }
    }

    /// With thresholds of 1, but for 429.
    const fn breaker(self) -> &'static str {
        match self {
            Self::Status(401) => "open: auth",
            Self::Status(408) => "closed x0.90",
            Self::Status(429) | Self::LimitEvent => "cooldown",
            Self::Status(500..) => "open: 5xx",
            Self::Status(_) => "closed x1.00",
            _ => "open: transport",
        }
    }

    /// As the metrics of attempts call it.
    const fn label(self) -> &'static str {
        match self {
            Self::Connect | Self::Reset => "connect",
            Self::Invalid | Self::ErrorAnswer => "invalid_response",
            Self::Stream | Self::ErrorEvent => "stream_error",
            Self::Timeout | Self::IdleTimeout | Self::TotalTimeout => "timeout",
            Self::FirstTokenTimeout => "ttft_timeout",
            Self::Status(401 | 403) => "auth",
            Self::Status(408) => "408",
            Self::Status(429) | Self::LimitEvent => "429",
            Self::Status(500..) => "5xx",
            Self::Status(_) => "4xx",
        }
    }

    /// As the request log and the process log call it.
    const fn category(self) -> &'static str {
        match self {
            Self::Connect => "connect_error",
            Self::Reset => "network_error",
            Self::Invalid | Self::ErrorAnswer => "invalid_response",
            Self::Stream | Self::ErrorEvent => "stream_error",
            Self::Timeout | Self::IdleTimeout | Self::TotalTimeout => "timeout",
            Self::FirstTokenTimeout => "ttft_timeout",
            Self::Status(401 | 403) => "provider_auth",
            Self::Status(429) | Self::LimitEvent => "provider_429",
            Self::Status(500..) => "provider_5xx",
            Self::Status(_) => "provider_4xx",
        }
    }
}
