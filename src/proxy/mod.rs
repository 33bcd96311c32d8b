//! The life of one request, a file per stage: admit, route, attempt, reply or transcode, finish.

mod admit;
mod answer;
mod attempts;
mod call;
mod capture;
mod clock;
mod count;
mod count_usage;
mod ending;
mod errors;
mod explain;
mod facts;
mod fields;
mod finish;
mod measure;
mod open;
mod outcome;
mod pipe;
mod prepare;
mod probe;
mod progress;
mod record;
mod reply;
mod reporter;
mod route;
mod row;
mod send;
mod stream;
mod timings;
mod transcode;
mod translate;
mod verbatim;

use std::sync::Arc;

use bytes::Bytes;

pub use self::admit::{model_name, refusal, throttle};
use self::attempts::Attempts;
pub use self::call::{Call, Caller, Endpoint};
pub use self::capture::{ShownHeaders, shown_headers};
pub use self::explain::{Assessed, Exclusion, Explanation, Question, Verdict, Views, explain};
pub use self::finish::{Finish, Opening};
pub use self::outcome::shutting_down;
use self::prepare::Request;
pub use self::probe::probed_models;
pub use self::reply::{Reply, ReplyBody, Unanswered, failure_reply};
pub use self::reporter::Reporter;
pub use self::stream::Streamed;
pub use self::timings::Stage;
use crate::actors::Handles;
use crate::chat::Failure;
use crate::codec::Peek;
use crate::config::Candidate;
use crate::settings::Settings;
use crate::upstream::Client;

/// What a worker thread needs to carry requests to providers.
pub struct Proxy {
    /// The actors' views.
    pub handles: Handles,
    /// The environment.
    pub settings: Arc<Settings>,
    /// This worker's connections.
    pub client: Client,
}

impl Proxy {
    /// Carries a request, whose key and rate limit have been checked, to a provider.
    ///
    /// # Errors
    /// The failure to tell the client, and the record of the request, still open.
    pub async fn serve(
        self: &Arc<Self>,
        call: Call,
        body: Bytes,
        mut finish: Finish,
    ) -> Result<Reply, Box<Unanswered>> {
        let (peek, candidates) = match self.route(&call, &body, &mut finish) {
            Ok(found) => found,
            Err(failure) => return Err(Box::new(Unanswered { failure, finish })),
        };
        let mut attempts = Attempts::new(self, Request::new(call, body, peek), candidates, finish);
        let patience = self.settings.sse_keepalive.filter(|_| attempts.request().is_streamed());
        match (reply::within(patience, attempts.answer()).await, patience) {
            (None, interval) => Ok(reply::waiting(attempts, interval.unwrap_or_default())),
            (Some(Ok(answer)), _) => Ok(reply::build(answer, attempts.into_finish())),
            (Some(Err(failed)), _) => reply::refused(failed, attempts.into_finish()),
        }
    }

    /// Reads what routing must know and finds the providers that may be asked.
    fn route(&self, call: &Call, body: &Bytes, finish: &mut Finish) -> Result<(Peek, Vec<Candidate>), Failure> {
        let peek = call.endpoint.verbatim().peek(body)?;
        let asked = admit::model_name(&peek.model, self.settings.provider_suffix.as_deref());
        finish.asked(&peek.model, peek.stream);
        finish.lap(Stage::Parse);
        admit::allow_model(&call.caller, asked)?;
        let candidates = route::candidates(&call.caller.snapshot, asked, call.endpoint.operation)?;
        finish.mapped_by(&call.caller.snapshot, asked, &candidates);
        finish.lap(Stage::Route);
        Ok((peek, candidates))
    }
}
