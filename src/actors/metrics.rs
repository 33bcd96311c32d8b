//! Records of finished requests and of failures on their way into the store.

mod batches;

use std::sync::Arc;
use std::time::Duration;

use actix::{
    Actor, ActorFutureExt as _, AsyncContext as _, Context, Handler, Message, ResponseActFuture, WrapFuture as _,
};

use self::batches::{Appended, BATCH, Batches, append, count_dropped};
use super::outbox::Outbox;
use super::supervise::{Supervised, supervise};
use super::{AskError, ask};
use crate::settings::RequestLogSettings;
use crate::store::{ErrorLog, RequestLog, Store};
use crate::telemetry::Telemetry;

/// How long a row waits for others at most.
const FLUSH_EVERY: Duration = Duration::from_secs(1);
/// How often rows past the retention are looked for.
const PRUNE_EVERY: Duration = Duration::from_secs(3600);

/// Tells that many rows wait. Never awaited.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
struct ManyWait;

/// Writes what waits; replies when it is stored, or when the store refused it.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Flush;

/// Collects rows and stores them in batches, off the request path.
pub struct MetricsActor {
    store: Arc<dyn Store>,
    retention: Option<Duration>,
    requests: Batches<RequestLog>,
    errors: Batches<ErrorLog>,
}

/// Where rows are left for the actor.
#[derive(Clone)]
pub struct MetricsHandle {
    actor: Supervised<MetricsActor>,
    requests: Arc<Outbox<RequestLog>>,
    errors: Arc<Outbox<ErrorLog>>,
    telemetry: Telemetry,
}

/// Which of the actor's batches hold rows of a kind.
trait Kept: batches::Row {
    fn of(actor: &mut MetricsActor) -> &mut Batches<Self>;
}

// === impl Kept ===

impl Kept for RequestLog {
    fn of(actor: &mut MetricsActor) -> &mut Batches<Self> {
        &mut actor.requests
    }
}

impl Kept for ErrorLog {
    fn of(actor: &mut MetricsActor) -> &mut Batches<Self> {
        &mut actor.errors
    }
}

// === impl MetricsActor ===

impl MetricsActor {
    /// Starts an actor that stores into `store`.
    #[must_use]
    pub fn start(store: &Arc<dyn Store>, settings: RequestLogSettings, telemetry: &Telemetry) -> MetricsHandle {
        let RequestLogSettings { queue, retention, .. } = settings;
        let (requests, errors) = (Arc::new(Outbox::new(queue)), Arc::new(Outbox::new(queue)));
        let (store, counted) = (Arc::clone(store), telemetry.clone());
        let waiting = (Arc::clone(&requests), Arc::clone(&errors));
        let actor = supervise("MetricsActor", move || Self {
            store: Arc::clone(&store),
            retention,
            requests: Batches::new(Arc::clone(&waiting.0), &counted),
            errors: Batches::new(Arc::clone(&waiting.1), &counted),
        });
        MetricsHandle { actor, requests, errors, telemetry: telemetry.clone() }
    }

    /// Starts one write of a kind unless one is under way; the next begins when it ends.
    fn write<R: Kept>(&mut self, context: &mut Context<Self>) {
        let store = Arc::clone(&self.store);
        let Some((rows, running)) = R::of(self).begin() else {
            return;
        };
        let write = async move {
            let _running = running.lock().await;
            append(&*store, rows).await
        };
        context.spawn(write.into_actor(self).map(|appended: Appended<R>, actor, context| {
            if R::of(actor).end(appended) {
                actor.write::<R>(context);
            }
        }));
    }

    /// Writes all that waits of a kind, and returns when that is done.
    fn flush<R: Kept>(&mut self) -> ResponseActFuture<Self, ()> {
        // A write that is under way may put its rows back, which are then written here.
        let running = R::of(self).running();
        let quiet = async move { drop(running.lock().await) };
        let write = |(), actor: &mut Self, _: &mut Context<Self>| {
            let rows = R::of(actor).take_all();
            let store = Arc::clone(&actor.store);
            async move { append(&*store, rows).await }.into_actor(actor)
        };
        Box::pin(quiet.into_actor(self).then(write).map(|appended, actor, _| R::of(actor).note(appended)))
    }

    fn prune(&mut self, context: &mut Context<Self>) {
        let Some(retention) = self.retention else {
            return;
        };
        let store = Arc::clone(&self.store);
        let before = chrono::Utc::now() - retention;
        let prune = async move { Ok(store.prune_request_logs(before).await? + store.prune_error_logs(before).await?) };
        context.spawn(prune.into_actor(self).map(
            |result: Result<usize, crate::store::StoreError>, _, _| match result {
                Ok(rows) if rows > 0 => log::info!(rows; "deleted old logs"),
                Ok(_) => {}
                Err(error) => log::warn!(error:%; "cannot delete old logs"),
            },
        ));
    }
}

impl Actor for MetricsActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.run_interval(FLUSH_EVERY, |actor, context| {
            actor.write::<RequestLog>(context);
            actor.write::<ErrorLog>(context);
        });
        context.run_interval(PRUNE_EVERY, Self::prune);
        self.prune(context);
    }
}

impl Handler<ManyWait> for MetricsActor {
    type Result = ();

    fn handle(&mut self, _: ManyWait, context: &mut Context<Self>) {
        self.write::<RequestLog>(context);
        self.write::<ErrorLog>(context);
    }
}

impl Handler<Flush> for MetricsActor {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, _: Flush, _: &mut Context<Self>) -> Self::Result {
        let requests = self.flush::<RequestLog>();
        Box::pin(requests.then(|(), actor, _| actor.flush::<ErrorLog>()))
    }
}

// === impl MetricsHandle ===

impl MetricsHandle {
    /// Leaves the row of a request that has ended.
    pub fn finished(&self, row: RequestLog) {
        self.leave(&self.requests, row);
    }

    /// Leaves the row of an attempt that has failed, or of an error of our own.
    pub fn failed(&self, row: ErrorLog) {
        self.leave(&self.errors, row);
    }

    /// Writes what waits, until it is stored, or refused.
    ///
    /// # Errors
    /// When the actor does not answer.
    pub async fn flush(&self) -> Result<(), AskError> {
        ask(&self.actor.load(), Flush).await
    }

    fn leave<R: batches::Row>(&self, outbox: &Outbox<R>, row: R) {
        match outbox.push(row) {
            None => count_dropped::<R>(1, &self.telemetry),
            Some(waiting) if waiting.is_multiple_of(BATCH) => {
                // Where it is lost, nothing else is: the actor looks each second.
                drop(self.actor.load().try_send(ManyWait));
            }
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store;
    use crate::store::logs::{Dimension, RequestFilter};

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
            cache_write_tokens: None,
            reasoning_tokens: None,
            estimated: false,
            cost_microusd: None,
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
        let settings = RequestLogSettings { enabled: true, errors: true, bodies: None, queue: 700, retention: None };
        let telemetry = Telemetry::new().unwrap();
        let metrics = MetricsActor::start(&store, settings, &telemetry);
        for _ in 0..3000 {
            metrics.finished(row());
        }
        metrics.flush().await.unwrap();
        let dropped = telemetry.mailbox_dropped.with_label_values(&["request_log"]).get();
        assert_eq!(dropped, 2300);
        let stored = store.prune_request_logs(chrono::Utc::now() + chrono::Duration::days(1)).await.unwrap();
        assert_eq!(stored, 700);
    }

    #[actix::test]
    async fn many_rows_are_written_before_their_time_and_few_at_it() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("m.db").display());
        let store = store::open(&crate::settings::DatabaseSettings::plain(url)).await.unwrap();
        let settings = RequestLogSettings { enabled: true, errors: true, bodies: None, queue: 9000, retention: None };
        let metrics = MetricsActor::start(&store, settings, &Telemetry::new().unwrap());
        let wait_for = async |rows: usize| {
            let end = std::time::Instant::now() + Duration::from_secs(30);
            while store
                .log_stats(RequestFilter::default())
                .await
                .unwrap()
                .get(&(Dimension::All, String::new()))
                .is_none_or(|all| all.requests < i64::try_from(rows).unwrap())
            {
                assert!(std::time::Instant::now() < end);
                tokio::task::yield_now().await;
            }
        };
        tokio::time::pause();
        (0..BATCH).for_each(|_| metrics.finished(row()));
        wait_for(BATCH).await;
        metrics.finished(row());
        assert_eq!(metrics.requests.len(), 1);
        tokio::time::advance(FLUSH_EVERY).await;
        wait_for(BATCH + 1).await;
    }

    #[actix::test]
    async fn old_rows_are_deleted_at_the_start_and_every_hour_and_kept_for_ever_without_a_retention() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("m.db").display());
        let store = store::open(&crate::settings::DatabaseSettings::plain(url)).await.unwrap();
        let day = Duration::from_secs(86_400);
        let old = RequestLog { timestamp: chrono::Utc::now() - 2 * day, ..row() };
        let append = async || store.append_request_logs(vec![old.clone(), row()].into()).await.unwrap();
        let count = async || {
            store.log_stats(RequestFilter::default()).await.unwrap()[&(Dimension::All, String::new())].requests
        };
        append().await;
        // With no clock but the actor's own timers hours pass as soon as all is idle.
        tokio::time::pause();
        let telemetry = Telemetry::new().unwrap();
        let start = |retention| {
            let settings = RequestLogSettings { enabled: true, errors: true, bodies: None, queue: 9, retention };
            MetricsActor::start(&store, settings, &telemetry)
        };
        let keeps_all = start(None);
        tokio::time::sleep(3 * PRUNE_EVERY).await;
        keeps_all.flush().await.unwrap();
        assert_eq!(count().await, 2);
        let _actor = start(Some(day));
        let pruned = async |left| {
            // In real time: the database knows no other.
            let end = std::time::Instant::now() + Duration::from_secs(30);
            while count().await > left {
                assert!(std::time::Instant::now() < end);
                tokio::time::sleep(PRUNE_EVERY / 7).await;
            }
        };
        pruned(1).await;
        append().await;
        pruned(2).await;
        assert_eq!(count().await, 2);
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
