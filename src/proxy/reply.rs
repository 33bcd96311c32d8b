//! What goes back to the client.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;

use super::Finish;
use super::Stage;
use super::answer::{Answer, Failed};
use super::attempts::Attempts;
use super::ending::Ending;
use super::stream::Streamed;
use super::transcode::Transcode;
use crate::chat::Failure;

/// An answer, not yet in the web framework's terms.
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Headers beside those of framing and content type.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: ReplyBody,
}

/// The body of a reply.
pub enum ReplyBody {
    /// A JSON document.
    Whole(Bytes),
    /// Server-sent events.
    Stream(Streamed),
}

/// A request that nobody answered.
pub struct Unanswered {
    /// What to tell the client.
    pub failure: Failure,
    /// The record of the request, still open.
    pub finish: Finish,
}

/// The reply of an answered request. Whole answers end the record here, streams at their end.
pub(super) fn build(answer: Answer, mut finish: Finish) -> Reply {
    match answer {
        Answer::Whole { headers, body, usage } => {
            finish.passed_on(headers);
            finish.usage(usage);
            finish.answers(&body);
            let headers = common_headers(&mut finish);
            finish.end(Ending::Complete(200));
            Reply { status: 200, headers, body: ReplyBody::Whole(body) }
        }
        Answer::Stream { headers, stream, limits } => {
            finish.passed_on(headers);
            let headers = common_headers(&mut finish);
            let stream = Transcode::new(*stream, limits, finish);
            Reply { status: 200, headers, body: ReplyBody::Stream(Streamed::running(stream)) }
        }
        Answer::Refusal { headers, body, failure } => {
            finish.passed_on(headers);
            let mut headers = common_headers(&mut finish);
            headers.extend(error_headers(&failure));
            finish.answers(&body);
            finish.end(Ending::Refused(&failure));
            Reply { status: failure.status(), headers, body: ReplyBody::Whole(body) }
        }
    }
}

/// The reply to a request that nobody answered.
///
/// # Errors
/// The failure to tell, and the record, unless the provider's own error body can be sent.
pub(super) fn refused(failed: Failed, mut finish: Finish) -> Result<Reply, Box<Unanswered>> {
    let Failed { failure, headers, body } = failed;
    match body {
        Some(body) => Ok(build(Answer::Refusal { headers, body, failure }, finish)),
        None => {
            finish.passed_on(headers);
            Err(Box::new(Unanswered { failure, finish }))
        }
    }
}

/// The reply to a streamed request that nobody has answered in a keepalive interval: a head that
/// tells of the attempt under way, then comments until somebody does.
pub(super) fn waiting(mut attempts: Attempts, interval: Duration) -> Reply {
    let finish = attempts.finish();
    finish.lap(Stage::Upstream);
    let headers = common_headers(finish);
    Reply { status: 200, headers, body: ReplyBody::Stream(Streamed::waiting(attempts, interval)) }
}

/// What `work` comes to, unless it takes longer than `patience`.
pub(super) async fn within<T>(patience: Option<Duration>, work: impl Future<Output = T>) -> Option<T> {
    match patience {
        Some(patience) => timeout(patience, work).await.ok(),
        None => Some(work.await),
    }
}

/// The reply that tells a failure of ours, in the form that `encode` gives it.
#[must_use]
pub fn failure_reply(failure: &Failure, mut finish: Finish, encode: impl FnOnce(&Failure, &str) -> Bytes) -> Reply {
    let mut headers = common_headers(&mut finish);
    headers.extend(error_headers(failure));
    if let Some(wait) = failure.retry_after.filter(|_| !failure.is_from_upstream()) {
        // Whole seconds, rounded up, at least one: less would bring the client back too early.
        let seconds = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1);
        headers.push(("retry-after".to_owned(), seconds.to_string()));
        headers.push(("retry-after-ms".to_owned(), wait.as_millis().max(1).to_string()));
    }
    let body = encode(failure, finish.request_id());
    finish.answers(&body);
    finish.failed(failure);
    Reply { status: failure.status(), headers, body: ReplyBody::Whole(body) }
}

/// Headers of every reply: the provider's that may pass, who answered, what was lost, where the
/// time went.
pub(super) fn common_headers(finish: &mut Finish) -> Vec<(String, String)> {
    let mut headers = finish.take_passed_on();
    headers.extend(attempt_headers(finish));
    headers.extend(dropped_header(finish.dropped()));
    headers.push(("server-timing".to_owned(), finish.server_timing()));
    headers
}

/// The lost fields, cut at 1024 bytes with the number of those left out.
fn dropped_header(dropped: &[String]) -> Option<(String, String)> {
    const LONGEST: usize = 1024;
    // A field's name is the client's word and may hold anything.
    let fit = |name: &&String| name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',');
    let names: Vec<&String> = dropped.iter().filter(fit).collect();
    let mut value = String::new();
    for (index, name) in names.iter().enumerate() {
        if value.len() + name.len() + 1 > LONGEST - 8 {
            value.push_str(&format!(",+{}", names.len() - index));
            break;
        }
        if index > 0 {
            value.push(',');
        }
        value.push_str(name);
    }
    (!value.is_empty()).then(|| ("x-llm-proxy-dropped".to_owned(), value))
}

fn error_headers(failure: &Failure) -> Vec<(String, String)> {
    let source = if failure.is_from_upstream() { "upstream" } else { "proxy" };
    let source = ("x-llm-proxy-error-source".to_owned(), source.to_owned());
    // A code of the provider's may be any text; only what a header can hold is told there.
    let code = failure.code().filter(|code| code.bytes().all(|byte| byte.is_ascii_graphic()));
    let code = code.map(|code| ("x-llm-proxy-error-code".to_owned(), code.to_owned()));
    std::iter::once(source).chain(code).collect()
}

fn attempt_headers(finish: &Finish) -> Vec<(String, String)> {
    finish.attempts().map_or_else(Vec::new, |(provider, attempts)| {
        vec![
            ("x-llm-proxy-provider".to_owned(), provider.to_owned()),
            ("x-llm-proxy-attempts".to_owned(), attempts.to_string()),
        ]
    })
}
