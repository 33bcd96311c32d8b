//! Starting all actors, with or without a database.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use actix::Arbiter;

use super::Handles;
use super::config::{ConfigActor, ConfigParts, Followers, report_all};
use super::database::{DatabaseStatus, DatabaseWatch};
use super::export::Exporters;
use super::keeper::Keeper;
use super::logs::LogsActor;
use super::metrics::MetricsActor;
use super::provider_pool::{self, Outcomes, PoolView, ProviderPoolActor};
use super::published::{Published, publish};
use super::rate_limiter::{LimitTable, RateLimiterActor, RedisStatus, Sharing};
use super::supervise::{Supervised, supervise};
use super::{observers, tokenizer};
use crate::config::{Sealer, Snapshot, Source, load_snapshot};
use crate::settings::Settings;
use crate::store::{Store, StoreError};
use crate::telemetry::Telemetry;

/// Loads the configuration and starts all actors on `arbiter`. While the database cannot be
/// reached they start with the last configuration in force, or without any, and go on trying.
///
/// # Errors
/// When the database can be reached, but not used.
pub async fn start(
    arbiter: &Arbiter,
    store: Arc<dyn Store>,
    settings: &Settings,
    telemetry: Telemetry,
) -> Result<Handles, StoreError> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let settings = settings.clone();
    arbiter.spawn(async move {
        // A receiver that is gone means that the caller gave up: nobody is left to tell.
        let _ = sender.send(start_here(store, &settings, telemetry).await);
    });
    receiver.await.unwrap_or_else(|_gone| Err(StoreError::Internal("the actors' thread has ended".to_owned())))
}

async fn start_here(store: Arc<dyn Store>, settings: &Settings, telemetry: Telemetry) -> Result<Handles, StoreError> {
    let sealer = Arc::new(Sealer::new(&settings.database.keys));
    let (status, database) = publish(DatabaseStatus::default());
    let watch = DatabaseWatch::new(status, telemetry.clone());
    let keeper = settings.snapshot_path.clone().map(|path| Keeper::start(path, Arc::clone(&sealer)));
    let kept = (keeper.as_ref(), settings.snapshot_path.as_deref());
    let (snapshots, snapshot) = publish(first_snapshot(&*store, &watch, &sealer, kept).await?);
    let (sharing, redis) = share_limits(settings, &telemetry).await?;
    let (tables, limits) = publish(LimitTable::new());
    let visible = snapshot.clone();
    let rate_limiter =
        supervise("RateLimiterActor", move || RateLimiterActor::new(tables.clone(), sharing.clone(), visible.clone()));
    let (provider_pool, outcomes, pool) = start_pool(&snapshot, settings, &telemetry);
    let followers = Followers { rate_limiter, provider_pool: provider_pool.clone() };
    let first = snapshot.load();
    followers.adopt(&first).await.map_err(|error| StoreError::Internal(format!("cannot start the actors: {error}")))?;
    telemetry.config_version.set(first.version);
    report_all(&first);
    let metrics = MetricsActor::start(&store, settings.request_log, &telemetry);
    let logs = start_logs(&store, &watch);
    let observers = observers::start(observers::Observed {
        store: Arc::clone(&store),
        sealer: Arc::clone(&sealer),
        snapshot: snapshot.clone(),
        database: database.clone(),
        contacts: watch.clone(),
        replica_id: settings.replica_id.clone(),
        telemetry: telemetry.clone(),
    });
    let parts = ConfigParts {
        store,
        sealer: Arc::clone(&sealer),
        followers,
        snapshots,
        keeper,
        database: watch,
        poll: settings.config_poll,
        telemetry: telemetry.clone(),
    };
    let config = supervise("ConfigActor", move || ConfigActor::new(parts.clone()));
    Ok(Handles {
        database,
        replicas: observers.replicas,
        feed: observers.feed,
        sealer,
        exporters: Exporters::start(settings, &telemetry).map_err(StoreError::Internal)?,
        tokenizer: tokenizer::start(),
        config,
        provider_pool,
        outcomes,
        metrics,
        logs,
        snapshot,
        limits,
        redis,
        pool,
        telemetry,
        started: Instant::now(),
    })
}

fn start_logs(store: &Arc<dyn Store>, watch: &DatabaseWatch) -> Supervised<LogsActor> {
    let (store, watch) = (Arc::clone(store), watch.clone());
    supervise("LogsActor", move || LogsActor::new(Arc::clone(&store), watch.clone()))
}

fn start_pool(
    snapshot: &Published<Snapshot>,
    settings: &Settings,
    telemetry: &Telemetry,
) -> (Supervised<ProviderPoolActor>, Outcomes, Published<PoolView>) {
    let (views, pool) = publish(PoolView::default());
    let (snapshot, policy, counted) = (snapshot.clone(), settings.breaker.clone(), telemetry.clone());
    let successes = provider_pool::successes();
    let waiting = Arc::clone(&successes);
    let actor = supervise("ProviderPoolActor", move || {
        let (policy, views) = (policy.clone(), views.clone());
        ProviderPoolActor::new(policy, views, &snapshot.load(), Arc::clone(&waiting), counted.clone())
    });
    let outcomes = Outcomes::new(actor.clone(), successes, pool.clone(), telemetry.clone());
    (actor, outcomes, pool)
}

/// Meets Redis if it is configured; that it does not answer stops nothing.
async fn share_limits(
    settings: &Settings,
    telemetry: &Telemetry,
) -> Result<(Option<Arc<Sharing>>, Published<RedisStatus>), StoreError> {
    let is_configured = settings.redis.is_some();
    let (statuses, status) = publish(RedisStatus { is_configured, ..RedisStatus::default() });
    let Some(settings) = &settings.redis else {
        return Ok((None, status));
    };
    let sharing = Sharing::new(settings, statuses, telemetry.clone());
    let sharing = sharing.map_err(|error| StoreError::Internal(format!("REDIS_URL: {error}")))?;
    sharing.check().await;
    Ok((Some(Arc::new(sharing)), status))
}

/// What the database holds; while it cannot be reached, the last configuration in force; else
/// nothing.
async fn first_snapshot(
    store: &dyn Store,
    watch: &DatabaseWatch,
    sealer: &Sealer,
    (keeper, path): (Option<&Keeper>, Option<&Path>),
) -> Result<Snapshot, StoreError> {
    let started = Instant::now();
    let loaded = async {
        store.prepare().await?;
        store.load().await
    };
    match watch.met(loaded.await, started.elapsed()) {
        Ok(loaded) => {
            if let Some(keeper) = keeper {
                keeper.keep(loaded.clone());
            }
            Ok(Snapshot::new(loaded, Source::Database, sealer))
        }
        Err(StoreError::Unavailable(reason) | StoreError::Busy(reason)) => Ok(last_known(path, sealer, &reason)),
        Err(error) => Err(error),
    }
}

/// The last configuration in force, from its file.
fn last_known(path: Option<&Path>, sealer: &Sealer, reason: &str) -> Snapshot {
    let loaded = path.map_or(Ok(None), |path| load_snapshot(path, sealer));
    match loaded {
        Ok(Some(loaded)) => {
            let version = loaded.version;
            log::warn!(reason, version; "the database cannot be reached, starting with the snapshot file");
            return Snapshot::new(loaded, Source::SnapshotFile, sealer);
        }
        Ok(None) => log::warn!(reason; "the database cannot be reached, waiting for it"),
        Err(error) => log::error!(reason, error:%; "the database cannot be reached, waiting for it"),
    }
    Snapshot::unloaded()
}
