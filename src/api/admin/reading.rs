//! Answering from memory.

use std::sync::Arc;

use super::error::AdminError;
use crate::api::Shared;
use crate::config::Snapshot;

/// The configuration in force here; it answers also while the database is down.
///
/// # Errors
/// 503 before any was loaded.
pub(super) fn current(shared: &Shared) -> Result<Arc<Snapshot>, AdminError> {
    Some(shared.handles.snapshot.load()).filter(|snapshot| snapshot.is_loaded()).ok_or_else(AdminError::unavailable)
}
