//! What becomes known of a request on its way.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::Caller;
use super::capture::Capture;
use super::count_usage::Tally;
use super::progress::Progress;
use crate::actors::finished::AttemptMade;
use crate::actors::provider_pool::{AttemptFacts, Permit};
use crate::chat::Usage;
use crate::config::{Prices, Provider};
use crate::telemetry::trace::TraceContext;

/// What becomes known on the way.
#[derive(Default)]
pub(super) struct Facts {
    pub caller: Option<Caller>,
    /// Bounded, for metrics.
    pub model_label: Option<String>,
    pub model: Option<String>,
    pub mapped: Option<Arc<str>>,
    pub provider: Option<Arc<Provider>>,
    /// Of the model at that provider.
    pub prices: Prices,
    pub streaming: bool,
    pub attempts: i32,
    /// The attempts that have ended, where somebody wants them.
    pub made: Vec<AttemptMade>,
    /// The provider of the last failed attempt and what became of it.
    pub left: Option<(Arc<str>, &'static str)>,
    pub first_content: Option<Duration>,
    /// Our own time until then; while a stream runs all of it is waiting.
    pub gateway: Option<Duration>,
    pub usage: Option<Usage>,
    /// What is counted when the request has ended, where the provider did not get to it.
    pub uncounted: Option<Tally>,
    pub upstream_request_id: Option<String>,
    /// Headers of the provider's last answer that the client gets.
    pub passed_on: Vec<(String, String)>,
    /// What of the request the provider could not take.
    pub dropped: Vec<String>,
    /// Bytes of a stream's events so far.
    pub sent: u64,
    /// What was asked and answered, where somebody wants it.
    pub capture: Option<Capture>,
}

/// The attempt that is running.
pub(super) struct Running {
    pub provider: Arc<Provider>,
    pub started: tokio::time::Instant,
    /// What it has shown so far.
    pub facts: AttemptFacts,
    /// What it sent and got.
    pub evidence: Evidence,
    /// How far it has come, until it has brought an answer.
    pub progress: Option<Rc<Progress>>,
    /// Its span; `None` while there are no spans.
    pub trace: Option<TraceContext>,
    /// Given back when the attempt has ended.
    pub _permit: Permit,
}

/// What an attempt sent and got; bodies and headers only where the error log wants them.
#[derive(Default)]
pub(super) struct Evidence {
    /// When the head of the answer came, if it did.
    pub head_at: Option<tokio::time::Instant>,
    /// From the attempt's begin until a new connection stood; `None` for one that was kept.
    pub connected: Option<Duration>,
    /// The status of the answer.
    pub status: Option<u16>,
    /// What was sent, by lower-case names, secrets masked.
    pub request_headers: Vec<(String, String)>,
    /// What was sent.
    pub request_body: Bytes,
    /// What came back, as far as it was read as a whole.
    pub response_body: Bytes,
}
