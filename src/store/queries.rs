//! Every query, written once.
//!
//! Diesel type-checks a query per backend, and the bounds of a function that is generic over the
//! connection would be longer than its body. So the bodies live in a macro that each backend
//! expands for its own connection.

/// Implements [`super::Store`] for `$store`, which must have
/// `migrate`, `notified`, `insert_request_logs` and `insert_error_logs`, the field `sealer`, and four that run a
/// [`super::Work`] in a transaction: `read` sees one state of the database, `write` is for the
/// configuration and one at a time, `write_at_length` the same for what takes long, `write_aside` is for everything else.
macro_rules! diesel_store {
    ($store:ty, $connection:ty) => {
        use diesel::prelude::*;
        use diesel_async::RunQueryDsl;

        use $crate::config::{
            CredentialDraft, CredentialPatch, CredentialRecord, Entity, KeyHash, Loaded, ProviderDraft, ProviderPatch,
            ProviderRecord, Sealer,
        };
        use $crate::store::column_types::Moment;
        use $crate::store::rows::{self, CredentialRow, CredentialValues, ProviderRow, ProviderValues};
        use $crate::store::schema::{config_changes, config_version, credentials, error_logs, providers, request_logs};
        use $crate::store::{Committed, ErrorLog, RequestLog, Store, StoreError};

        type Written<T> = Result<Committed<T>, StoreError>;

        async fn version(c: &mut $connection) -> Result<i64, StoreError> {
            let row = config_version::table.find(1).select(config_version::version);
            Ok(row.first(c).await?)
        }

        async fn stamp(c: &mut $connection) -> Result<(i64, Moment), StoreError> {
            let columns = (config_version::version, config_version::updated_at);
            Ok(config_version::table.find(1).select(columns).first(c).await?)
        }

        async fn load(c: &mut $connection) -> Result<Loaded, StoreError> {
            let at = stamp(c).await?;
            let providers = providers::table.order(providers::id).select(ProviderRow::as_select()).load(c).await?;
            let credentials =
                credentials::table.order(credentials::id).select(CredentialRow::as_select()).load(c).await?;
            Ok(rows::loaded(at, providers, credentials))
        }

        /// Ends a write that began at version `before`: the triggers wrote the history, which
        /// now learns whose change it was.
        async fn attribute<T>(c: &mut $connection, before: i64, actor: &str, record: T) -> Written<T> {
            diesel::update(config_changes::table.filter(config_changes::version.gt(before)))
                .set(config_changes::actor.eq(actor))
                .execute(c)
                .await?;
            let after = version(c).await?;
            if after == before {
                // Nobody else would ever hear of the change.
                let missing = "the triggers that count versions are missing or switched off";
                return Err(StoreError::Schema(missing.to_owned()));
            }
            Ok(Committed { version: after, record })
        }

        // === providers ===

        async fn find_provider(c: &mut $connection, id: i32) -> Result<ProviderRecord, StoreError> {
            let row = providers::table.find(id).select(ProviderRow::as_select());
            let row = row.first(c).await.optional()?;
            row.map(ProviderRow::into_record).ok_or(StoreError::NotFound { entity: Entity::Provider, id })
        }

        async fn create_provider(c: &mut $connection, draft: ProviderDraft, actor: &str) -> Written<ProviderRecord> {
            let before = version(c).await?;
            let taken = format!("Provider with key '{}' already exists", draft.provider_key);
            let row = diesel::insert_into(providers::table)
                .values(ProviderValues::created(draft))
                .returning(ProviderRow::as_returning())
                .get_result(c)
                .await
                .map_err(|error| StoreError::or_conflict(error, "provider_key", taken))?;
            attribute(c, before, actor, row.into_record()).await
        }

        async fn update_provider(
            c: &mut $connection,
            (id, patch): (i32, ProviderPatch),
            (actor, sealer): (&str, &Sealer),
        ) -> Written<ProviderRecord> {
            let (before, old) = (version(c).await?, find_provider(c, id).await?);
            let (now, new) = (Moment::now(), patch.without_stored_key(&old, sealer).apply_to(&old)?);
            if new == old {
                return Ok(Committed { version: before, record: old });
            }
            let values = ProviderValues::updated(ProviderRecord { api_key: sealer.refresh(&new.api_key), ..new }, now);
            let row = diesel::update(providers::table.find(id))
                .set(values)
                .returning(ProviderRow::as_returning())
                .get_result(c)
                .await?;
            attribute(c, before, actor, row.into_record()).await
        }

        async fn delete_provider(c: &mut $connection, id: i32, actor: &str) -> Written<()> {
            let before = version(c).await?;
            if diesel::delete(providers::table.find(id)).execute(c).await? == 0 {
                return Err(StoreError::NotFound { entity: Entity::Provider, id });
            }
            attribute(c, before, actor, ()).await
        }

        // === credentials ===

        async fn find_credential(c: &mut $connection, id: i32) -> Result<CredentialRecord, StoreError> {
            let row = credentials::table.find(id).select(CredentialRow::as_select());
            let row = row.first(c).await.optional()?;
            let row = row.ok_or(StoreError::NotFound { entity: Entity::Credential, id })?;
            Ok(row.into_record()?)
        }

        /// Refuses a key that opens another credential, also by the grace of a rotation, which
        /// no unique index knows.
        async fn refuse_used_key(c: &mut $connection, hash: KeyHash, own_id: Option<i32>) -> Result<(), StoreError> {
            let hex = hash.to_hex();
            let current = credentials::credential_key.eq(hex.clone());
            let previous =
                credentials::previous_credential_key.eq(hex).and(credentials::previous_valid_until.gt(Moment::now()));
            // Ids begin at 1.
            let others = credentials::table.filter(credentials::id.ne(own_id.unwrap_or(0)));
            let users: i64 = others.filter(previous.or(current)).count().get_result(c).await?;
            if users > 0 { Err(rows::key_in_use()) } else { Ok(()) }
        }

        async fn create_credential(
            c: &mut $connection,
            draft: CredentialDraft,
            actor: &str,
        ) -> Written<CredentialRecord> {
            let before = version(c).await?;
            refuse_used_key(c, draft.key_hash, None).await?;
            let row = diesel::insert_into(credentials::table)
                .values(CredentialValues::created(draft))
                .returning(CredentialRow::as_returning())
                .get_result(c)
                .await?;
            attribute(c, before, actor, row.into_record()?).await
        }

        async fn update_credential(
            c: &mut $connection,
            (id, patch): (i32, CredentialPatch),
            actor: &str,
        ) -> Written<CredentialRecord> {
            let (before, old) = (version(c).await?, find_credential(c, id).await?);
            let (now, new) = (Moment::now(), patch.apply_to(&old));
            if new.key_hash != old.key_hash {
                refuse_used_key(c, new.key_hash, Some(id)).await?;
            }
            let values = CredentialValues::updated(new, now);
            if values == CredentialValues::updated(old.clone(), now) {
                return Ok(Committed { version: before, record: old });
            }
            let row = diesel::update(credentials::table.find(id))
                .set(values)
                .returning(CredentialRow::as_returning())
                .get_result(c)
                .await?;
            attribute(c, before, actor, row.into_record()?).await
        }

        async fn delete_credential(c: &mut $connection, id: i32, actor: &str) -> Written<()> {
            let before = version(c).await?;
            if diesel::delete(credentials::table.find(id)).execute(c).await? == 0 {
                return Err(StoreError::NotFound { entity: Entity::Credential, id });
            }
            attribute(c, before, actor, ()).await
        }

        // === logs ===

        /// Logs removed per transaction: few enough that other writers hardly wait.
        const PRUNED_AT_ONCE: i64 = 1_000;

        /// Removes a bounded number of the oldest rows of a log.
        macro_rules! prune {
            ($c:ident, $table:ident, $before:expr) => {{
                // Another replica that is at it goes on.
                if !may_prune($c).await? {
                    return Ok(0);
                }
                let old = diesel::alias!($table as old);
                let ids = old
                    .filter(old.field($table::timestamp).lt(Moment::from($before)))
                    .order(old.field($table::timestamp))
                    .select(old.field($table::id))
                    .limit(PRUNED_AT_ONCE);
                let pruned = $table::table.filter($table::id.eq_any(ids));
                Ok(diesel::delete(pruned).execute($c).await?)
            }};
        }

        /// Runs one of the writes above as `$actor`.
        macro_rules! write_as {
            ($self:ident, $query:ident, $change:expr, $actor:ident) => {{
                let (change, actor) = ($change, $actor.to_owned());
                $crate::store::text::Storable::check(&change)?;
                $self.write(move |c| Box::pin(async move { $query(c, change, &actor).await })).await
            }};
        }

        #[async_trait::async_trait]
        impl Store for $store {
            async fn prepare(&self) -> Result<usize, StoreError> {
                self.migrate().await
            }

            async fn changed(&self) {
                self.notified().await;
            }

            async fn load(&self) -> Result<Loaded, StoreError> {
                self.read(|c| Box::pin(load(c))).await
            }

            async fn version(&self) -> Result<i64, StoreError> {
                self.read(|c| Box::pin(version(c))).await
            }

            async fn stamp(&self) -> Result<(i64, chrono::DateTime<chrono::Utc>), StoreError> {
                let (version, at) = self.read(|c| Box::pin(stamp(c))).await?;
                Ok((version, at.into()))
            }

            async fn create_provider(&self, draft: ProviderDraft, actor: &str) -> Written<ProviderRecord> {
                let draft = ProviderDraft { api_key: self.sealer.seal(&draft.api_key), ..draft };
                write_as!(self, create_provider, draft, actor)
            }

            async fn update_provider(&self, id: i32, patch: ProviderPatch, actor: &str) -> Written<ProviderRecord> {
                let sealer = std::sync::Arc::clone(&self.sealer);
                let (patch, actor) = ((id, patch), actor.to_owned());
                $crate::store::text::Storable::check(&patch)?;
                self.write(move |c| Box::pin(async move { update_provider(c, patch, (&actor, &sealer)).await })).await
            }

            async fn delete_provider(&self, id: i32, actor: &str) -> Written<()> {
                write_as!(self, delete_provider, id, actor)
            }

            async fn create_credential(&self, draft: CredentialDraft, actor: &str) -> Written<CredentialRecord> {
                write_as!(self, create_credential, draft, actor)
            }

            async fn update_credential(
                &self,
                id: i32,
                patch: CredentialPatch,
                actor: &str,
            ) -> Written<CredentialRecord> {
                write_as!(self, update_credential, (id, patch), actor)
            }

            async fn delete_credential(&self, id: i32, actor: &str) -> Written<()> {
                write_as!(self, delete_credential, id, actor)
            }

            async fn append_request_logs(&self, rows: Arc<Vec<RequestLog>>) -> Result<(), StoreError> {
                if rows.is_empty() { Ok(()) } else { self.insert_request_logs(rows).await }
            }

            async fn append_error_logs(&self, rows: Arc<Vec<ErrorLog>>) -> Result<(), StoreError> {
                if rows.is_empty() { Ok(()) } else { self.insert_error_logs(rows).await }
            }

            async fn prune_request_logs(&self, before: chrono::DateTime<chrono::Utc>) -> Result<usize, StoreError> {
                let mut total = 0;
                loop {
                    let pruned = self.write_aside(move |c| Box::pin(async move { prune!(c, request_logs, before) }));
                    match pruned.await? {
                        0 => return Ok(total),
                        pruned => total += pruned,
                    }
                }
            }

            async fn prune_error_logs(&self, before: chrono::DateTime<chrono::Utc>) -> Result<usize, StoreError> {
                let mut total = 0;
                loop {
                    let pruned = self.write_aside(move |c| Box::pin(async move { prune!(c, error_logs, before) }));
                    match pruned.await? {
                        0 => return Ok(total),
                        pruned => total += pruned,
                    }
                }
            }
        }
    };
}

pub(super) use diesel_store;
