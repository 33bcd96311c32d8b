//! `serve`: the server, until a signal.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Failed, database, logger, run_time};
use crate::server::{self, ServerError, Stop};
use crate::settings::{DatabaseSettings, Settings};

/// Runs the server until SIGTERM or SIGINT.
pub(super) fn serve(settings: Settings) -> Result<(), Failed> {
    logger::init(&settings.log);
    actix_web::rt::System::new().block_on(async {
        let mut signals = Signals::listen().map_err(run_time)?;
        if settings.allow_anonymous {
            log::warn!("ALLOW_ANONYMOUS is set: while no credential is enabled, anyone may use every model");
        }
        if let Some(warning) = plain_keys(&settings.database) {
            log::warn!("{warning}");
        }
        raise_open_files();
        let bound = server::bind(settings).await.map_err(|error| failed(&error))?;
        let address = bound.address();
        log::info!(address:%; "listening");
        let stop = async move {
            let stop = signals.next().await;
            log::info!("stopping; a second signal ends the process at once");
            tokio::task::spawn_local(async move {
                signals.next().await;
                std::process::exit(1);
            });
            stop
        };
        bound.serve(stop).await.map_err(|error| failed(&error))?;
        log::info!("stopped");
        Ok(())
    })
}

/// Lets the process open as many files as it may. Each stream takes two, its client's connection
/// and its provider's, and many systems give a process 1024 unless it asks for more.
fn raise_open_files() {
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) => log::info!(limit; "files that may be open at once"),
        Err(error) => log::warn!(error:%; "the limit of open files cannot be raised"),
    }
}

/// What to say of provider keys that nothing seals, and of who can read them then.
fn plain_keys(settings: &DatabaseSettings) -> Option<&'static str> {
    if settings.keys.current.is_some() {
        None
    } else if settings.url.expose().starts_with("sqlite://") {
        Some("ENCRYPTION_KEY is not set: provider keys are stored in plain text in the database file; protect it")
    } else {
        Some("ENCRYPTION_KEY is not set: provider keys are stored in plain text in PostgreSQL and in its backups")
    }
}

/// A runtime for commands that do not serve.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Failed> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(run_time)
}

pub(super) fn failed(error: &ServerError) -> Failed {
    match error {
        ServerError::Store(error) => database(error),
        ServerError::Listen { .. } | ServerError::Run(_) => run_time(error),
    }
}

/// The signals that ask a process to end.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(super) fn listen() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// SIGTERM comes from an orchestrator that still sends traffic for a moment, SIGINT from a
    /// person who waits.
    pub(super) async fn next(&mut self) -> Stop {
        tokio::select! {
            _ = self.terminate.recv() => Stop::Delayed,
            _ = self.interrupt.recv() => Stop::Soon,
        }
    }
}
