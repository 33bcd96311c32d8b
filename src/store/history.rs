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

/// What a rollback changed, or would change.
#[derive(Debug, Clone, PartialEq)]
pub struct RolledBack {
    /// The version after it; the version before it when it changed nothing or was only tried.
    pub version: i64,
    /// All at one version, the one after it.
    pub changes: Vec<ChangeRecord>,
}

/// The history of the configuration.
#[async_trait]
pub trait History {
    /// Changes above version `since`, ascending: `limit` of them, and then the rest of the
    /// version that this would cut.
    async fn changes_since(&self, since: i64, limit: i64) -> Result<ChangePage, StoreError>;

    /// The last `limit` changes, ascending, without the beginning of a version that this cuts.
    async fn last_changes(&self, limit: i64) -> Result<ChangePage, StoreError>;

    /// Makes the configuration what it was at version `to`, as one new version; changes nothing
    /// when `dry_run`. A credential that is there keeps its keys and is not switched on again; one
    /// that was deleted returns switched off.
    ///
    /// [`StoreError::NoVersion`] for a version that never was; [`StoreError::Conflict`] when the
    /// history since then has a gap, or a key of then has come to belong to another row.
    async fn rollback(&self, to: i64, dry_run: bool, actor: &str) -> Result<RolledBack, StoreError>;
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

/// Implements [`History`] for `$store`; see `diesel_store!`, which must be expanded beside it.
macro_rules! history_store {
    ($store:ty, $connection:ty) => {
        const _: () = {
            use diesel::prelude::*;
            use diesel_async::RunQueryDsl;

            use $crate::store::column_types::Moment;
            use $crate::store::history::{ChangeRow, change};
            use $crate::store::restore::{Plan, Targets, conflict};
            use $crate::store::rows::{CredentialRow, CredentialValues, ProviderRow, ProviderValues};
            use $crate::store::schema::config_changes::dsl;
            use $crate::store::schema::{config_version, credentials, providers};
            use $crate::store::{ChangePage, History, RolledBack, StoreError};

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

            /// Also tells the version before, which nobody else raises: writes are made one at a time.
            async fn roll_back(
                c: &mut $connection,
                to: i64,
                (actor, sealer): (&str, &Sealer),
            ) -> Result<(i64, RolledBack), StoreError> {
                let before = version(c).await?;
                if !(0..=before).contains(&to) {
                    return Err(StoreError::NoVersion(to));
                }
                let since = dsl::config_changes.filter(dsl::version.gt(to)).select(columns()).order(dsl::id);
                let targets = Targets::read(since.load(c).await?, to, before)?;
                let present = providers::table.select(ProviderRow::as_select()).load(c).await?;
                let present_credentials = credentials::table.select(CredentialRow::as_select()).load(c).await?;
                let (plan, credential_plan) = targets.plan(present, present_credentials, Moment::now(), sealer);
                write_providers(c, plan).await?;
                write_credentials(c, credential_plan).await?;
                Ok((before, as_one_version(c, before, actor).await?))
            }

            async fn write_providers(c: &mut $connection, plan: Plan<ProviderValues>) -> Result<(), StoreError> {
                let taken = |values: &ProviderValues| format!("The provider key '{}' is taken", values.key());
                for id in plan.deletes {
                    diesel::delete(providers::table.find(id)).execute(c).await?;
                }
                for (id, values) in plan.updates {
                    let taken = taken(&values);
                    let update = diesel::update(providers::table.find(id)).set(values);
                    update.execute(c).await.map_err(|error| StoreError::or_conflict(error, "version", taken))?;
                }
                for (id, values) in plan.inserts {
                    let taken = taken(&values);
                    let insert = diesel::insert_into(providers::table).values((providers::id.eq(id), values));
                    insert.execute(c).await.map_err(|error| StoreError::or_conflict(error, "version", taken))?;
                }
                Ok(())
            }

            async fn write_credentials(c: &mut $connection, plan: Plan<CredentialValues>) -> Result<(), StoreError> {
                for id in plan.deletes {
                    diesel::delete(credentials::table.find(id)).execute(c).await?;
                }
                for (id, values) in plan.updates {
                    diesel::update(credentials::table.find(id)).set(values).execute(c).await?;
                }
                for (id, values) in plan.inserts {
                    let in_use = || format!("The key of the deleted credential with ID {id} opens another one now");
                    if let Some(hash) = values.key_hash() {
                        match refuse_used_key(c, hash, Some(id)).await {
                            Err(StoreError::Conflict { .. }) => return Err(conflict(in_use())),
                            other => other?,
                        }
                    }
                    let insert = diesel::insert_into(credentials::table).values((credentials::id.eq(id), values));
                    insert.execute(c).await.map_err(|error| StoreError::or_conflict(error, "version", in_use()))?;
                }
                Ok(())
            }

            /// Makes one version of all that the triggers wrote down above version `before`.
            async fn as_one_version(c: &mut $connection, before: i64, actor: &str) -> Result<RolledBack, StoreError> {
                let version = before.saturating_add(1);
                let one = (dsl::version.eq(version), dsl::action.eq("rollback"), dsl::actor.eq(actor));
                let new = dsl::config_changes.filter(dsl::version.gt(before));
                if diesel::update(new).set(one).execute(c).await? == 0 {
                    return Ok(RolledBack { version: before, changes: Vec::new() });
                }
                let counter = diesel::update(config_version::table.find(1));
                counter.set(config_version::version.eq(version)).execute(c).await?;
                let rows = dsl::config_changes.filter(dsl::version.eq(version)).select(columns()).order(dsl::id);
                let rows: Vec<ChangeRow> = rows.load(c).await?;
                Ok(RolledBack { version, changes: rows.into_iter().filter_map(change).collect() })
            }

            #[async_trait::async_trait]
            impl History for $store {
                async fn changes_since(&self, version: i64, limit: i64) -> Result<ChangePage, StoreError> {
                    self.read(move |c| Box::pin(since(c, version, limit))).await
                }

                async fn last_changes(&self, limit: i64) -> Result<ChangePage, StoreError> {
                    self.read(move |c| Box::pin(last(c, limit))).await
                }

                async fn rollback(&self, to: i64, dry_run: bool, actor: &str) -> Result<RolledBack, StoreError> {
                    let (actor, sealer) = (actor.to_owned(), std::sync::Arc::clone(&self.sealer));
                    // Only an error takes a transaction back, and it has no room for what was done.
                    let (tried, mut outcome) = tokio::sync::oneshot::channel();
                    let work = async move |c: &mut $connection| {
                        let (version, rolled) = roll_back(c, to, (&actor, &sealer)).await?;
                        if !dry_run {
                            return Ok(rolled);
                        }
                        // A receiver that is gone means that nobody waits.
                        let _ = tried.send(RolledBack { version, ..rolled });
                        Err(StoreError::Internal("a dry run ends here".to_owned()))
                    };
                    let done = self.write(move |c| Box::pin(work(c))).await;
                    outcome.try_recv().map_or(done, Ok)
                }
            }
        };
    };
}

pub(super) use history_store;
