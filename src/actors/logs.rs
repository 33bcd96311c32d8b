//! Reading and deleting logs, off the HTTP workers.

use std::sync::Arc;
use std::time::Instant;

use actix::{Actor, Context, Handler, Message, ResponseFuture};
use tokio::sync::Semaphore;

use super::database::DatabaseWatch;
use crate::store::logs::{
    ErrorFilter, ErrorLogDetail, ErrorLogItem, LogPage, LogTable, PercentilesBy, RequestFilter, RequestLogDetail,
    RequestLogItem, Slice, SummaryWindow, SumsBy,
};
use crate::store::{Store, StoreError};

/// Questions that the database is asked at once: long ones must not take every connection.
const AT_ONCE: usize = 2;

/// Asks the database about logs.
pub struct LogsActor {
    store: Arc<dyn Store>,
    database: DatabaseWatch,
    places: Arc<Semaphore>,
}

// === impl LogsActor ===

impl LogsActor {
    /// An actor that asks `store` and tells `database` how it was met.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, database: DatabaseWatch) -> Self {
        Self { store, database, places: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

impl Actor for LogsActor {
    type Context = Context<Self>;
}

/// Declares messages that are calls of the store.
macro_rules! questions {
    ($($(#[$doc:meta])* $name:ident($($field:ident: $type:ty),+) -> $answer:ty = $call:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $name($(pub $type),+);

        impl Message for $name {
            type Result = Result<$answer, StoreError>;
        }

        impl Handler<$name> for LogsActor {
            type Result = ResponseFuture<Result<$answer, StoreError>>;

            fn handle(&mut self, $name($($field),+): $name, _: &mut Context<Self>) -> Self::Result {
                let (store, database, places) =
                    (Arc::clone(&self.store), self.database.clone(), Arc::clone(&self.places));
                Box::pin(async move {
                    let closed = |error: tokio::sync::AcquireError| StoreError::Internal(error.to_string());
                    let _place = places.acquire().await.map_err(closed)?;
                    let started = Instant::now();
                    database.met(store.$call($($field),+).await, started.elapsed())
                })
            }
        }
    )*};
}

questions! {
    /// Reads a part of the request logs.
    ReadRequestLogs(filter: RequestFilter, slice: Slice) -> LogPage<RequestLogItem> = request_logs;
    /// Reads a part of the error logs.
    ReadErrorLogs(filter: ErrorFilter, slice: Slice) -> LogPage<ErrorLogItem> = error_logs;
    /// Reads a request log with all its columns.
    ReadRequestLog(id: i64) -> Option<RequestLogDetail> = request_log;
    /// Reads an error log with all its columns.
    ReadErrorLog(id: i64) -> Option<ErrorLogDetail> = error_log;
    /// Deletes rows and tells how many there were of them.
    DeleteLogs(table: LogTable, ids: Vec<i64>) -> usize = delete_logs;
    /// Sums over the requests that a filter means.
    ReadLogStats(filter: RequestFilter) -> SumsBy = log_stats;
    /// Sums and percentiles over the requests of a time.
    ReadLogSummary(window: SummaryWindow) -> (SumsBy, PercentilesBy) = log_summary;
}
