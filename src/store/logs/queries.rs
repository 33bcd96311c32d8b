//! Every query of the logs, written once; see `queries.rs` of the store.

/// Implements [`super::Logs`] for `$store`, which `diesel_store!` must be expanded for, too.
macro_rules! logs_store {
    ($store:ty, $connection:ty, $backend:ty) => {
        const _: () = {
            use diesel::query_builder::{BoxedSqlQuery, SqlQuery};
            use diesel::sql_types::{BigInt, Bool, Text};
            use diesel_async::RunQueryDsl;
            use futures_util::TryStreamExt as _;

            use $crate::store::column_types::{Instant as Time, Moment};
            use $crate::store::logs::figures::{self, PercentilesBy, SumsBy};
            use $crate::store::logs::page::{self, LogPage, LogTable};
            use $crate::store::logs::rows::{Number, Placed};
            use $crate::store::logs::sql::{Bind, Sql};
            use $crate::store::logs::summary::{Plan, Summary, SummaryWindow};
            use $crate::store::logs::{
                ErrorFilter, ErrorLogDetail, ErrorLogItem, Logs, RequestFilter, RequestLogDetail, RequestLogItem, Slice,
            };

            fn query(sql: Sql) -> BoxedSqlQuery<'static, $backend, SqlQuery> {
                let query = diesel::sql_query(sql.text).into_boxed::<$backend>();
                sql.binds.into_iter().fold(query, |query, value| match value {
                    Bind::Text(text) => query.bind::<Text, _>(text),
                    Bind::Number(number) => query.bind::<BigInt, _>(number),
                    Bind::Flag(flag) => query.bind::<Bool, _>(flag),
                    Bind::At(at) => query.bind::<Time, _>(Moment::from(at)),
                    Bind::Raw(raw) => query.bind::<Time, _>(raw),
                })
            }

            /// Reads a part of a list, and how many rows all of it has.
            macro_rules! list {
                ($self:ident, $row:ty, $filter:ident, $slice:ident, $count:expr) => {{
                    let page = page::select::<$row>(<$row>::COLUMNS, &$filter, &$slice);
                    let count = $slice.count.then(|| $count(&$filter));
                    $self
                        .read_logs(move |c| {
                            Box::pin(async move {
                                let rows: Vec<Placed<$row>> = query(page).load(c).await?;
                                let total = match count {
                                    Some(count) => Some(query(count).get_result::<Number>(c).await?.number),
                                    None => None,
                                };
                                Ok(page::cut(rows, total, &$slice))
                            })
                        })
                        .await
                }};
            }

            #[async_trait::async_trait]
            impl Logs for $store {
                async fn request_logs(
                    &self,
                    filter: RequestFilter,
                    slice: Slice,
                ) -> Result<LogPage<RequestLogItem>, StoreError> {
                    list!(self, RequestLogItem, filter, slice, figures::count)
                }

                async fn error_logs(
                    &self,
                    filter: ErrorFilter,
                    slice: Slice,
                ) -> Result<LogPage<ErrorLogItem>, StoreError> {
                    list!(self, ErrorLogItem, filter, slice, page::count)
                }

                async fn request_log(&self, id: i64) -> Result<Option<RequestLogDetail>, StoreError> {
                    let one = query(page::one(LogTable::Requests, id));
                    self.read(move |c| Box::pin(async move { Ok(one.get_result(c).await.optional()?) })).await
                }

                async fn error_log(&self, id: i64) -> Result<Option<ErrorLogDetail>, StoreError> {
                    let one = query(page::one(LogTable::Errors, id));
                    self.read(move |c| Box::pin(async move { Ok(one.get_result(c).await.optional()?) })).await
                }

                async fn delete_logs(&self, table: LogTable, ids: Vec<i64>) -> Result<usize, StoreError> {
                    if ids.is_empty() {
                        return Ok(0);
                    }
                    let delete = query(page::delete(table, ids));
                    self.write_aside(move |c| Box::pin(async move { Ok(delete.execute(c).await?) })).await
                }

                async fn log_stats(&self, filter: RequestFilter) -> Result<SumsBy, StoreError> {
                    let sums = query(figures::stats(&filter));
                    self.read_logs(move |c| Box::pin(async move { Ok(figures::sums_by(sums.load(c).await?)) })).await
                }

                async fn log_summary(&self, window: SummaryWindow) -> Result<(SumsBy, PercentilesBy), StoreError> {
                    let plan = Plan::of(&window);
                    self.read_logs(move |c| {
                        Box::pin(async move {
                            let mut summary = Summary::from(&plan);
                            // One at a time: of a long window they do not fit into memory.
                            for sql in plan.rows() {
                                let mut rows = query(sql).load_stream(c).await?;
                                while let Some(row) = rows.try_next().await? {
                                    summary.add_row(&row);
                                }
                            }
                            for sql in plan.sums() {
                                query(sql).load(c).await?.iter().for_each(|row| summary.add_sums(row));
                            }
                            for sql in plan.histograms() {
                                query(sql).load(c).await?.iter().for_each(|row| summary.add_histogram(row));
                            }
                            Ok(summary.finish())
                        })
                    })
                    .await
                }
            }
        };
    };
}

pub(in crate::store) use logs_store;
