//! What the writer of configuration tells those who follow it.

use std::sync::Arc;

use actix::Message;

use crate::config::Snapshot;

/// Tells a follower of the configuration that will be published next. It answers when it has
/// published its own view of it.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct Adopt(pub Arc<Snapshot>);
