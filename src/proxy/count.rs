//! How many tokens a Messages request would have.

use bytes::Bytes;

use super::prepare::Request;
use super::{Call, Finish, Proxy, Reply, ReplyBody, answer, attempt, outcome, reply, route};
use crate::actors::tokenizer::count;
use crate::chat::{Countable, Failure, FailureKind};
use crate::codec::ClientCodec as _;
use crate::codec::anthropic::Anthropic;
use crate::config::Candidate;

impl Proxy {
    /// Asks an Anthropic provider of the model, whose own count is exact; counts here for any
    /// other, or when the provider has no such endpoint.
    ///
    /// # Errors
    /// The failure to tell the client, and the record of the request, still open.
    pub async fn count_tokens(&self, call: &Call, body: Bytes, mut finish: Finish) -> Result<Reply, (Failure, Finish)> {
        let reporter = finish.reporter();
        let counted = tokio::select! {
            counted = self.ask_provider(call, &body, &mut finish) => counted,
            () = reporter.cut() => Err(outcome::shutting_down()),
        };
        match counted {
            Ok(Counted::There(found)) => Ok(reply::build(found, finish)),
            Ok(Counted::Here(model)) => self.count_here(&body, &model, finish).await,
            Err(failure) => Err((failure, finish)),
        }
    }

    async fn ask_provider(&self, call: &Call, body: &Bytes, finish: &mut Finish) -> Result<Counted, Failure> {
        let (peek, candidates) = self.route(call, body, finish)?;
        let model = candidates.first().map_or_else(String::new, |first| first.mapped_model.to_string());
        let (able, others): (Vec<Candidate>, Vec<Candidate>) = candidates.into_iter().partition(route::counts_tokens);
        if able.is_empty() {
            return Ok(Counted::Here(model));
        }
        let request = Request::new(call, body.clone(), peek);
        match attempt::first_answer(self, &request, &able, finish).await {
            Ok(found) => Ok(Counted::There(found)),
            Err(failed) if matches!(failed.failure.kind, FailureKind::Upstream(404 | 405)) => Ok(Counted::Here(model)),
            // Nobody could be asked, but requests of this model are answered all the same.
            Err(failed) if failed.failure.kind == FailureKind::NoProviderAvailable && !others.is_empty() => {
                Ok(Counted::Here(model))
            }
            Err(failed) => match failed.body {
                Some(body) => {
                    let (headers, failure) = (failed.headers, failed.failure);
                    Ok(Counted::There(answer::Answer::Refusal { headers, body, failure }))
                }
                None => Err(failed.failure),
            },
        }
    }

    async fn count_here(&self, body: &Bytes, model: &str, mut finish: Finish) -> Result<Reply, (Failure, Finish)> {
        let countable = match Anthropic.decode_request(body) {
            Ok(chat) => Countable::from(&chat),
            Err(failure) => return Err((failure, finish)),
        };
        let Some(tokens) = count(&self.handles.tokenizer, model, countable).await else {
            let failure = Failure::new(FailureKind::Internal, "the tokens cannot be counted now");
            return Err((failure, finish));
        };
        finish.passed_on(vec![("x-llm-proxy-usage".to_owned(), "estimated".to_owned())]);
        let headers = reply::common_headers(&mut finish);
        finish.answered(200);
        let body = Bytes::from(format!("{{\"input_tokens\":{tokens}}}"));
        Ok(Reply { status: 200, headers, body: ReplyBody::Whole(body) })
    }
}

/// Who counted.
enum Counted {
    /// The provider.
    There(answer::Answer),
    /// Nobody yet; the name of the model, which decides the vocabulary.
    Here(String),
}
