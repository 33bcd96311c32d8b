//! Composition: store, actors, HTTP server, graceful stop.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix::Arbiter;
use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer, middleware, web};
use tokio::sync::watch;

use crate::actors::metrics::Flush;
use crate::actors::{self, Handles};
use crate::api::{self, FeedTimings, Phase, Shared};
use crate::proxy::{Proxy, Reporter};
use crate::settings::Settings;
use crate::store::{self, StoreError};
use crate::telemetry::Telemetry;
use crate::upstream::{Client, tls_config};

/// How long the last logs may take when the process ends.
const FLUSH_WITHIN: Duration = Duration::from_secs(5);

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
    });
    let settings = Arc::new(settings);
    let shared =
        Arc::new(Shared { handles, settings, telemetry, reporter, phase: phases, feed: FeedTimings::default() });
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
        let server = http_server(listener, shared)?;
        let handle = server.handle();
        let serving = tokio::task::spawn_local(server);
        if stop.await == Stop::Delayed {
            phase.send_replace(Phase::Draining);
            tokio::time::sleep(delay).await;
        }
        phase.send_replace(Phase::Closing);
        close(&handle, drain, &cut).await;
        let ended = serving.await;
        flush(&handles).await;
        arbiter.stop();
        ended.map_err(|error| ServerError::Run(error.to_string()))?.map_err(|error| ServerError::Run(error.to_string()))
    }
}

/// Ends the listener and waits for running requests; what still runs then is told so and ends.
async fn close(handle: &ServerHandle, drain: Duration, cut: &watch::Sender<bool>) {
    let mut stopped = std::pin::pin!(handle.stop(true));
    if tokio::time::timeout(drain, &mut stopped).await.is_ok() {
        return;
    }
    log::warn!("requests were still running when the time to drain was over");
    cut.send_replace(true);
    if tokio::time::timeout(CUT_WITHIN, stopped).await.is_err() {
        log::warn!("connections were still open when the process ended");
    }
}

async fn flush(handles: &Handles) {
    let metrics = handles.metrics.load();
    let flushed = tokio::time::timeout(FLUSH_WITHIN, actors::ask(&metrics, Flush)).await;
    if !matches!(flushed, Ok(Ok(()))) {
        log::warn!("the last request logs could not be stored in time");
    }
}

fn http_server(listener: TcpListener, shared: Arc<Shared>) -> Result<actix_web::dev::Server, ServerError> {
    let settings = Arc::clone(&shared.settings);
    let tls = tls_config(settings.verify_ssl).map_err(|error| ServerError::Run(error.to_string()))?;
    let http = settings.http.clone();
    let shared = web::Data::from(shared);
    let server = HttpServer::new(move || {
        let client = Client::new(Arc::clone(&tls), settings.upstream_idle);
        let proxy = Proxy { handles: shared.handles.clone(), settings: Arc::clone(&settings), client };
        App::new()
            .wrap(middleware::from_fn(api::add_request_id))
            .app_data(shared.clone())
            .app_data(web::Data::new(proxy))
            .configure(api::routes)
    });
    server
        .workers(http.workers)
        // With the default a client that leaves is not noticed, and its stream goes on to cost.
        .h1_allow_half_closed(false)
        .client_disconnect_timeout(LINGER)
        .tcp_nodelay(true)
        .disable_signals()
        .shutdown_timeout((http.shutdown_drain + CUT_WITHIN).as_secs())
        .listen(listener)
        .map(HttpServer::run)
        .map_err(|error| ServerError::Run(error.to_string()))
}
