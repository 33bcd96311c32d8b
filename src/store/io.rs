//! The runtime that drives the connections.

use std::future::Future;

use tokio::runtime::{Builder, Runtime};

use super::StoreError;

/// A runtime of its own for everything that touches a connection. Callers live on current-thread
/// runtimes, where this would go wrong twice: a connection is bound to the runtime that made it
/// and dies with it, and dropping a query half-way blocks, which such a runtime answers with a
/// panic. Here a call that its caller gives up simply runs to its end.
pub(super) struct Io {
    /// `None` only while being dropped.
    runtime: Option<Runtime>,
}

impl Io {
    /// Starts it.
    pub(super) fn start() -> Result<Self, StoreError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("store")
            .enable_all()
            .build()
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(Self { runtime: Some(runtime) })
    }

    /// Runs `work` here and waits for it from wherever the caller is.
    pub(super) async fn run<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let Some(runtime) = &self.runtime else {
            return Err(StoreError::Unavailable("the store is closed".to_owned()));
        };
        let done = runtime.spawn(work).await;
        done.unwrap_or_else(|error| Err(StoreError::Internal(error.to_string())))
    }

    /// Runs `work` here beside everything else; it ends with this runtime.
    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        if let Some(runtime) = &self.runtime {
            drop(runtime.spawn(work));
        }
    }
}

impl Drop for Io {
    fn drop(&mut self) {
        // A plain drop would wait, which panics inside async code.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
