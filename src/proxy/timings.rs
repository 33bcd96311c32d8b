//! Where the time of a request went.

use std::fmt::{self, Write as _};
use std::time::{Duration, Instant};

/// A stage of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The key is looked up.
    Auth,
    /// A token is taken.
    Limit,
    /// The client sends its body.
    Body,
    /// The body is read.
    Parse,
    /// Candidates are found.
    Route,
    /// The request is written in the provider's protocol.
    Translate,
    /// The provider answers: a whole answer to its end, a stream to its first content.
    Upstream,
}

/// The stages in the order of their discriminants, as `Server-Timing` names them; the wait for
/// the client's body is nobody's business but the client's.
const NAMES: [Option<&str>; 7] =
    [Some("auth"), Some("limit"), None, Some("parse"), Some("route"), Some("translate"), Some("upstream")];

/// Room for all stages and a first byte.
const USUAL_LENGTH: usize = 160;

/// A stop watch with a lap for each stage.
#[derive(Debug)]
pub(super) struct Timings {
    last: Instant,
    laps: [Duration; 7],
    /// Failed attempts, as entries of the header.
    failed: Vec<String>,
    /// Of the last attempt: until a new connection stood, and until the head of its answer came.
    met: (Option<Duration>, Option<Duration>),
}

impl Timings {
    pub(super) fn new() -> Self {
        Self { last: Instant::now(), laps: [Duration::ZERO; 7], failed: Vec::new(), met: (None, None) }
    }

    /// Adds the time since the last lap to `stage`.
    pub(super) fn lap(&mut self, stage: Stage) {
        let now = Instant::now();
        let since = now.duration_since(std::mem::replace(&mut self.last, now));
        *self.slot(stage) += since;
    }

    /// Notes an attempt that failed. `provider` is a provider's key, which needs no escaping.
    pub(super) fn failed(&mut self, provider: &str, outcome: &str, took: Duration) {
        let number = self.failed.len() + 1;
        self.failed.push(format!("attempt{number};desc=\"{provider}: {outcome}\";dur={}", Milliseconds(took)));
    }

    /// Notes how the last attempt met its provider: the time from its begin until a new connection
    /// stood, and until the head of its answer came.
    pub(super) const fn met(&mut self, connected: Option<Duration>, head: Option<Duration>) {
        self.met = (connected, head);
    }

    /// All time that was not spent waiting for the provider or the client.
    pub(super) fn gateway(&self, total: Duration) -> Duration {
        let [_, _, body, .., upstream] = self.laps;
        total.saturating_sub(body).saturating_sub(upstream)
    }

    /// A `Server-Timing` header: milliseconds with three decimals. `connect` and `ttfb` follow, of
    /// the last attempt, then failed attempts, one by one; all their times are within that of
    /// `upstream`.
    pub(super) fn header(&self, total: Duration) -> String {
        let shown = NAMES.iter().zip(self.laps).filter_map(|(name, lap)| name.map(|name| (name, lap)));
        let all = shown.chain(std::iter::once(("gateway", self.gateway(total))));
        let (connected, head) = self.met;
        let met = [("connect", connected), ("ttfb", head)].into_iter().filter_map(|(name, time)| Some((name, time?)));
        let mut header = String::with_capacity(USUAL_LENGTH);
        for (name, time) in all.chain(met) {
            // Writing to a String cannot fail.
            let _ = write!(header, "{}{name};dur={}", if header.is_empty() { "" } else { ", " }, Milliseconds(time));
        }
        for attempt in &self.failed {
            header.push_str(", ");
            header.push_str(attempt);
        }
        header
    }

    fn slot(&mut self, stage: Stage) -> &mut Duration {
        let [auth, limit, body, parse, route, translate, upstream] = &mut self.laps;
        match stage {
            Stage::Auth => auth,
            Stage::Limit => limit,
            Stage::Body => body,
            Stage::Parse => parse,
            Stage::Route => route,
            Stage::Translate => translate,
            Stage::Upstream => upstream,
        }
    }
}

/// Shows a time as milliseconds with three decimals; a part of a microsecond is cut off.
struct Milliseconds(Duration);

impl fmt::Display for Milliseconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_micros();
        write!(f, "{}.{:03}", micros / 1000, micros % 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gateways_share_leaves_out_provider_and_client() {
        let mut timings = Timings::new();
        *timings.slot(Stage::Auth) = Duration::from_micros(1500);
        *timings.slot(Stage::Body) = Duration::from_millis(20);
        *timings.slot(Stage::Upstream) = Duration::from_millis(300);
        let header = timings.header(Duration::from_millis(325));
        assert!(header.starts_with("auth;dur=1.500, limit;dur=0.000, parse;dur="), "{header}");
        assert!(header.ends_with("upstream;dur=300.000, gateway;dur=5.000"), "{header}");
    }

    #[test]
    fn failed_attempts_follow_the_stages_in_their_order() {
        let mut timings = Timings::new();
        timings.failed("near", "429", Duration::from_millis(2));
        timings.failed("far", "timeout", Duration::from_millis(1500));
        let header = timings.header(Duration::from_secs(2));
        let attempts = "attempt1;desc=\"near: 429\";dur=2.000, attempt2;desc=\"far: timeout\";dur=1500.000";
        assert!(header.ends_with(attempts), "{header}");
    }
}
