//! What is lost on the way to another protocol, and what must not be.

use std::collections::BTreeSet;

use crate::chat::{Failure, FailureKind};

/// Paths of what no other protocol can take.
#[derive(Debug, Default)]
pub(super) struct Foreign(BTreeSet<String>);

impl Foreign {
    pub(super) fn add(&mut self, path: impl Into<String>) {
        self.0.insert(path.into());
    }

    /// Sorted and distinct.
    pub(super) fn into_paths(self) -> Vec<String> {
        self.0.into_iter().collect()
    }
}

/// Content that no other protocol can carry, and that cannot be left out.
pub(super) fn unsupported(path: &str) -> Failure {
    refused(&format!("`{path}`"), path)
}

/// `what` cannot be carried; it stands in `field`.
pub(super) fn refused(what: &str, field: &str) -> Failure {
    let message = format!("the provider's protocol cannot carry {what}");
    Failure::new(FailureKind::UnsupportedAcrossProtocols, message).with_param(field)
}
