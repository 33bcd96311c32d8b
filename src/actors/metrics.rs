//! Records of finished requests on their way into the store.

use std::sync::Arc;
use std::time::Duration;

use actix::{
    Actor, ActorFutureExt as _, AsyncContext as _, Context, Handler, Message, ResponseActFuture, WrapFuture as _,
};

use tokio::sync::Mutex;

use crate::settings::RequestLogSettings;
use crate::store::{RequestLog, Store, StoreError};
use crate::telemetry::Telemetry;

/// Rows of one insert.
const BATCH: usize = 500;
/// How long a row waits for others at most.
const FLUSH_EVERY: Duration = Duration::from_secs(1);
/// How often rows past the retention are looked for.
const PRUNE_EVERY: Duration = Duration::from_secs(3600);

/// Tells of a request that has ended. Never awaited.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct RecordFinished(pub Box<RequestLog>);

/// Writes what waits; replies when it is stored, or when the store refused it.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Flush;

/// Collects records of finished requests and stores them in batches, off the request path.
pub struct MetricsActor {
    store: Arc<dyn Store>,
    settings: RequestLogSettings,
    telemetry: Telemetry,
    waiting: Vec<RequestLog>,
    writing: bool,
    /// Whether the last write left rows behind.
    behind: bool,
    /// Held by a write as long as it runs.
    running: Arc<Mutex<()>>,
}

/// What became of rows that were to be stored.
struct Appended {
    /// Not stored, since the database does not answer.
    left: Vec<RequestLog>,
    /// Rows that the database does not take.
    refused: usize,
}

/// Stores `rows`. One that the database refuses must not hold up the others for ever, so after a
/// refusal they are stored one by one.
async fn append(store: &dyn Store, rows: Vec<RequestLog>) -> Appended {
    match store.append_request_logs(&rows).await {
        Ok(()) => return Appended { left: Vec::new(), refused: 0 },
        Err(StoreError::Unavailable(_) | StoreError::Busy(_)) => return Appended { left: rows, refused: 0 },
        Err(_refusal) => {}
    }
    let (mut refused, mut rows) = (0, rows.into_iter());
    while let Some(row) = rows.next() {
        match store.append_request_logs(std::slice::from_ref(&row)).await {
            Ok(()) => {}
            Err(StoreError::Unavailable(_) | StoreError::Busy(_)) => {
                let left = std::iter::once(row).chain(rows).collect();
                return Appended { left, refused };
            }
            Err(error) => {
                log::error!(error:%, request_id = row.request_id; "the database refuses a finished request");
                refused += 1;
            }
        }
    }
    Appended { left: Vec::new(), refused }
}

// === impl MetricsActor ===

impl MetricsActor {
    /// An actor that stores into `store`.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, settings: RequestLogSettings, telemetry: Telemetry) -> Self {
        Self { store, settings, telemetry, waiting: Vec::new(), writing: false, behind: false, running: Arc::default() }
    }

    /// Starts one write unless one is under way; the next begins when it ends.
    fn write(&mut self, context: &mut Context<Self>) {
        if self.writing || self.waiting.is_empty() {
            return;
        }
        self.writing = true;
        let rows = self.take_batch();
        let store = Arc::clone(&self.store);
        let running = Arc::clone(&self.running);
        let write = async move {
            let _running = running.lock().await;
            append(&*store, rows).await
        };
        context.spawn(write.into_actor(self).map(|appended, actor, context| {
            actor.writing = false;
            let all_written = appended.left.is_empty();
            actor.note(appended);
            if all_written {
                actor.write_if_full(context);
            }
        }));
    }

    fn write_if_full(&mut self, context: &mut Context<Self>) {
        if self.waiting.len() >= BATCH {
            self.write(context);
        }
    }

    fn take_batch(&mut self) -> Vec<RequestLog> {
        let size = self.waiting.len().min(BATCH);
        self.waiting.drain(..size).collect()
    }

    /// Keeps what was not written for the next try, as far as the queue allows.
    fn note(&mut self, Appended { left: mut rows, refused }: Appended) {
        // Told once for an outage, not once a second.
        if !rows.is_empty() && !self.behind {
            log::warn!(rows = rows.len(); "finished requests wait for the database");
        }
        self.behind = !rows.is_empty();
        self.count_dropped(refused);
        let room = self.settings.queue.saturating_sub(self.waiting.len());
        let lost = rows.len().saturating_sub(room);
        rows.truncate(room);
        rows.append(&mut self.waiting);
        self.waiting = rows;
        self.count_dropped(lost);
    }

    fn count_dropped(&self, rows: usize) {
        let rows = u64::try_from(rows).unwrap_or(u64::MAX);
        self.telemetry.mailbox_dropped.with_label_values(&["request_log"]).inc_by(rows);
    }

    fn prune(&mut self, context: &mut Context<Self>) {
        let Some(retention) = self.settings.retention else {
            return;
        };
        let store = Arc::clone(&self.store);
        let prune = async move { store.prune_request_logs(chrono::Utc::now() - retention).await };
        context.spawn(prune.into_actor(self).map(|result, _, _| match result {
            Ok(rows) if rows > 0 => log::info!(rows; "deleted old request logs"),
            Ok(_) => {}
            Err(error) => log::warn!(error:%; "cannot delete old request logs"),
        }));
    }
}

impl Actor for MetricsActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.run_interval(FLUSH_EVERY, Self::write);
        context.run_interval(PRUNE_EVERY, Self::prune);
        self.prune(context);
    }
}

impl Handler<RecordFinished> for MetricsActor {
    type Result = ();

    fn handle(&mut self, RecordFinished(row): RecordFinished, context: &mut Context<Self>) {
        if self.waiting.len() >= self.settings.queue {
            self.count_dropped(1);
            return;
        }
        self.waiting.push(*row);
        self.write_if_full(context);
    }
}

impl Handler<Flush> for MetricsActor {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, _: Flush, _: &mut Context<Self>) -> Self::Result {
        // A write that is under way may put its rows back, which are then written here.
        let running = Arc::clone(&self.running);
        let quiet = async move { drop(running.lock().await) };
        let write = |(), actor: &mut Self, _: &mut Context<Self>| {
            let rows = std::mem::take(&mut actor.waiting);
            let store = Arc::clone(&actor.store);
            async move { append(&*store, rows).await }.into_actor(actor)
        };
        Box::pin(quiet.into_actor(self).then(write).map(|appended, actor, _| actor.note(appended)))
    }
}

#[cfg(test)]
mod tests {
    use actix::Arbiter;

    use super::*;
    use crate::store;

    fn row() -> RequestLog {
        RequestLog {
            timestamp: chrono::Utc::now(),
            request_id: "r".to_owned(),
            endpoint: "/v1/chat/completions".to_owned(),
            credential_name: "c".to_owned(),
            client: "other".to_owned(),
            model_requested: None,
            model_mapped: None,
            provider_name: None,
            provider_type: None,
            client_protocol: "openai".to_owned(),
            provider_protocol: None,
            is_streaming: false,
            status_code: 200,
            outcome: "complete".to_owned(),
            attempts: 1,
            input_tokens: None,
            output_tokens: None,
            total_tokens: None,
            cached_tokens: None,
            reasoning_tokens: None,
            estimated: false,
            total_duration_ms: 1,
            ttft_ms: None,
            gateway_us: None,
            dropped_fields: None,
            error_category: None,
            error_message: None,
            upstream_request_id: None,
            replica_id: "x".to_owned(),
            config_version: 0,
            request_headers: None,
            request_body: None,
            response_body: None,
        }
    }

    #[actix::test]
    async fn a_flush_leaves_nothing_behind_and_a_full_queue_drops_and_counts() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("m.db").display());
        let store = store::open(&crate::settings::DatabaseSettings::plain(url)).await.unwrap();
        let settings = RequestLogSettings { enabled: true, queue: 700, retention: None };
        let telemetry = Telemetry::new().unwrap();
        let (kept, counted) = (Arc::clone(&store), telemetry.clone());
        let arbiter = Arbiter::new();
        let make = move |_: &mut Context<MetricsActor>| MetricsActor::new(kept, settings, counted);
        let actor = MetricsActor::start_in_arbiter(&arbiter.handle(), make);
        for _ in 0..3000 {
            actor.send(RecordFinished(Box::new(row()))).await.unwrap();
        }
        actor.send(Flush).await.unwrap();
        let dropped = telemetry.mailbox_dropped.with_label_values(&["request_log"]).get();
        let stored = store.prune_request_logs(chrono::Utc::now() + chrono::Duration::days(1)).await.unwrap();
        assert_eq!(u64::try_from(stored).unwrap() + dropped, 3000);
        assert!(stored >= 700, "{stored}");
    }

    #[actix::test]
    async fn a_row_that_the_database_refuses_holds_up_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("m.db").display());
        let store = store::open(&crate::settings::DatabaseSettings::plain(url)).await.unwrap();
        let refused = RequestLog { outcome: "none that is known".to_owned(), ..row() };
        let appended = append(&*store, vec![row(), refused, row()]).await;
        assert_eq!((appended.left.len(), appended.refused), (0, 1));
        assert_eq!(store.prune_request_logs(chrono::Utc::now() + chrono::Duration::days(1)).await.unwrap(), 2);
    }
}
