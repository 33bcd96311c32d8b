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
    /// True when the process must end: what still runs ends now.
    pub cut: watch::Receiver<bool>,
}

impl Reporter {
    /// Returns when what still runs must end.
    pub async fn cut(&self) {
        let mut cut = self.cut.clone();
        if cut.wait_for(|cut| *cut).await.is_err() {
            // Nobody is left who could say so.
            std::future::pending::<()>().await;
        }
    }
}
