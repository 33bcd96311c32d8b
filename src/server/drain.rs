//! The end of a server: nobody who came in time goes without an answer.

use std::io;
use std::net::TcpListener;
use std::time::Duration;

use actix_service::{Service, ServiceFactory as _};
use actix_web::dev::ServerHandle;
use actix_web::rt::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::CUT_WITHIN;
use super::listener::Services;
use crate::api::{Newcomers, Phase};

/// How long a connection without a request is waited for.
const SETTLE: Duration = Duration::from_secs(1);

/// How often it is looked whether all have made theirs.
const LOOK: Duration = Duration::from_millis(10);

/// What ends a server, in this order.
pub(super) struct Drain {
    /// Another handle of the listener's socket: with it connections that nobody accepted yet are
    /// not reset when the server closes its own.
    pub listener: TcpListener,
    pub handle: ServerHandle,
    pub services: Services,
    /// Ends idle connections.
    pub ends: watch::Sender<bool>,
    /// Refuses new requests on connections that had one.
    pub phase: watch::Sender<Phase>,
    /// Ends what still runs.
    pub cut: watch::Sender<bool>,
}

impl Drain {
    /// Ends the listener and waits for running requests; what still runs after `within` is told so
    /// and ends.
    pub(super) async fn run(self, within: Duration) {
        let Self { listener, handle, services, ends, phase, cut } = self;
        // What is accepted from here on is not dropped when the workers stop, since nothing is.
        handle.pause().await;
        settle(&services.newcomers).await;
        // Idle connections go first, so that hardly any is left that could be refused a request.
        ends.send_replace(true);
        phase.send_replace(Phase::Closing);
        let mut drained = std::pin::pin!(async {
            let stopped = handle.stop(true);
            tokio::join!(serve_last(listener, &services), stopped);
        });
        if tokio::time::timeout(within, &mut drained).await.is_ok() {
            return;
        }
        log::warn!("requests were still running when the time to drain was over");
        cut.send_replace(true);
        if tokio::time::timeout(CUT_WITHIN, drained).await.is_err() {
            log::warn!("connections were still open when the process ended");
        }
    }
}

/// Waits until every accepted connection has made its first request.
async fn settle(newcomers: &Newcomers) {
    let settled = async {
        // A connection may be on its way to a worker when it is looked for first.
        let mut quiet = 0;
        while quiet < 2 {
            tokio::time::sleep(LOOK).await;
            quiet = if newcomers.count() == 0 { quiet + 1 } else { 0 };
        }
    };
    if tokio::time::timeout(SETTLE, settled).await.is_err() {
        log::debug!("connections without a request were open when the server stopped");
    }
}

/// Serves those who connected before the listener was closed and were not accepted yet.
async fn serve_last(listener: TcpListener, services: &Services) {
    // Until the server has closed its own handle, too.
    tokio::time::sleep(LOOK).await;
    let waiting = accept_all(&listener);
    // From here on nobody can connect.
    drop(listener);
    if waiting.is_empty() {
        return;
    }
    log::info!(connections = waiting.len(); "serving those who were not accepted yet");
    let Ok(service) = services.lasting().service().new_service(()).await else {
        return;
    };
    let mut answers = JoinSet::new();
    for stream in waiting {
        answers.spawn_local(service.call(stream));
    }
    settle(&services.newcomers).await;
    // Who has made no request by now is not waited for.
    while answers.len() > services.newcomers.count() && answers.join_next().await.is_some() {}
}

/// Every connection that is complete, without waiting for more.
fn accept_all(listener: &TcpListener) -> Vec<TcpStream> {
    let accept = || -> io::Result<TcpStream> {
        let (stream, _peer) = listener.accept()?;
        stream.set_nonblocking(true)?;
        TcpStream::from_std(stream)
    };
    std::iter::from_fn(|| accept().ok()).collect()
}
