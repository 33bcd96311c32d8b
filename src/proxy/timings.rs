//! Where the time of a request went.

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

/// A stop watch with a lap for each stage.
#[derive(Debug)]
pub(super) struct Timings {
    last: Instant,
    laps: [Duration; 7],
}

impl Timings {
    pub(super) fn new() -> Self {
        Self { last: Instant::now(), laps: [Duration::ZERO; 7] }
    }

    /// Adds the time since the last lap to `stage`.
    pub(super) fn lap(&mut self, stage: Stage) {
        let now = Instant::now();
        let since = now.duration_since(std::mem::replace(&mut self.last, now));
        *self.slot(stage) += since;
    }

    /// All time that was not spent waiting for the provider or the client.
    pub(super) fn gateway(&self, total: Duration) -> Duration {
        let [_, _, body, .., upstream] = self.laps;
        total.saturating_sub(body).saturating_sub(upstream)
    }

    /// A `Server-Timing` header: milliseconds with three decimals.
    pub(super) fn header(&self, total: Duration) -> String {
        let shown = NAMES.iter().zip(self.laps).filter_map(|(name, lap)| name.map(|name| (name, lap)));
        let all = shown.chain(std::iter::once(("gateway", self.gateway(total))));
        let parts: Vec<String> =
            all.map(|(name, time)| format!("{name};dur={:.3}", time.as_secs_f64() * 1000.0)).collect();
        parts.join(", ")
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
}
