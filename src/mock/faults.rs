//! What goes wrong on purpose, and the pace: when each part of an answer is sent, if ever.

use super::frames::Frame;
use actix_web::{HttpResponse, HttpResponseBuilder, http::header::ContentType};
use bytes::Bytes;
use futures_util::stream::{self, Stream};
use std::{io, time::Duration};

/// Tokens that a stalling stream sends before it falls silent.
const TOKENS_BEFORE_STALL: usize = 2;

/// The fault in a model's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// None.
    None,
    /// This HTTP status, 400 to 599, instead of an answer.
    Status(u16),
    /// This pause before the first token.
    Delay(Duration),
    /// Silence: in a stream after the first words, else at once.
    Stall,
    /// The connection drops in mid-answer.
    Cut,
}

/// One step of sending a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Send(Bytes),
    Wait(Duration),
    Hang,
    Drop,
}

impl Fault {
    /// The fault that `model` names.
    pub(super) fn of(model: &str) -> Self {
        if let Some(code) = model.strip_prefix("mock-status-") {
            let code = code.parse().ok().filter(|code| (400..=599).contains(code));
            return Self::Status(code.unwrap_or(400));
        }
        if let Some(wait) = model.strip_prefix("mock-delay-").and_then(|wait| wait.parse().ok()) {
            return Self::Delay(Duration::from_millis(wait));
        }
        match model {
            "mock-stall" => Self::Stall,
            "mock-cut" => Self::Cut,
            _ => Self::None,
        }
    }

    /// Sends `frames` with `pace` between tokens and with this fault; the head is sent at once.
    pub(super) fn stream(self, mut head: HttpResponseBuilder, frames: Vec<Frame>, pace: Duration) -> HttpResponse {
        head.content_type("text/event-stream")
            .insert_header(("cache-control", "no-cache"))
            .streaming(body(steps(frames, pace, self)))
    }

    /// Sends `json` with this fault. Never returns for [`Fault::Stall`].
    pub(super) async fn whole(self, mut head: HttpResponseBuilder, json: Bytes) -> HttpResponse {
        head.content_type(ContentType::json());
        match self {
            Self::Stall => std::future::pending::<()>().await,
            Self::Delay(wait) => tokio::time::sleep(wait).await,
            Self::None | Self::Status(_) | Self::Cut => {}
        }
        if self != Self::Cut {
            return head.body(json);
        }
        let length = u64::try_from(json.len()).unwrap_or(u64::MAX);
        let half = json.slice(..json.len() / 2);
        head.no_chunking(length).streaming(body(vec![Step::Send(half), Step::Drop]))
    }
}

fn steps(frames: Vec<Frame>, pace: Duration, fault: Fault) -> Vec<Step> {
    let tokens = frames.iter().filter(|frame| frame.token).count();
    let (last, end) = match fault {
        Fault::Stall => (TOKENS_BEFORE_STALL.min(tokens), Some(Step::Hang)),
        Fault::Cut => (tokens / 2, Some(Step::Drop)),
        Fault::None | Fault::Status(_) | Fault::Delay(_) => (tokens, None),
    };
    let mut steps = Vec::with_capacity(frames.len().saturating_mul(2));
    let mut sent = 0;
    for frame in frames {
        if end.is_some() && sent == last {
            break;
        }
        if frame.token {
            match fault {
                Fault::Delay(wait) if sent == 0 => steps.push(Step::Wait(wait)),
                _ if sent > 0 && !pace.is_zero() => steps.push(Step::Wait(pace)),
                _ => {}
            }
            sent += 1;
        }
        steps.push(Step::Send(frame.bytes));
    }
    steps.extend(end);
    steps
}

fn body(steps: Vec<Step>) -> impl Stream<Item = io::Result<Bytes>> {
    stream::unfold(steps.into_iter(), |mut steps| async move {
        loop {
            match steps.next()? {
                Step::Send(bytes) => return Some((Ok(bytes), steps)),
                Step::Wait(wait) => tokio::time::sleep(wait).await,
                Step::Hang => std::future::pending::<()>().await,
                Step::Drop => {
                    // Without a turn of the event loop the server would drop what it has not flushed yet.
                    tokio::task::yield_now().await;
                    return Some((Err(io::Error::other("the mock cuts this answer")), steps));
                }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const PACE: Duration = Duration::from_millis(3);

    fn frames() -> Vec<Frame> {
        let mut frames = vec![Frame::data(&json!("open"))];
        frames.extend((1..=4).map(|word| Frame::data(&json!(word)).token_if(true)));
        frames.push(Frame::done());
        frames
    }

    fn send(frame: usize) -> Step {
        Step::Send(frames()[frame].bytes.clone())
    }

    #[test]
    fn model_names_carry_their_faults() {
        assert_eq!(Fault::of("mock-status-429"), Fault::Status(429));
        assert_eq!(Fault::of("mock-status-200"), Fault::Status(400));
        assert_eq!(Fault::of("mock-status-x"), Fault::Status(400));
        assert_eq!(Fault::of("mock-delay-250"), Fault::Delay(Duration::from_millis(250)));
        assert_eq!(Fault::of("mock-delay-soon"), Fault::None);
        assert_eq!(Fault::of("mock"), Fault::None);
    }

    #[test]
    fn the_pace_lies_between_tokens_and_nowhere_else() {
        let wait = || Step::Wait(PACE);
        let want = [send(0), send(1), wait(), send(2), wait(), send(3), wait(), send(4), send(5)];
        assert_eq!(steps(frames(), PACE, Fault::None), want);
        let at_once: Vec<Step> = (0..6).map(send).collect();
        assert_eq!(steps(frames(), Duration::ZERO, Fault::None), at_once);
    }

    #[test]
    fn a_delay_comes_after_the_opening_and_before_the_first_token() {
        let long = Duration::from_secs(9);
        let steps = steps(frames(), Duration::ZERO, Fault::Delay(long));
        assert_eq!(steps[..3], [send(0), Step::Wait(long), send(1)]);
    }

    #[test]
    fn stall_and_cut_stop_after_some_tokens() {
        let stalled = steps(frames(), Duration::ZERO, Fault::Stall);
        assert_eq!(stalled, [send(0), send(1), send(2), Step::Hang]);
        let cut = steps(frames(), Duration::ZERO, Fault::Cut);
        assert_eq!(cut, [send(0), send(1), send(2), Step::Drop]);
    }
}
