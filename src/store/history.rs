//! Who changed what, as the triggers wrote it down.

use async_trait::async_trait;

use super::StoreError;
use super::column_types::{Json, Moment};
use crate::config::{ChangeRecord, Entity};

/// Some changes in the order in which they were made.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangePage {
    /// Ascending; never only a part of a version.
    pub changes: Vec<ChangeRecord>,
    /// Whether there are later ones.
    pub has_more: bool,
}

/// The history of the configuration.
#[async_trait]
pub trait History {
    /// Changes above version `since`, ascending: `limit` of them, and then the rest of the
    /// version that this would cut.
    async fn changes_since(&self, since: i64, limit: i64) -> Result<ChangePage, StoreError>;

    /// The last `limit` changes, ascending, without the beginning of a version that this cuts.
    async fn last_changes(&self, limit: i64) -> Result<ChangePage, StoreError>;
}

/// The columns of `config_changes` but its id.
pub(super) type ChangeRow = (i64, Moment, String, String, String, i32, String, Option<Json>, Option<Json>);

/// The change of a row; `None` for an entity that is none of ours.
pub(super) fn change(row: ChangeRow) -> Option<ChangeRecord> {
    let (version, at, actor, action, entity, entity_id, entity_name, before, after) = row;
    let entity = [Entity::Provider, Entity::Credential].into_iter().find(|known| known.name() == entity)?;
    let (before, after) = (before.map(|json| json.0), after.map(|json| json.0));
    Some(ChangeRecord { version, at: at.into(), actor, action, entity, entity_id, entity_name, before, after })
}

/// Implements [`History`] for `$store`; see `diesel_store!`.
macro_rules! history_store {
    ($store:ty, $connection:ty) => {
        const _: () = {
            use diesel::prelude::*;
            use diesel_async::RunQueryDsl;

            use $crate::store::history::{ChangeRow, change};
            use $crate::store::schema::config_changes::dsl;
            use $crate::store::{ChangePage, History, StoreError};

            type Columns = (
                dsl::version,
                dsl::at,
                dsl::actor,
                dsl::action,
                dsl::entity,
                dsl::entity_id,
                dsl::entity_name,
                dsl::before,
                dsl::after,
            );

            fn columns() -> Columns {
                (
                    dsl::version,
                    dsl::at,
                    dsl::actor,
                    dsl::action,
                    dsl::entity,
                    dsl::entity_id,
                    dsl::entity_name,
                    dsl::before,
                    dsl::after,
                )
            }

            async fn since(c: &mut $connection, since: i64, limit: i64) -> Result<ChangePage, StoreError> {
                let above = dsl::config_changes.filter(dsl::version.gt(since)).select(columns()).order(dsl::id);
                let mut rows: Vec<ChangeRow> = above.limit(limit).load(c).await?;
                let Some(last) = rows.as_slice().last().map(|row| row.0) else {
                    return Ok(ChangePage { changes: Vec::new(), has_more: false });
                };
                let complete = dsl::config_changes.filter(dsl::version.eq(last)).select(columns()).order(dsl::id);
                rows.retain(|row| row.0 != last);
                rows.extend(complete.load::<ChangeRow>(c).await?);
                let later: i64 = dsl::config_changes.filter(dsl::version.gt(last)).count().get_result(c).await?;
                Ok(ChangePage { changes: rows.into_iter().filter_map(change).collect(), has_more: later > 0 })
            }

            async fn last(c: &mut $connection, limit: i64) -> Result<ChangePage, StoreError> {
                let all = dsl::config_changes.select(columns()).order(dsl::id.desc());
                let mut rows: Vec<ChangeRow> = all.limit(limit).load(c).await?;
                rows.reverse();
                let Some(first) = rows.as_slice().first().map(|row| row.0) else {
                    return Ok(ChangePage { changes: Vec::new(), has_more: false });
                };
                let of_first = i64::try_from(rows.iter().filter(|row| row.0 == first).count()).unwrap_or(i64::MAX);
                let stored: i64 = dsl::config_changes.filter(dsl::version.eq(first)).count().get_result(c).await?;
                // A single version that is longer than the page is better shown in part than not at all.
                if stored > of_first && rows.iter().any(|row| row.0 != first) {
                    rows.retain(|row| row.0 != first);
                }
                Ok(ChangePage { changes: rows.into_iter().filter_map(change).collect(), has_more: false })
            }

            #[async_trait::async_trait]
            impl History for $store {
                async fn changes_since(&self, version: i64, limit: i64) -> Result<ChangePage, StoreError> {
                    self.read(move |c| Box::pin(since(c, version, limit))).await
                }

                async fn last_changes(&self, limit: i64) -> Result<ChangePage, StoreError> {
                    self.read(move |c| Box::pin(last(c, limit))).await
                }
            }
        };
    };
}

pub(super) use history_store;
