use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::*;
use crate::actors::published::publish;
use crate::config::{Loaded, ProviderDraft, Secret};
use crate::settings::DatabaseSettings;
use crate::store;

/// Passes on what it is told.
struct Follower(mpsc::UnboundedSender<Bytes>);

impl Actor for Follower {
    type Context = Context<Self>;
}

impl Handler<Deliver> for Follower {
    type Result = ();

    fn handle(&mut self, Deliver(texts): Deliver, _: &mut Context<Self>) {
        texts.into_iter().for_each(|text| self.0.send(text).unwrap());
    }
}

/// A feed over a database of its own, and the hands of those whom it watches.
struct World {
    feed: Addr<FeedActor>,
    store: Arc<dyn Store>,
    snapshots: Publisher<Snapshot>,
    status: Publisher<DatabaseStatus>,
    _folder: TempDir,
}

fn snapshot(loaded: Loaded) -> Snapshot {
    Snapshot::new(loaded, crate::config::Source::Database, &Sealer::default())
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("feed.db").display());
        let store = store::open(&DatabaseSettings::plain(url)).await.unwrap();
        let telemetry = Telemetry::new().unwrap();
        let (snapshots, in_force) = publish(snapshot(store.load().await.unwrap()));
        let (status, database) = publish(DatabaseStatus { is_up: true, ..DatabaseStatus::default() });
        let parts = FeedParts {
            store: Arc::clone(&store),
            sealer: Arc::default(),
            replica_id: "here".to_owned(),
            snapshot: in_force,
            database,
            contacts: DatabaseWatch::new(publish(DatabaseStatus::default()).0, telemetry.clone()),
            replicas: publish(Vec::new()).1,
            watchers: publish(0).0,
            telemetry,
        };
        Self { feed: FeedActor::new(parts).start(), store, snapshots, status, _folder: folder }
    }

    /// Stores a change that is not in force yet.
    async fn change(&self, key: &str) {
        let draft = ProviderDraft {
            provider_key: key.to_owned(),
            provider_type: "openai".to_owned(),
            api_base: "http://h".to_owned(),
            api_key: Secret::new("k".to_owned()),
            model_mapping: json!({}),
            weight: 1,
            provider_params: json!({}),
            is_enabled: true,
        };
        self.store.create_provider(draft, "test").await.unwrap();
    }

    /// Puts in force what is stored, as of this version.
    async fn put_in_force(&self, version: i64) {
        let loaded = self.store.load().await.unwrap();
        self.snapshots.publish(Arc::new(snapshot(Loaded { version, ..loaded })));
    }

    fn set_database(&self, is_up: bool) {
        self.status.publish(Arc::new(DatabaseStatus { is_up, ..DatabaseStatus::default() }));
    }

    async fn subscribe(&self, since: Option<i64>) -> (Answer, mpsc::UnboundedReceiver<Bytes>) {
        let (sender, told) = mpsc::unbounded_channel();
        let to = Follower(sender).start().recipient();
        (self.feed.send(Subscribe { to, since, is_greeted: false }).await.unwrap(), told)
    }

    /// The same for one that is let in.
    async fn follow(&self, since: Option<i64>) -> (Subscription, mpsc::UnboundedReceiver<Bytes>) {
        match self.subscribe(since).await {
            (Answer::Joined(subscription), told) => (subscription, told),
            (other, _) => panic!("{other:?}"),
        }
    }
}

async fn next(told: &mut mpsc::UnboundedReceiver<Bytes>) -> (String, i64) {
    let told: Value = serde_json::from_slice(&told.recv().await.unwrap()).unwrap();
    (told["type"].as_str().unwrap().to_owned(), told["version"].as_i64().unwrap())
}

#[actix::test]
async fn a_change_is_told_when_it_is_in_force_and_not_before() {
    let world = World::new().await;
    let (_subscription, mut told) = world.follow(Some(0)).await;
    for key in ["a", "b", "c"] {
        world.change(key).await;
    }
    assert_eq!(next(&mut told).await, ("hello".to_owned(), 0));
    world.put_in_force(2).await;
    assert_eq!(next(&mut told).await, ("change".to_owned(), 1));
    assert_eq!(next(&mut told).await, ("change".to_owned(), 2));
    let (_another, mut told_later) = world.follow(Some(1)).await;
    assert_eq!(next(&mut told_later).await, ("hello".to_owned(), 2));
    assert_eq!(next(&mut told_later).await, ("change".to_owned(), 2));
    assert!(told.try_recv().is_err() && told_later.try_recv().is_err());
    world.put_in_force(3).await;
    for told in [&mut told, &mut told_later] {
        assert_eq!(next(told).await, ("change".to_owned(), 3));
    }
}

#[actix::test]
async fn a_page_for_one_who_comes_from_afar_ends_at_the_version_in_force() {
    let world = World::new().await;
    for key in ["a", "b", "c"] {
        world.change(key).await;
    }
    world.put_in_force(2).await;
    let (_subscription, mut told) = world.follow(Some(0)).await;
    for expected in [("hello", 2), ("change", 1), ("change", 2)] {
        assert_eq!(next(&mut told).await, (expected.0.to_owned(), expected.1));
    }
    let page = world.feed.send(ReadPage { since: 0 }).await.unwrap().unwrap();
    assert_eq!((page.texts.len(), page.reached), (2, 2));
    let page = world.feed.send(ReadPage { since: 2 }).await.unwrap().unwrap();
    assert_eq!((page.texts.len(), page.reached), (0, 2));
}

#[actix::test]
async fn without_the_database_all_are_sent_away_and_none_is_let_in() {
    let world = World::new().await;
    let (subscription, _told) = world.follow(None).await;
    assert_eq!(subscription.ending(), None);
    world.set_database(false);
    assert_eq!(subscription.ended().await, Some(Ending::Lost));
    assert!(matches!(world.subscribe(None).await.0, Answer::Lost));
    world.change("a").await;
    world.set_database(true);
    world.put_in_force(1).await;
    let (_subscription, mut told) = world.follow(Some(0)).await;
    assert_eq!(next(&mut told).await, ("hello".to_owned(), 1));
    assert_eq!(next(&mut told).await, ("change".to_owned(), 1));
}

#[actix::test]
async fn when_the_database_went_back_everybody_starts_anew() {
    let world = World::new().await;
    world.change("a").await;
    world.put_in_force(1).await;
    let (subscription, mut told) = world.follow(Some(0)).await;
    for _ in 0..2 {
        next(&mut told).await;
    }
    world.put_in_force(0).await;
    assert_eq!(subscription.ended().await, Some(Ending::WentBack));
    assert!(matches!(world.subscribe(Some(1)).await.0, Answer::Ahead));
    let (_subscription, mut told) = world.follow(Some(0)).await;
    assert_eq!(next(&mut told).await, ("hello".to_owned(), 0));
    assert!(told.try_recv().is_err());
}

#[test]
fn a_bundle_ends_where_a_version_ends() {
    let entry = |version| Entry { version, text: Bytes::new() };
    let entries: Vec<Entry> = (0..20).map(|at| entry(if (6..12).contains(&at) { 6 } else { at })).collect();
    let cut: Vec<usize> = bundles(&entries).iter().map(|bundle| bundle.len()).collect();
    assert_eq!(cut, [12, 8]);
    assert!(bundles(&[]).is_empty());
}
