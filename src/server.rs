//! Composition: store, actors, HTTP server, graceful stop.

mod drain;
mod listener;
mod socket;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix::Arbiter;
use tokio::sync::watch;

use self::drain::Drain;
use self::listener::Services;
use crate::actors::{self, Handles};
use crate::api::{FeedTimings, Newcomers, Phase, RequestSlots, Shared};
use crate::proxy::Reporter;
use crate::settings::Settings;
use crate::store::{self, StoreError};
use crate::telemetry::Telemetry;
use crate::upstream::tls_config;

/// How long the last logs, and the last events for exporters, may take when the process ends.
const FLUSH_WITHIN: Duration = Duration::from_secs(5);

/// How long the last counts of tokens may take: each is given up after 5 s.
const COUNTED_WITHIN: Duration = Duration::from_secs(6);

/// How long the ends of what was cut may take, and how often they are looked for.
const TOLD_WITHIN: Duration = Duration::from_secs(1);
const TOLD_EVERY: Duration = Duration::from_millis(5);

/// How long the last words of what is cut may take.
const CUT_WITHIN: Duration = Duration::from_secs(5);

/// How long the rest of a refused body is taken in. A client that sends all of it before it reads
/// would otherwise see a broken connection instead of the reason.
const LINGER: Duration = Duration::from_secs(30);

/// Why the server did not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The database cannot be used.
    #[error("database: {0}")]
    Store(#[from] StoreError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// `HOST` and `PORT`.
        address: SocketAddr,
        /// Why.
        error: std::io::Error,
    },
    /// Anything else at run time.
    #[error("{0}")]
    Run(String),
}

/// A server that listens but does not serve yet.
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
    shared: Arc<Shared>,
    phase: watch::Sender<Phase>,
    cut: watch::Sender<bool>,
    arbiter: Arbiter,
}

/// Asks a running server to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// After the delay in which load balancers notice.
    Delayed,
    /// As soon as running requests have ended.
    Soon,
}

/// Opens the database, starts the actors and binds the listener.
///
/// # Errors
/// What is missing.
pub async fn bind(settings: Settings) -> Result<Bound, ServerError> {
    let telemetry = Telemetry::new().map_err(|error| ServerError::Run(error.to_string()))?;
    let store = store::connect(&settings.database)?;
    let arbiter = Arbiter::new();
    let handles = actors::start(&arbiter, store, &settings, telemetry.clone()).await?;
    let address = SocketAddr::new(settings.http.host, settings.http.port);
    let listen = |error| ServerError::Listen { address, error };
    let listener = TcpListener::bind(address).map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;
    let (phase, phases) = watch::channel(Phase::Serving);
    let (cut, cuts) = watch::channel(false);
    let reporter = Arc::new(Reporter {
        cut: cuts,
        handles: handles.clone(),
        replica_id: settings.replica_id.clone(),
        log_requests: settings.request_log.enabled,
        errors: settings.request_log.errors,
        bodies: settings.request_log.bodies,
    });
    let shared = Arc::new(Shared {
        handles,
        telemetry,
        reporter,
        phase: phases,
        slots: RequestSlots::new(settings.http.clients.most_requests),
        feed: FeedTimings::default(),
        settings: Arc::new(settings),
    });
    Ok(Bound { listener, address, shared, phase, cut, arbiter })
}

impl Bound {
    /// Where it listens; tells the port that was picked for `PORT=0`.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The actors, for a command that configures what it serves.
    #[must_use]
    pub fn handles(&self) -> &Handles {
        &self.shared.handles
    }

    /// The same with a feed of changes that is more or less patient.
    #[must_use]
    pub fn with_feed_timings(mut self, timings: FeedTimings) -> Self {
        if let Some(shared) = Arc::get_mut(&mut self.shared) {
            shared.feed = timings;
        }
        self
    }

    /// Serves until `stop` says so, then lets running requests end.
    ///
    /// # Errors
    /// When the server cannot run.
    pub async fn serve(self, stop: impl Future<Output = Stop>) -> Result<(), ServerError> {
        let Self { listener, shared, phase, cut, arbiter, .. } = self;
        let drain = shared.settings.http.shutdown_drain;
        let delay = shared.settings.http.shutdown_delay;
        let handles = shared.handles.clone();
        let run = |error: &dyn std::fmt::Display| ServerError::Run(error.to_string());
        let tls = tls_config(shared.settings.upstream.verify_ssl).map_err(|error| run(&error))?;
        let (ends, ended) = watch::channel(false);
        let services = Services { shared: shared.into(), tls, newcomers: Newcomers::default(), ends: ended };
        let last = listener.try_clone().map_err(|error| run(&error))?;
        let server = listener::server(listener, services.clone()).map_err(|error| run(&error))?;
        let drained = Drain { listener: last, handle: server.handle(), services, ends, phase, cut };
        let serving = tokio::task::spawn_local(server);
        let stop = stop.await;
        drained.phase.send_replace(Phase::Draining);
        if stop == Stop::Delayed {
            tokio::time::sleep(delay).await;
        }
        drained.run(drain).await;
        let ended = serving.await;
        told(&handles).await;
        flush(&handles).await;
        arbiter.stop();
        ended.map_err(|error| run(&error))?.map_err(|error| run(&error))
    }
}

/// Waits until what was cut has told its end, which it does where it ran.
async fn told(handles: &Handles) {
    let all_told = async {
        while handles.telemetry.active() > 0.5 {
            tokio::time::sleep(TOLD_EVERY).await;
        }
    };
    if tokio::time::timeout(TOLD_WITHIN, all_told).await.is_err() {
        log::warn!("some requests did not come to an end");
    }
}

async fn flush(handles: &Handles) {
    if tokio::time::timeout(COUNTED_WITHIN, handles.tokenizer.idle()).await.is_err() {
        log::warn!("the tokens of the last requests could not be counted in time");
    }
    let logs = async {
        let flushed = tokio::time::timeout(FLUSH_WITHIN, handles.metrics.flush()).await;
        if !matches!(flushed, Ok(Ok(()))) {
            log::warn!("the last request logs could not be stored in time");
        }
    };
    tokio::join!(logs, handles.exporters.flush(FLUSH_WITHIN));
}
