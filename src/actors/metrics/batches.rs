//! Rows of one table that wait for the database.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Mutex;

use crate::store::{ErrorLog, LogRow, RequestLog, Store, StoreError};
use crate::telemetry::Telemetry;

/// Rows of one insert.
const BATCH: usize = 500;

/// A row, and the table it goes to.
#[async_trait]
pub(super) trait Row: LogRow {
    /// What the metric of dropped rows calls it.
    const MAILBOX: &'static str;

    /// Stores all `rows` or none.
    async fn store(store: &dyn Store, rows: &[Self]) -> Result<(), StoreError>;

    /// Our id of the request that it is about.
    fn request_id(&self) -> &str;
}

/// Rows that wait, as many as the queue allows.
pub(super) struct Batches<R> {
    queue: usize,
    telemetry: Telemetry,
    waiting: Vec<R>,
    writing: bool,
    /// Whether the last write left rows behind.
    behind: bool,
    /// Held by a write as long as it runs.
    running: Arc<Mutex<()>>,
}

/// What became of rows that were to be stored.
pub(super) struct Appended<R> {
    /// Not stored, since the database does not answer.
    pub left: Vec<R>,
    /// Rows that the database does not take.
    pub refused: usize,
}

// === impl Row ===

#[async_trait]
impl Row for RequestLog {
    const MAILBOX: &'static str = "request_log";

    async fn store(store: &dyn Store, rows: &[Self]) -> Result<(), StoreError> {
        store.append_request_logs(rows).await
    }

    fn request_id(&self) -> &str {
        &self.request_id
    }
}

#[async_trait]
impl Row for ErrorLog {
    const MAILBOX: &'static str = "error_log";

    async fn store(store: &dyn Store, rows: &[Self]) -> Result<(), StoreError> {
        store.append_error_logs(rows).await
    }

    fn request_id(&self) -> &str {
        &self.request_id
    }
}

/// Stores `rows`. One that the database refuses must not hold up the others for ever, so after a
/// refusal they are stored one by one.
pub(super) async fn append<R: Row>(store: &dyn Store, rows: Vec<R>) -> Appended<R> {
    match R::store(store, &rows).await {
        Ok(()) => return Appended { left: Vec::new(), refused: 0 },
        Err(StoreError::Unavailable(_) | StoreError::Busy(_)) => return Appended { left: rows, refused: 0 },
        Err(_refusal) => {}
    }
    let (mut refused, mut rows) = (0, rows.into_iter());
    while let Some(row) = rows.next() {
        match R::store(store, std::slice::from_ref(&row)).await {
            Ok(()) => {}
            Err(StoreError::Unavailable(_) | StoreError::Busy(_)) => {
                let left = std::iter::once(row).chain(rows).collect();
                return Appended { left, refused };
            }
            Err(error) => {
                let (log, request_id) = (R::MAILBOX, row.request_id());
                log::error!(error:%, log, request_id; "the database refuses a row");
                refused += 1;
            }
        }
    }
    Appended { left: Vec::new(), refused }
}

// === impl Batches ===

impl<R: Row> Batches<R> {
    /// No rows; at most `queue` may wait.
    pub(super) fn new(queue: usize, telemetry: &Telemetry) -> Self {
        let telemetry = telemetry.clone();
        Self { queue, telemetry, waiting: Vec::new(), writing: false, behind: false, running: Arc::default() }
    }

    /// Adds a row, or drops and counts it; true when there are enough of them to be written.
    pub(super) fn add(&mut self, row: R) -> bool {
        if self.waiting.len() >= self.queue {
            self.count_dropped(1);
            return false;
        }
        self.waiting.push(row);
        self.is_full()
    }

    /// The rows of the next write, and what it must hold; `None` while one is under way.
    pub(super) fn begin(&mut self) -> Option<(Vec<R>, Arc<Mutex<()>>)> {
        if self.writing || self.waiting.is_empty() {
            return None;
        }
        self.writing = true;
        let size = self.waiting.len().min(BATCH);
        Some((self.waiting.drain(..size).collect(), self.running()))
    }

    /// A write has ended; true when the next one may begin at once.
    pub(super) fn end(&mut self, appended: Appended<R>) -> bool {
        self.writing = false;
        let all_written = appended.left.is_empty();
        self.note(appended);
        all_written && self.is_full()
    }

    /// Keeps what was not written for the next try, as far as the queue allows.
    pub(super) fn note(&mut self, Appended { left: mut rows, refused }: Appended<R>) {
        // Told once for an outage, not once a second.
        if !rows.is_empty() && !self.behind {
            log::warn!(rows = rows.len(), log = R::MAILBOX; "rows wait for the database");
        }
        self.behind = !rows.is_empty();
        self.count_dropped(refused);
        let room = self.queue.saturating_sub(self.waiting.len());
        let lost = rows.len().saturating_sub(room);
        rows.truncate(room);
        rows.append(&mut self.waiting);
        self.waiting = rows;
        self.count_dropped(lost);
    }

    /// All that waits.
    pub(super) fn take_all(&mut self) -> Vec<R> {
        std::mem::take(&mut self.waiting)
    }

    /// Held by a write as long as it runs.
    pub(super) fn running(&self) -> Arc<Mutex<()>> {
        Arc::clone(&self.running)
    }

    const fn is_full(&self) -> bool {
        self.waiting.len() >= BATCH
    }

    fn count_dropped(&self, rows: usize) {
        let rows = u64::try_from(rows).unwrap_or(u64::MAX);
        self.telemetry.mailbox_dropped.with_label_values(&[R::MAILBOX]).inc_by(rows);
    }
}
