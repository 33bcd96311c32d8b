//! What a replica holds of a shared bucket: a slice of its tokens for a short time.
//!
//! A pure machine: it is told the time and what the shared bucket answered, and it does no I/O.
//! It asks one question at a time, and only when its slice is spent or expired, so that all
//! replicas together hold at most one slice each beyond what the shared bucket ever gave.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::bucket::Terms;

/// How long the tokens of a slice may be spent.
const VALID: Duration = Duration::from_secs(1);

/// An answer that took longer brings a slice at most: within this time no more than a slice
/// flows into the bucket, so what is on its way to waiting requests breaks no bound.
const FRESH: Duration = Duration::from_millis(100);

/// Parts of a token that the shared bucket counts in.
pub(super) const MICRO: u64 = 1_000_000;

/// What the shared bucket gave, and what it has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grant {
    /// Tokens given.
    pub tokens: u32,
    /// Millionths of a token that are left.
    pub left: u64,
}

/// What is decided about one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It may pass.
    Admitted {
        /// Whole tokens left here and, as last told, in the shared bucket.
        remaining: u32,
    },
    /// It may not.
    Refused {
        /// Until the shared bucket has a token again.
        retry_after: Duration,
    },
}

/// What becomes of a request that wants a token.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is decided at once.
    Decided(Verdict),
    /// It waits in line for the shared bucket's answer.
    Waiting {
        /// So many tokens are to be asked for now; `None`: they have been asked for.
        ask: Option<u32>,
    },
}

/// A replica's part of a shared bucket. `W` is a request that waits.
#[derive(Debug)]
pub(super) struct Lease<W> {
    terms: Terms,
    slice: u32,
    tokens: u32,
    expires: Option<Instant>,
    /// Whole tokens in the shared bucket when it was last heard of.
    left: u32,
    /// Until then the shared bucket has no whole token.
    empty_until: Option<Instant>,
    /// When the question under way was asked.
    asked: Option<Instant>,
    waiting: VecDeque<W>,
}

// === impl Lease ===

impl<W> Lease<W> {
    pub(super) fn new(terms: Terms) -> Self {
        Self {
            terms,
            slice: slice(terms),
            tokens: 0,
            expires: None,
            left: terms.burst.get(),
            empty_until: None,
            asked: None,
            waiting: VecDeque::new(),
        }
    }

    /// Takes a token of the slice. Where only the shared bucket can tell, the request that
    /// `request` makes is put in line.
    pub(super) fn take(&mut self, now: Instant, request: impl FnOnce() -> W) -> Taken {
        if self.expires.is_none_or(|expires| expires <= now) {
            self.tokens = 0;
        }
        if let Some(tokens) = self.tokens.checked_sub(1) {
            self.tokens = tokens;
            return Taken::Decided(Verdict::Admitted { remaining: self.known() });
        }
        if let Some(retry_after) = self.empty_for(now) {
            return Taken::Decided(Verdict::Refused { retry_after });
        }
        self.waiting.push_back(request());
        let ask = self.asked.is_none().then(|| self.ask(now));
        Taken::Waiting { ask }
    }

    /// Takes in the answer to the question under way and serves those who wait, first come first
    /// served. `tell` says whether a request was still there: one that left takes no token.
    /// Gives how many tokens to ask for next; `None` when nobody waits any more.
    pub(super) fn answered(
        &mut self,
        grant: Grant,
        now: Instant,
        mut tell: impl FnMut(W, Verdict) -> bool,
    ) -> Option<u32> {
        let took = self.asked.take().map_or(Duration::ZERO, |asked| now.saturating_duration_since(asked));
        self.left = u32::try_from(grant.left / MICRO).unwrap_or(u32::MAX);
        self.empty_until = (self.left == 0).then(|| now + self.next_token(grant.left));
        self.tokens = if took > FRESH { grant.tokens.min(self.slice) } else { grant.tokens };
        self.expires = Some(now + VALID);
        while self.tokens > 0 {
            let Some(request) = self.waiting.pop_front() else { break };
            self.tokens -= 1;
            if !tell(request, Verdict::Admitted { remaining: self.known() }) {
                self.tokens += 1;
            }
        }
        self.tokens = self.tokens.min(self.slice);
        if let Some(retry_after) = self.empty_for(now) {
            for request in self.waiting.drain(..) {
                // Whoever left need not know.
                let _ = tell(request, Verdict::Refused { retry_after });
            }
        }
        (!self.waiting.is_empty()).then(|| self.ask(now))
    }

    /// The question under way will not be answered: nobody waits for it any longer.
    pub(super) fn unanswered(&mut self) {
        self.asked = None;
        self.waiting.clear();
    }

    /// Whole tokens left here and, as last told, in the shared bucket; takes none.
    pub(super) fn remaining(&self, now: Instant) -> u32 {
        let is_valid = self.expires.is_some_and(|expires| now < expires);
        let own = if is_valid { self.tokens } else { 0 };
        own.saturating_add(self.left).min(self.terms.burst.get())
    }

    fn known(&self) -> u32 {
        self.tokens.saturating_add(self.left)
    }

    /// Enough for a slice, or for all who wait: those spend their token at once.
    fn ask(&mut self, now: Instant) -> u32 {
        self.asked = Some(now);
        u32::try_from(self.waiting.len()).unwrap_or(u32::MAX).max(self.slice)
    }

    fn empty_for(&self, now: Instant) -> Option<Duration> {
        self.empty_until.map(|until| until.saturating_duration_since(now)).filter(|wait| !wait.is_zero())
    }

    /// Until a bucket with less than a token has one.
    fn next_token(&self, left: u64) -> Duration {
        let missing = MICRO.saturating_sub(left);
        Duration::from_micros(missing.div_ceil(u64::from(self.terms.per_second.get())))
    }
}

/// Tokens that a replica may hold.
pub(super) fn slice(terms: Terms) -> u32 {
    terms.per_second.get().div_ceil(10).min(terms.burst.get()).max(1)
}
