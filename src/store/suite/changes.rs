//! Pages of the history.

use super::{TestDatabase, open, provider};
use crate::config::Entity;
use crate::store::{ChangePage, Store};

/// Version 1 with one change, version 2 with three, version 3 with one.
async fn store_with_changes(database: &impl TestDatabase) -> std::sync::Arc<dyn Store> {
    let store = open(database).await;
    store.create_provider(provider("one"), "ann").await.unwrap();
    store.create_provider(provider("two"), "bob").await.unwrap();
    for _ in 0..2 {
        database.execute(
            "INSERT INTO config_changes (version, at, actor, action, entity, entity_id, entity_name, after)
             SELECT version, at, actor, action, entity, entity_id, entity_name, after
             FROM config_changes WHERE version = 2 LIMIT 1",
        );
    }
    store.create_provider(provider("three"), "cat").await.unwrap();
    store
}

fn versions(page: &ChangePage) -> Vec<i64> {
    page.changes.iter().map(|change| change.version).collect()
}

pub(in crate::store) async fn changes_are_read_from_any_version_on_and_never_in_part(database: impl TestDatabase) {
    let store = store_with_changes(&database).await;
    for (since, limit, expected, has_more) in [
        (0, 1, &[1][..], true),
        (0, 2, &[1, 2, 2, 2], true),
        (0, 4, &[1, 2, 2, 2], true),
        (0, 5, &[1, 2, 2, 2, 3], false),
        (1, 1, &[2, 2, 2], true),
        (2, 10, &[3], false),
        (3, 10, &[], false),
    ] {
        let page = store.changes_since(since, limit).await.unwrap();
        assert_eq!((versions(&page).as_slice(), page.has_more), (expected, has_more), "since {since}, limit {limit}");
    }
    let first = store.changes_since(0, 1).await.unwrap().changes.remove(0);
    assert_eq!((first.actor.as_str(), first.action.as_str(), first.entity), ("ann", "create", Entity::Provider));
    assert_eq!((first.entity_name.as_str(), first.before), ("one", None));
    assert_eq!(first.after.unwrap()["weight"], 3);
}

pub(in crate::store) async fn the_last_changes_begin_with_a_whole_version(database: impl TestDatabase) {
    let store = store_with_changes(&database).await;
    for (limit, expected) in
        [(1, &[3][..]), (2, &[3]), (3, &[3]), (4, &[2, 2, 2, 3]), (5, &[1, 2, 2, 2, 3]), (9, &[1, 2, 2, 2, 3])]
    {
        let page = store.last_changes(limit).await.unwrap();
        assert_eq!((versions(&page).as_slice(), page.has_more), (expected, false), "limit {limit}");
    }
}
