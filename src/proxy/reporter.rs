//! Where the ends of requests are told, and what ends them all.

use tokio::sync::watch;

use crate::actors::Handles;

/// Where ends are told.
pub struct Reporter {
    /// The actors and the metrics.
    pub handles: Handles,
    /// This process among replicas.
    pub replica_id: String,
    /// Whether finished requests are stored.
    pub log_requests: bool,
    /// Whether failed attempts, and errors of our own, are stored.
    pub errors: bool,
    /// Most bytes of a stored body; `None`: neither bodies nor headers are stored.
    pub bodies: Option<usize>,
    /// True when the process must end: what still runs ends now.
    pub cut: watch::Receiver<bool>,
}

impl Reporter {
    /// Whether what is asked and answered is kept until the end of the request.
    #[must_use]
    pub fn wants_content(&self, request_id: &str) -> bool {
        self.bodies.is_some() || self.handles.exporters.wants(request_id).content
    }

    /// Whether what still runs must end.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        *self.cut.borrow()
    }

    /// Returns when what still runs must end.
    pub async fn cut(&self) {
        let mut cut = self.cut.clone();
        if cut.wait_for(|cut| *cut).await.is_err() {
            // Nobody is left who could say so.
            std::future::pending::<()>().await;
        }
    }
}
