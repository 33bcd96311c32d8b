//! The database file, read beside the server.

use std::fs;
use std::path::Path;

use diesel::connection::SimpleConnection as _;
use diesel::sql_types::{BigInt, Integer, Nullable, Text};
use diesel::{Connection as _, QueryableByName, RunQueryDsl as _, SqliteConnection, sql_query};

/// What the tests look at in a row of `request_logs`.
#[derive(Debug, QueryableByName)]
pub struct LogRow {
    #[diesel(sql_type = Text)]
    pub request_id: String,
    #[diesel(sql_type = Text)]
    pub endpoint: String,
    #[diesel(sql_type = Text)]
    pub credential_name: String,
    #[diesel(sql_type = Text)]
    pub client: String,
    #[diesel(sql_type = Nullable<Text>)]
    pub model_requested: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    pub model_mapped: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    pub provider_name: Option<String>,
    #[diesel(sql_type = Text)]
    pub client_protocol: String,
    #[diesel(sql_type = Integer)]
    pub is_streaming: i32,
    #[diesel(sql_type = Integer)]
    pub status_code: i32,
    #[diesel(sql_type = Text)]
    pub outcome: String,
    #[diesel(sql_type = Integer)]
    pub attempts: i32,
    #[diesel(sql_type = Nullable<BigInt>)]
    pub input_tokens: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    pub output_tokens: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    pub total_tokens: Option<i64>,
    #[diesel(sql_type = Integer)]
    pub estimated: i32,
    #[diesel(sql_type = BigInt)]
    pub total_duration_ms: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    pub ttft_ms: Option<i64>,
    #[diesel(sql_type = Nullable<Text>)]
    pub error_category: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    pub error_message: Option<String>,
    #[diesel(sql_type = Nullable<BigInt>)]
    pub gateway_us: Option<i64>,
    #[diesel(sql_type = Nullable<Text>)]
    pub upstream_request_id: Option<String>,
}

/// All rows of the database in `folder`, oldest first.
pub fn log_rows(folder: &Path) -> Vec<LogRow> {
    let mut connection = open(&folder.join("test.db"));
    sql_query("SELECT * FROM request_logs ORDER BY id").load(&mut connection).unwrap()
}

/// Runs SQL in the database file, as an operator would.
pub fn execute(database: &Path, sql: &str) {
    open(database).batch_execute(sql).unwrap();
}

/// Keeps everybody else from writing until it is dropped.
pub fn lock(database: &Path) -> impl Sized + use<> {
    let mut connection = open(database);
    connection.batch_execute("BEGIN IMMEDIATE").unwrap();
    connection
}

/// Everything that is stored: the database file and those beside it.
pub fn bytes_on_disk(folder: &Path) -> Vec<u8> {
    loop {
        let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        // SQLite folds its log into the database when the last connection closes: a file that is
        // gone by the time it is read stands in another by then.
        let read: Result<Vec<Vec<u8>>, _> = files.map(fs::read).collect();
        if let Ok(read) = read {
            return read.concat();
        }
    }
}

fn open(database: &Path) -> SqliteConnection {
    let mut connection = SqliteConnection::establish(database.to_str().unwrap()).unwrap();
    connection.batch_execute("PRAGMA busy_timeout = 5000").unwrap();
    connection
}
