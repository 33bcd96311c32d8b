//! The life of one request, a file per stage: admit, route, attempt, reply or transcode, finish.

mod admit;
mod answer;
mod attempt;
mod call;
mod count;
mod count_usage;
mod explain;
mod fields;
mod finish;
mod open;
mod outcome;
mod prepare;
mod reply;
mod route;
mod send;
mod timings;
mod transcode;
mod translate;
mod verbatim;

use std::sync::Arc;

use bytes::Bytes;

pub use self::admit::{model_name, refusal, throttle};
pub use self::call::{Call, Caller, Endpoint};
pub use self::explain::{Assessed, Exclusion, Explanation, Question, Verdict, Views, explain};
pub use self::finish::{Finish, Opening, Reporter};
pub use self::outcome::shutting_down;
use self::prepare::Request;
pub use self::reply::{Reply, ReplyBody, failure_reply};
pub use self::timings::Stage;
pub use self::transcode::Transcode;
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
    pub async fn serve(&self, call: &Call, body: Bytes, mut finish: Finish) -> Result<Reply, (Failure, Finish)> {
        let reporter = finish.reporter();
        let sent = tokio::select! {
            sent = self.route_and_send(call, body, &mut finish) => sent,
            () = reporter.cut() => Err(outcome::shutting_down().into()),
        };
        match sent {
            Ok(answer) => Ok(reply::build(answer, finish)),
            Err(failed) => match failed.body {
                Some(body) => {
                    let refusal = answer::Answer::Refusal { headers: failed.headers, body, failure: failed.failure };
                    Ok(reply::build(refusal, finish))
                }
                None => {
                    finish.passed_on(failed.headers);
                    Err((failed.failure, finish))
                }
            },
        }
    }

    async fn route_and_send(
        &self,
        call: &Call,
        body: Bytes,
        finish: &mut Finish,
    ) -> Result<answer::Answer, answer::Failed> {
        let (peek, candidates) = self.route(call, &body, finish)?;
        let request = Request::new(call, body, peek);
        attempt::first_answer(self, &request, &candidates, finish).await
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
