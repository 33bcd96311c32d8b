//! Trying candidates, and failing over as long as nothing of an answer was sent to the client.

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::time::Instant;

use super::answer::{Answer, Failed, after};
use super::outcome::{may_fail_over, shutting_down};
use super::prepare::{Prepared, Request};
use super::progress::Progress;
use super::send::{Attempt, Sent, send};
use super::{Finish, Proxy, Stage, route};
use crate::actors::provider_pool::{Choice, Unchosen};
use crate::chat::Failure;
use crate::config::Candidate;

/// The attempts of one request, one after the other. It may be asked again and again, also after
/// the caller was busy with something else in between; dropping it hangs up on the provider.
pub(super) struct Attempts {
    proxy: Arc<Proxy>,
    request: Rc<Request>,
    candidates: Vec<Candidate>,
    finish: Finish,
    started: Instant,
    /// When all attempts together must have ended.
    deadline: Option<Instant>,
    /// Places of the candidates that had their turn.
    tried: Vec<usize>,
    made: usize,
    running: Option<Pin<Box<dyn Future<Output = Sent>>>>,
    /// The last failure is the answer when there is none.
    last: Option<Failed>,
    /// Why a candidate was passed over; the answer only when no candidate could be asked.
    untranslatable: Option<Failure>,
    /// Why there was no next candidate.
    unchosen: Unchosen,
    /// The end of the process.
    cut: Pin<Box<dyn Future<Output = ()>>>,
}

impl Attempts {
    pub(super) fn new(proxy: &Arc<Proxy>, request: Request, candidates: Vec<Candidate>, finish: Finish) -> Self {
        let deadline = after(proxy.settings.timeouts.request.filter(|_| !request.peek.stream));
        let reporter = finish.reporter();
        Self {
            proxy: Arc::clone(proxy),
            request: Rc::new(request),
            candidates,
            finish,
            started: Instant::now(),
            deadline,
            tried: Vec::new(),
            made: 0,
            running: None,
            last: None,
            untranslatable: None,
            unchosen: Unchosen::Nobody,
            cut: Box::pin(async move { reporter.cut().await }),
        }
    }

    /// The request that is tried to have answered.
    pub(super) fn request(&self) -> &Request {
        &self.request
    }

    /// The record of the request.
    pub(super) const fn finish(&mut self) -> &mut Finish {
        &mut self.finish
    }

    /// The same, when there will be no more attempts.
    pub(super) fn into_finish(self) -> Finish {
        self.finish
    }

    /// The first answer that a candidate gives, for a stream as soon as its first content has
    /// come.
    ///
    /// # Errors
    /// The last failure when nobody answers, or that the process ends.
    pub(super) async fn answer(&mut self) -> Result<Answer, Failed> {
        std::future::poll_fn(|cx| self.poll_answer(cx)).await
    }

    /// The same, to be polled.
    pub(super) fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Result<Answer, Failed>> {
        loop {
            let running = match &mut self.running {
                Some(running) => running,
                None => match self.next() {
                    Some(next) => self.running.insert(next),
                    None => return Poll::Ready(Err(self.give_up())),
                },
            };
            let Poll::Ready(Sent { result, evidence }) = running.as_mut().poll(cx) else {
                std::task::ready!(self.cut.as_mut().poll(cx));
                self.finish.lap(Stage::Upstream);
                return Poll::Ready(Err(shutting_down().into()));
            };
            self.running = None;
            self.finish.lap(Stage::Upstream);
            self.finish.came_back(evidence);
            match result {
                Ok(answer) => return Poll::Ready(Ok(answer)),
                Err(failed) => {
                    self.finish.attempt_failed(&failed.failure);
                    if !may_fail_over(&failed.failure) || self.deadline.is_some_and(|end| end <= Instant::now()) {
                        return Poll::Ready(Err(failed));
                    }
                    self.last = Some(failed);
                }
            }
        }
    }

    /// Starts the next attempt; a candidate that cannot carry the request is passed over.
    fn next(&mut self) -> Option<Pin<Box<dyn Future<Output = Sent>>>> {
        while self.made < self.proxy.settings.max_attempts {
            let pool = self.proxy.handles.pool.load();
            let (place, candidate, choice) = match route::choose(&pool, &self.candidates, &self.tried) {
                Ok((place, candidate, choice)) => (place, candidate.clone(), choice),
                Err(why) => {
                    self.unchosen = why;
                    return None;
                }
            };
            self.tried.push(place);
            match self.request.prepare(&self.proxy, &candidate) {
                Ok(prepared) => return Some(self.start(candidate, prepared, choice)),
                Err(failure) => self.untranslatable = Some(failure),
            }
        }
        None
    }

    fn start(
        &mut self,
        candidate: Candidate,
        prepared: Prepared,
        choice: Choice,
    ) -> Pin<Box<dyn Future<Output = Sent>>> {
        self.made += 1;
        self.finish.lap(Stage::Translate);
        self.finish.attempt(&candidate, choice.permit, prepared.dropped());
        let progress = Rc::new(Progress::new(&self.request, &candidate, &self.proxy.handles.tokenizer));
        self.finish.watch(Rc::clone(&progress));
        let attempt =
            Attempt::new(&self.proxy, &self.request, candidate, &progress).traced(self.finish.attempt_trace());
        Box::pin(send(attempt, prepared, self.started, self.deadline))
    }

    fn give_up(&mut self) -> Failed {
        // One that is saturated might have carried what the others could not.
        let untranslatable = self.untranslatable.take().filter(|_| self.unchosen == Unchosen::Nobody);
        let nobody = || route::unchosen(self.unchosen, &self.request.peek.model);
        self.last.take().unwrap_or_else(|| untranslatable.unwrap_or_else(nobody).into())
    }
}
