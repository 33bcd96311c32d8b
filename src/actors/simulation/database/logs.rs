//! No logs.

use async_trait::async_trait;

use super::{Link, not_simulated};
use crate::store::StoreError;
use crate::store::logs::{
    ErrorFilter, ErrorLogDetail, ErrorLogItem, LogPage, LogTable, Logs, PercentilesBy, RequestFilter, RequestLogDetail,
    RequestLogItem, Slice, SummaryWindow, SumsBy,
};

#[async_trait]
impl Logs for Link {
    async fn request_logs(&self, _: RequestFilter, _: Slice) -> Result<LogPage<RequestLogItem>, StoreError> {
        not_simulated()
    }

    async fn error_logs(&self, _: ErrorFilter, _: Slice) -> Result<LogPage<ErrorLogItem>, StoreError> {
        not_simulated()
    }

    async fn request_log(&self, _: i64) -> Result<Option<RequestLogDetail>, StoreError> {
        not_simulated()
    }

    async fn error_log(&self, _: i64) -> Result<Option<ErrorLogDetail>, StoreError> {
        not_simulated()
    }

    async fn delete_logs(&self, _: LogTable, _: Vec<i64>) -> Result<usize, StoreError> {
        not_simulated()
    }

    async fn log_stats(&self, _: RequestFilter) -> Result<SumsBy, StoreError> {
        not_simulated()
    }

    async fn log_summary(&self, _: SummaryWindow) -> Result<(SumsBy, PercentilesBy), StoreError> {
        not_simulated()
    }
}
