//! Rows of one table that wait for the database.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Mutex;

use crate::actors::outbox::Outbox;
use crate::store::{ErrorLog, LogRow, RequestLog, Store, StoreError};
use crate::telemetry::Telemetry;

/// Rows of one insert: so many that a transaction costs each of them little, and no more than PostgreSQL takes parameters
/// for (65,535).
pub(super) const BATCH: usize = 1500;

/// A row, and the table it goes to.
#[async_trait]
pub(super) trait Row: LogRow {
    /// What the metric of dropped rows calls it.
    const MAILBOX: &'static str;

    /// Stores all `rows` or none.
    async fn store(store: &dyn Store, rows: Arc<Vec<Self>>) -> Result<(), StoreError>;

    /// Our id of the request that it is about.
    fn request_id(&self) -> &str;
}

/// Rows that wait, as many as the queue allows, and how they are being written.
pub(super) struct Batches<R> {
    waiting: Arc<Outbox<R>>,
    telemetry: Telemetry,
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

    async fn store(store: &dyn Store, rows: Arc<Vec<Self>>) -> Result<(), StoreError> {
        store.append_request_logs(rows).await
    }

    fn request_id(&self) -> &str {
        &self.request_id
    }
}

#[async_trait]
impl Row for ErrorLog {
    const MAILBOX: &'static str = "error_log";

    async fn store(store: &dyn Store, rows: Arc<Vec<Self>>) -> Result<(), StoreError> {
        store.append_error_logs(rows).await
    }

    fn request_id(&self) -> &str {
        &self.request_id
    }
}

/// Stores `rows`. One that the database refuses must not hold up the others for ever, so after a
/// refusal they are stored one by one.
pub(super) async fn append<R: Row>(store: &dyn Store, rows: Vec<R>) -> Appended<R> {
    let rows = Arc::new(rows);
    let refusal = match R::store(store, Arc::clone(&rows)).await {
        Ok(()) => return Appended { left: Vec::new(), refused: 0 },
        Err(error) => error,
    };
    let rows = Arc::unwrap_or_clone(rows);
    if is_passing(&refusal) {
        return Appended { left: rows, refused: 0 };
    }
    let (mut refused, mut rows) = (0, rows.into_iter());
    while let Some(row) = rows.next() {
        match R::store(store, Arc::new(vec![row.clone()])).await {
            Ok(()) => {}
            Err(error) if is_passing(&error) => {
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

/// Whether the same rows may be stored later.
const fn is_passing(error: &StoreError) -> bool {
    matches!(error, StoreError::Unavailable(_) | StoreError::Busy(_))
}

// === impl Batches ===

impl<R: Row> Batches<R> {
    /// The rows that wait in an outbox.
    pub(super) fn new(waiting: Arc<Outbox<R>>, telemetry: &Telemetry) -> Self {
        Self { waiting, telemetry: telemetry.clone(), writing: false, behind: false, running: Arc::default() }
    }

    /// The rows of the next write, and what it must hold; `None` while one is under way.
    pub(super) fn begin(&mut self) -> Option<(Vec<R>, Arc<Mutex<()>>)> {
        if self.writing {
            return None;
        }
        let rows = self.waiting.take(BATCH);
        self.writing = !rows.is_empty();
        self.writing.then(|| (rows, self.running()))
    }

    /// A write has ended; true when the next one may begin at once.
    pub(super) fn end(&mut self, appended: Appended<R>) -> bool {
        self.writing = false;
        let all_written = appended.left.is_empty();
        self.note(appended);
        all_written && self.waiting.len() >= BATCH
    }

    /// Keeps what was not written for the next try, as far as the queue allows.
    pub(super) fn note(&mut self, Appended { left, refused }: Appended<R>) {
        // Told once for an outage, not once a second.
        if !left.is_empty() && !self.behind {
            log::warn!(rows = left.len(), log = R::MAILBOX; "rows wait for the database");
        }
        self.behind = !left.is_empty();
        let lost = self.waiting.put_back(left);
        count_dropped::<R>(refused + lost, &self.telemetry);
    }

    /// All that waits.
    pub(super) fn take_all(&mut self) -> Vec<R> {
        self.waiting.take(usize::MAX)
    }

    /// Held by a write as long as it runs.
    pub(super) fn running(&self) -> Arc<Mutex<()>> {
        Arc::clone(&self.running)
    }
}

/// Counts rows that nobody will find.
pub(super) fn count_dropped<R: Row>(rows: usize, telemetry: &Telemetry) {
    let rows = u64::try_from(rows).unwrap_or(u64::MAX);
    telemetry.mailbox_dropped.with_label_values(&[R::MAILBOX]).inc_by(rows);
}
