//! How far the running attempt has come, for a request that ends while it runs.

use std::cell::Cell;

use super::count_usage::{Tally, asked};
use super::prepare::Request;
use crate::actors::tokenizer::Tokenizer;
use crate::chat::Usage;
use crate::config::Candidate;

/// How far an attempt has come before its answer, for a stream before its first content.
pub(super) struct Progress {
    is_accepted: Cell<bool>,
    usage: Cell<Option<Usage>>,
    tally: Option<Tally>,
}

impl Progress {
    /// An attempt that begins.
    pub(super) fn new(request: &Request, candidate: &Candidate, tokenizer: &Tokenizer) -> Self {
        let asked = asked(request.call.endpoint, &request.body);
        let tally = asked.map(|asked| Tally::new(tokenizer, &candidate.mapped_model, asked));
        Self { is_accepted: Cell::new(false), usage: Cell::new(None), tally }
    }

    /// The head of an answer without an error came: what was asked has its price from now on.
    pub(super) fn accepted(&self) {
        self.is_accepted.set(true);
    }

    /// Token counts so far.
    pub(super) fn told(&self, usage: Option<Usage>) {
        self.usage.set(usage.or(self.usage.get()));
    }

    /// What the provider has told of tokens.
    pub(super) fn usage(&self) -> Option<Usage> {
        self.usage.get()
    }

    /// What is to be counted if the request ends now.
    pub(super) fn tally(&self) -> Option<Tally> {
        self.tally.clone().filter(|_| self.is_accepted.get())
    }
}
