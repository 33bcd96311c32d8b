//! How many tokens a Messages request would have.

use std::sync::Arc;

use bytes::Bytes;

use super::attempts::Attempts;
use super::prepare::Request;
use super::{Call, Finish, Proxy, Reply, ReplyBody, Unanswered, reply, route};
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
    pub async fn count_tokens(
        self: &Arc<Self>,
        call: Call,
        body: Bytes,
        mut finish: Finish,
    ) -> Result<Reply, Box<Unanswered>> {
        let (peek, candidates) = match self.route(&call, &body, &mut finish) {
            Ok(found) => found,
            Err(failure) => return Err(Box::new(Unanswered { failure, finish })),
        };
        let model = candidates.first().map_or_else(String::new, |first| first.mapped_model.to_string());
        let (able, others): (Vec<Candidate>, Vec<Candidate>) = candidates.into_iter().partition(route::counts_tokens);
        if able.is_empty() {
            return self.count_here(&body, &model, finish).await;
        }
        let mut attempts = Attempts::new(self, Request::new(call, body.clone(), peek), able, finish);
        let answer = attempts.answer().await;
        let finish = attempts.into_finish();
        match answer {
            Ok(answer) => Ok(reply::build(answer, finish)),
            Err(failed) if is_counted_here(&failed.failure, &others) => self.count_here(&body, &model, finish).await,
            Err(failed) => reply::refused(failed, finish),
        }
    }

    async fn count_here(&self, body: &Bytes, model: &str, mut finish: Finish) -> Result<Reply, Box<Unanswered>> {
        let countable = match Anthropic.decode_request(body) {
            Ok(chat) => Countable::from(&chat),
            Err(failure) => return Err(Box::new(Unanswered { failure, finish })),
        };
        let Some(tokens) = count(&self.handles.tokenizer, model, countable).await else {
            let failure = Failure::new(FailureKind::Internal, "the tokens cannot be counted now");
            return Err(Box::new(Unanswered { failure, finish }));
        };
        finish.passed_on(vec![("x-llm-proxy-usage".to_owned(), "estimated".to_owned())]);
        let headers = reply::common_headers(&mut finish);
        let body = Bytes::from(format!("{{\"input_tokens\":{tokens}}}"));
        finish.answers(&body);
        finish.answered(200);
        Ok(Reply { status: 200, headers, body: ReplyBody::Whole(body) })
    }
}

/// Whether the tokens are counted here because no provider does: it has no such endpoint, or
/// nobody could be asked although requests of this model are answered by `others`.
const fn is_counted_here(failure: &Failure, others: &[Candidate]) -> bool {
    match failure.kind {
        FailureKind::Upstream(404 | 405) => true,
        FailureKind::NoProviderAvailable | FailureKind::ProviderSaturated => !others.is_empty(),
        _ => false,
    }
}
