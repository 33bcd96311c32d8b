//! One attempt at one candidate.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout_at};

use super::answer::{Answer, Failed, Headers, after};
use super::clock::Limits;
use super::count_usage::{Asked, Tally};
use super::facts::Evidence;
use super::outcome::hide;
use super::pipe::Pipe;
use super::prepare::{Prepared, Request, Translated};
use super::progress::Progress;
use super::{Proxy, open, shown_headers, translate, verbatim};
use crate::chat::{Failure, FailureKind, Usage};
use crate::codec::{self, UpstreamCodec};
use crate::config::{Candidate, Provider};
use crate::telemetry::trace::TraceContext;
use crate::upstream::{
    BodyError, Head, SendError, UpstreamBody, UpstreamRequest, UpstreamResponse, endpoint_url, headers, mask,
    time_connect, trace_headers,
};

/// What one attempt works with.
pub(super) struct Attempt {
    proxy: Arc<Proxy>,
    request: Rc<Request>,
    candidate: Candidate,
    upstream: &'static dyn UpstreamCodec,
    progress: Rc<Progress>,
    /// Its span, which the provider is told; `None` while there are no spans.
    trace: Option<TraceContext>,
    /// What it sends and gets.
    evidence: RefCell<Evidence>,
}

/// How an attempt ended.
pub(super) struct Sent {
    /// What it brought.
    pub result: Result<Answer, Failed>,
    /// What it sent and got.
    pub evidence: Evidence,
}

/// Sends the prepared request and waits for the answer, for a stream to its first content.
/// A stream may take so long from `started` in all.
pub(super) async fn send(attempt: Attempt, prepared: Prepared, started: Instant, deadline: Option<Instant>) -> Sent {
    let (own, settings) = (&attempt.candidate.provider.params.timeouts, &attempt.proxy.settings.timeouts);
    let stream = attempt.request.peek.stream;
    let first = if stream {
        or_default(own.ttft, settings.ttft).or_else(|| or_default(own.request, settings.request))
    } else {
        own.request.filter(|time| !time.is_zero())
    };
    let total = or_default(own.stream_total, settings.stream_total).filter(|_| stream);
    let total_until = total.and_then(|total| started.checked_add(total));
    let deadline = deadline.into_iter().chain(after(first)).chain(total_until).min();
    let limits = Limits {
        idle: or_default(own.stream_idle, settings.stream_idle),
        total_until,
        keepalive: attempt.proxy.settings.sse_keepalive,
    };
    let answer = attempt.answer(prepared, limits);
    let result = match deadline {
        Some(deadline) => timeout_at(deadline, answer).await.unwrap_or_else(|_elapsed| {
            let is_total = total_until == Some(deadline);
            Err(attempt.late(is_total).into())
        }),
        None => answer.await,
    };
    Sent { result, evidence: attempt.evidence.take() }
}

impl Attempt {
    /// An attempt that has not begun; it tells `progress` how far it comes.
    pub(super) fn new(
        proxy: &Arc<Proxy>,
        request: &Rc<Request>,
        candidate: Candidate,
        progress: &Rc<Progress>,
    ) -> Self {
        Self {
            proxy: Arc::clone(proxy),
            request: Rc::clone(request),
            upstream: codec::upstream(candidate.provider.kind.protocol()),
            candidate,
            progress: Rc::clone(progress),
            trace: None,
            evidence: RefCell::default(),
        }
    }

    /// The same, within a span.
    pub(super) fn traced(self, trace: Option<TraceContext>) -> Self {
        Self { trace, ..self }
    }

    /// The failure of an attempt that had no answer when its time was over.
    fn late(&self, is_total: bool) -> Failure {
        let kind = match self.request.peek.stream {
            true if is_total => FailureKind::StreamTotalTimeout,
            true => FailureKind::TtftTimeout,
            false => FailureKind::UpstreamTimeout,
        };
        Failure::new(kind, format!("the provider {} did not answer in time", self.candidate.provider.key))
    }

    async fn answer(&self, prepared: Prepared, limits: Limits) -> Result<Answer, Failed> {
        let response = self.connect_and_send(&prepared).await?;
        self.note(|evidence| {
            evidence.head_at = Some(Instant::now());
            evidence.status = Some(response.head.status);
        });
        let headers = passed_on(&response.head);
        if response.head.status >= 300 {
            return Err(self.refused(response, headers, matches!(prepared, Prepared::Verbatim(_))).await);
        }
        self.progress.accepted();
        if self.request.peek.stream {
            return self.stream(response.body, &prepared, headers, limits).await;
        }
        let limit = self.proxy.settings.upstream_max_response_bytes;
        let body = response.body.read_to_end(limit).await.map_err(|error| unusable(&error))?;
        self.keep_answer(&body);
        match prepared {
            Prepared::Verbatim(_) => {
                let verbatim = self.request.call.endpoint.verbatim();
                let answer = verbatim.forward_response(&body, &self.request.peek.model);
                let answer = answer.map_err(|failure| self.hide(failure))?;
                let usage = match answer.usage {
                    None => verbatim::estimate(&self.request, &self.candidate, &self.proxy.handles, &body).await,
                    usage => usage,
                };
                let headers = estimated(headers, usage);
                Ok(Answer::Whole { headers, body: answer.body, usage })
            }
            Prepared::Translated(translated) => self.translated(&body, *translated, headers).await,
        }
    }

    async fn stream(
        &self,
        body: UpstreamBody,
        prepared: &Prepared,
        headers: Headers,
        limits: Limits,
    ) -> Result<Answer, Failed> {
        let limit = self.proxy.settings.upstream_max_response_bytes;
        let opened = open::until_content(body, self.pipe(prepared)?, limit, &self.progress).await;
        let stream = opened.map_err(|failure| self.hide(failure))?;
        Ok(Answer::Stream { headers, stream: Box::new(stream), limits })
    }

    fn pipe(&self, prepared: &Prepared) -> Result<Box<dyn Pipe>, Failure> {
        match prepared {
            Prepared::Verbatim(_) => Ok(verbatim::pipe(&self.request, &self.candidate, &self.proxy.handles)),
            Prepared::Translated(translated) => {
                let counted = (&self.proxy.handles, &self.candidate.mapped_model);
                Ok(translate::pipe(translated, self.upstream, self.request.call.endpoint.client()?, counted))
            }
        }
    }

    async fn translated(&self, body: &Bytes, translated: Translated, headers: Headers) -> Result<Answer, Failed> {
        let provider = &self.candidate.provider.key;
        let decoded = self.upstream.decode_response(body, &translated.chat, provider);
        let mut response = decoded.map_err(|failure| self.hide(failure))?;
        if response.usage.is_none() {
            let (tokenizer, model) = (&self.proxy.handles.tokenizer, &self.candidate.mapped_model);
            let tally = Tally::new(tokenizer, model, Asked::Chat(Arc::clone(&translated.chat)));
            response.usage = tally.count_answer(&response.blocks).await;
        }
        let headers = estimated(headers, response.usage);
        let body = self.request.call.endpoint.client()?.encode_response(&response, &translated.exchange);
        Ok(Answer::Whole { headers, body, usage: response.usage })
    }

    async fn connect_and_send(&self, prepared: &Prepared) -> Result<UpstreamResponse, Failure> {
        let (provider, call) = (&*self.candidate.provider, &self.request.call);
        let operation = self.request.operation(&self.candidate);
        let mut url = endpoint_url(provider, operation, &self.candidate.mapped_model).ok_or_else(|| {
            let message = format!("the provider {} cannot answer this kind of request", provider.key);
            Failure::new(FailureKind::UnsupportedOperation, message)
        })?;
        let (body, forwarded) = match prepared {
            Prepared::Verbatim(body) => {
                if let Some(query) = &call.query {
                    url.push(if url.contains('?') { '&' } else { '?' });
                    url.push_str(query);
                }
                (body.clone(), &*call.forwarded)
            }
            Prepared::Translated(translated) => (translated.body.clone(), [].as_slice()),
        };
        let mut all = trace_headers(self.trace.as_ref());
        // The operator's own come last, which wins.
        all.extend(headers(provider, &call.request_id, self.request.peek.stream, forwarded));
        let upstream = UpstreamRequest {
            url: &url,
            headers: all,
            body,
            connect_timeout: or_default(provider.params.timeouts.connect, self.proxy.settings.timeouts.connect),
        };
        if self.keeps_bodies() {
            self.note(|evidence| {
                let pairs = upstream.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
                evidence.request_headers = shown_headers(pairs, &provider.hidden);
                evidence.request_body = upstream.body.clone();
            });
        }
        let (result, connected) = time_connect(self.proxy.client.send(upstream)).await;
        self.note(|evidence| evidence.connected = connected);
        result.map_err(|error| self.no_answer(&error))
    }

    /// Whether the error log gets what is sent and what comes back.
    fn keeps_bodies(&self) -> bool {
        let log = &self.proxy.settings.request_log;
        log.errors && log.bodies.is_some()
    }

    fn keep_answer(&self, body: &Bytes) {
        if self.keeps_bodies() {
            self.note(|evidence| evidence.response_body = body.clone());
        }
    }

    fn note(&self, what: impl FnOnce(&mut Evidence)) {
        what(&mut self.evidence.borrow_mut());
    }

    fn no_answer(&self, error: &SendError) -> Failure {
        let kind = match error {
            SendError::Connect(_) | SendError::ConnectTimeout => FailureKind::UpstreamConnect,
            SendError::Broken(_) => FailureKind::UpstreamReset,
            SendError::Invalid(_) => FailureKind::UpstreamInvalidResponse,
        };
        self.hide(Failure::new(kind, format!("the provider {}: {error}", self.candidate.provider.key)))
    }

    /// The failure of an answer with an error status, with its body where the client can read it.
    async fn refused(&self, response: UpstreamResponse, headers: Headers, verbatim: bool) -> Failed {
        let provider: &Provider = &self.candidate.provider;
        let Head { status, .. } = response.head;
        if status < 400 {
            let message = format!("the provider {} answered with the redirect status {status}", provider.key);
            return Failure::new(FailureKind::UpstreamInvalidResponse, message).into();
        }
        let retry_after = response.head.retry_after();
        // Read to its end, or the connection could not be used again.
        let limit = self.proxy.settings.upstream_max_response_bytes;
        let body = response.body.read_to_end(limit).await.unwrap_or_default();
        self.keep_answer(&body);
        let body = Bytes::from(mask(&body, &provider.hidden).into_owned());
        let mut failure = self.upstream.decode_error(status, &body);
        failure.retry_after = retry_after;
        let fits = verbatim && self.request.call.endpoint.verbatim().is_error_body(&body);
        Failed { failure, headers, body: fits.then_some(body) }
    }

    /// The same failure without keys in its words.
    fn hide(&self, failure: Failure) -> Failure {
        hide(&failure, &self.candidate.provider)
    }
}

fn unusable(error: &BodyError) -> Failure {
    Failure::new(FailureKind::UpstreamInvalidResponse, error.to_string())
}

/// Tells the client when usage was counted here.
fn estimated(mut headers: Headers, usage: Option<Usage>) -> Headers {
    if usage.is_some_and(|usage| usage.estimated) {
        headers.push(("x-llm-proxy-usage".to_owned(), "estimated".to_owned()));
    }
    headers
}

/// Headers of the provider's answer that the client gets.
fn passed_on(head: &Head) -> Headers {
    let id = ["x-request-id", "request-id", "apim-request-id"].into_iter().find_map(|name| head.header(name));
    let id = id.map(|id| ("x-upstream-request-id".to_owned(), id.to_owned()));
    let limits = head.with_prefix(&["x-ratelimit-", "anthropic-ratelimit-"]);
    let limits = limits.map(|(name, value)| (format!("x-upstream-{name}"), value.to_owned()));
    let again = ["retry-after", "retry-after-ms", "x-should-retry"].into_iter().filter(|_| head.status >= 400);
    let again = again.filter_map(|name| Some((name.to_owned(), head.header(name)?.to_owned())));
    id.into_iter().chain(limits).chain(again).collect()
}

/// A provider's own timeout, where zero is off, or the process-wide one.
fn or_default(own: Option<Duration>, default: Option<Duration>) -> Option<Duration> {
    own.or(default).filter(|time| !time.is_zero())
}
