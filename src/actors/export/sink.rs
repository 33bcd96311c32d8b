//! What tells one exporter from another, and the one call that both make.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::time::timeout;

use crate::actors::finished::Finished;
use crate::upstream::{Client, HeaderName, HeaderValue, UpstreamRequest};

/// Most bytes of an answer that are read.
const ANSWER: usize = 1 << 20;

/// A service that gets what became of requests.
pub(super) trait Sink: Send + Sync + Unpin + 'static {
    /// How the service is called in the log.
    const NAME: &'static str;

    /// How the service is reached.
    fn target(&self) -> &Target;

    /// How many events [`Sink::encode`] makes of a request.
    fn events(&self, finished: &Finished) -> usize;

    /// Writes the events of a request, each a JSON document. May take long.
    fn encode(&self, finished: &Finished) -> Vec<Bytes>;

    /// How many events of a batch the service did not want although it took the batch, and why.
    fn refused(&self, answer: &[u8]) -> Option<(usize, String)>;
}

/// Where events are sent, and how many at once.
#[derive(Debug)]
pub(super) struct Target {
    /// The address.
    pub url: String,
    /// All headers.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// What stands before and behind the events of a batch, which have commas between them.
    pub frame: (Bytes, Bytes),
    /// Most events that wait.
    pub queue: usize,
    /// Most events of a batch; so many are sent at once.
    pub batch: usize,
    /// Most bytes of a batch.
    pub batch_bytes: usize,
    /// How long an event waits for others.
    pub interval: Duration,
    /// How long the service may take.
    pub timeout: Duration,
    /// Whether every batch is logged, without its contents.
    pub debug: bool,
}

/// What became of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The service has it, but for so many events, and why.
    Taken(Option<(usize, String)>),
    /// It may go better later, if the service knows when.
    Later(String, Option<Duration>),
    /// The service takes no batch of this size.
    TooLarge,
    /// The service will never take it.
    Refused(String),
}

// === impl Target ===

impl Target {
    /// A batch as it is sent.
    pub(super) fn body<'e>(&self, events: impl Iterator<Item = &'e Bytes>) -> Bytes {
        let (before, after) = &self.frame;
        let mut body = BytesMut::from(&before[..]);
        for (place, event) in events.enumerate() {
            if place > 0 {
                body.extend_from_slice(b",");
            }
            body.extend_from_slice(event);
        }
        body.extend_from_slice(after);
        body.freeze()
    }

    /// Sends a batch; the status with which it was answered, if it was, and what that means.
    pub(super) async fn post<S: Sink>(&self, sink: &S, client: &Client, body: Bytes) -> (Option<u16>, Verdict) {
        match timeout(self.timeout, self.exchange(sink, client, body)).await {
            Ok(answered) => answered,
            Err(_elapsed) => (None, Verdict::Later("no answer in time".to_owned(), None)),
        }
    }

    async fn exchange<S: Sink>(&self, sink: &S, client: &Client, body: Bytes) -> (Option<u16>, Verdict) {
        let headers = self.headers.clone();
        let request = UpstreamRequest { url: &self.url, headers, body, connect_timeout: Some(self.timeout) };
        let response = match client.send(request).await {
            Ok(response) => response,
            Err(error) => return (None, Verdict::Later(error.to_string(), None)),
        };
        let (status, retry_after) = (response.head.status, response.head.retry_after());
        // Read to its end, or the connection could not be used again.
        let body = response.body.read_to_end(ANSWER).await;
        let verdict = match (status, body) {
            (200..300, Ok(body)) => Verdict::Taken(sink.refused(&body)),
            // The batch was taken; only what was said of it is lost.
            (200..300, Err(_)) => Verdict::Taken(None),
            (408 | 429 | 500.., _) => Verdict::Later(format!("status {status}"), retry_after),
            (413, _) => Verdict::TooLarge,
            // What it says is not repeated: it may quote what was sent.
            _ => Verdict::Refused(format!("status {status}")),
        };
        (Some(status), verdict)
    }
}
