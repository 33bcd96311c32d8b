//! Reading and deleting what is logged.

mod bins;
pub(super) mod count;
pub(super) mod figures;
mod filter;
pub(super) mod page;
pub(super) mod queries;
pub(super) mod rows;
mod slice;
mod source;
pub(super) mod sql;
pub(super) mod summary;

use async_trait::async_trait;

use super::StoreError;
pub use figures::{Dimension, Percentiles, PercentilesBy, Sums, SumsBy};
pub use filter::{ErrorFilter, Outcome, RequestFilter};
pub use page::{LogPage, LogTable};
pub use rows::{ErrorLogDetail, ErrorLogItem, RequestLogDetail, RequestLogItem};
pub use slice::{Begin, Cursor, ERROR_SORTS, REQUEST_SORTS, Slice, SortColumn};
pub use summary::SummaryWindow;

/// The logs of all replicas.
#[async_trait]
pub trait Logs {
    /// Reads a part of the request logs.
    async fn request_logs(&self, filter: RequestFilter, slice: Slice) -> Result<LogPage<RequestLogItem>, StoreError>;

    /// Reads a part of the error logs.
    async fn error_logs(&self, filter: ErrorFilter, slice: Slice) -> Result<LogPage<ErrorLogItem>, StoreError>;

    /// Reads a request log with all its columns.
    async fn request_log(&self, id: i64) -> Result<Option<RequestLogDetail>, StoreError>;

    /// Reads an error log with all its columns.
    async fn error_log(&self, id: i64) -> Result<Option<ErrorLogDetail>, StoreError>;

    /// Deletes rows, 1,000 at most, and returns how many there were of them.
    async fn delete_logs(&self, table: LogTable, ids: Vec<i64>) -> Result<usize, StoreError>;

    /// Sums over the requests that `filter` means, by everything but buckets.
    async fn log_stats(&self, filter: RequestFilter) -> Result<SumsBy, StoreError>;

    /// Sums and percentiles over the requests of a time, by everything but status.
    async fn log_summary(&self, window: SummaryWindow) -> Result<(SumsBy, PercentilesBy), StoreError>;
}
