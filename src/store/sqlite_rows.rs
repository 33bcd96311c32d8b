//! Inserting rows of the logs into SQLite: the statement that runs for every request.
//!
//! Diesel's derived insert walks a tree of nodes, several for each column and twice for each row,
//! which takes as long as SQLite does with the row. Here the row is one node. Each row is a
//! statement of its own, which is prepared once: one for many rows would be read anew each time,
//! and SQLite keeps a journal for a statement that may fail half-way.

use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sqlite::Sqlite;
use diesel::{Expression, QueryResult, RunQueryDsl, SqliteConnection};

use super::error_log::ErrorLog;
use super::request_log::RequestLog;
use super::schema::{error_logs, request_logs};

/// Declares the insert of a row, whose fields are named as the columns.
macro_rules! insert_row {
    ($(#[$doc:meta])* $insert:ident of $row:ty: $table:ident ($first:ident $(, $column:ident)* $(,)?)) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub(super) struct $insert<'r>(pub &'r $row);

        impl QueryId for $insert<'_> {
            type QueryId = $insert<'static>;

            const HAS_STATIC_QUERY_ID: bool = true;
        }

        impl QueryFragment<Sqlite> for $insert<'_> {
            fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
                out.push_sql(concat!(
                    "INSERT INTO ", stringify!($table), " (", stringify!($first), $(", ", stringify!($column),)* ") VALUES ("
                ));
                out.push_bind_param::<<$table::$first as Expression>::SqlType, _>(&self.0.$first)?;
                $(
                    out.push_sql(", ");
                    out.push_bind_param::<<$table::$column as Expression>::SqlType, _>(&self.0.$column)?;
                )*
                out.push_sql(")");
                Ok(())
            }
        }

        impl RunQueryDsl<SqliteConnection> for $insert<'_> {}

        impl $insert<'_> {
            /// Inserts the row.
            pub(super) fn run(self, c: &mut SqliteConnection) -> QueryResult<()> {
                self.execute(c).map(drop)
            }
        }
    };
}

insert_row! {
    /// The insert of a row of `request_logs`.
    InsertRequest of RequestLog: request_logs (
        timestamp, request_id, endpoint, credential_name, client, model_requested, model_mapped, provider_name,
        provider_type, client_protocol, provider_protocol, is_streaming, status_code, outcome, attempts, input_tokens,
        output_tokens, total_tokens, cached_tokens, cache_write_tokens, reasoning_tokens, estimated, cost_microusd,
        total_duration_ms, ttft_ms, gateway_us, dropped_fields, error_category, error_message, upstream_request_id,
        replica_id, config_version, request_headers, request_body, response_body,
    )
}

insert_row! {
    /// The insert of a row of `error_logs`.
    InsertError of ErrorLog: error_logs (
        request_id, timestamp, attempt, error_category, error_code, error_message, endpoint, client_protocol,
        request_headers, request_body, provider_name, provider_api_base, provider_protocol, model_requested,
        mapped_model, response_status_code, response_body, total_duration_ms, credential_name, client, is_streaming,
        provider_request_headers, provider_request_body,
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use diesel::{Column, Table, debug_query};

    use super::*;
    use crate::store::suite::{error_log, request_log};

    /// The columns that a statement names.
    fn named(statement: &str) -> BTreeSet<String> {
        let columns = statement.split(['(', ')']).nth(1).unwrap();
        columns.split(", ").map(str::to_owned).collect()
    }

    /// Those of a table but for the id, which the database gives.
    macro_rules! columns {
        ($table:ident) => {{
            let select = diesel::QueryDsl::select($table::table, $table::table::all_columns());
            let all = debug_query::<Sqlite, _>(&select).to_string();
            let list = all.trim_start_matches("SELECT ").split(" FROM ").next().unwrap().to_owned();
            let prefix = format!("`{}`.", stringify!($table));
            let names = list.split(", ").map(|name| name.trim_start_matches(&*prefix).trim_matches('`').to_owned());
            names.filter(|name| name != $table::id::NAME).collect::<BTreeSet<String>>()
        }};
    }

    #[test]
    fn every_column_is_written() {
        let (request, error) = (request_log("r"), error_log("r"));
        let statement = debug_query::<Sqlite, _>(&InsertRequest(&request)).to_string();
        assert_eq!(named(&statement), columns!(request_logs));
        let statement = debug_query::<Sqlite, _>(&InsertError(&error)).to_string();
        assert_eq!(named(&statement), columns!(error_logs));
    }
}
