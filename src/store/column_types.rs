//! Column types that SQLite and PostgreSQL store differently. Nothing else knows the difference.

use chrono::{DateTime, SubsecRound as _, Utc};
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::query_builder::QueryId;
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::{BigInt, SqlOrd, SqlType, Text};
use diesel::sqlite::{Sqlite, SqliteValue};
use serde_json::Value;

/// A JSON document: TEXT in SQLite.
#[derive(SqlType, QueryId)]
#[diesel(sqlite_type(name = "Text"))]
pub struct JsonDoc;

/// A list of strings: a JSON array as TEXT in SQLite.
#[derive(SqlType, QueryId)]
#[diesel(sqlite_type(name = "Text"))]
pub struct TextList;

/// A point in time: epoch milliseconds as INTEGER in SQLite.
#[derive(SqlType, QueryId)]
#[diesel(sqlite_type(name = "Long"))]
pub struct Instant;

/// The value of a [`JsonDoc`] column.
#[derive(Debug, Clone, PartialEq, AsExpression, FromSqlRow)]
#[diesel(sql_type = JsonDoc)]
pub struct Json(pub Value);

/// The value of a [`TextList`] column; `None` for a document that is no list of strings, so that
/// one such row cannot make all the others unreadable.
#[derive(Debug, Clone, PartialEq, Eq, AsExpression, FromSqlRow)]
#[diesel(sql_type = TextList)]
pub struct Texts(pub Option<Vec<String>>);

/// The value of an [`Instant`] column, in whole milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, AsExpression, FromSqlRow)]
#[diesel(sql_type = Instant)]
pub struct Moment(pub DateTime<Utc>);

impl Moment {
    /// The present.
    #[must_use]
    pub fn now() -> Self {
        Utc::now().into()
    }
}

impl From<DateTime<Utc>> for Moment {
    fn from(at: DateTime<Utc>) -> Self {
        Self(at.trunc_subsecs(3))
    }
}

impl From<Moment> for DateTime<Utc> {
    fn from(moment: Moment) -> Self {
        moment.0
    }
}

// Lets queries compare instants.
impl SqlOrd for Instant {}

// === impl SQLite ===

impl ToSql<JsonDoc, Sqlite> for Json {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.0.to_string());
        Ok(IsNull::No)
    }
}

impl FromSql<JsonDoc, Sqlite> for Json {
    fn from_sql(value: SqliteValue<'_, '_, '_>) -> deserialize::Result<Self> {
        let text = <String as FromSql<Text, Sqlite>>::from_sql(value)?;
        // SQLite accepts documents that serde_json does not (1e999, lone surrogates). They read as
        // null, which the checks of `config` report for their own row, as they do for `[]`.
        Ok(Self(serde_json::from_str(&text).unwrap_or_default()))
    }
}

impl ToSql<TextList, Sqlite> for Texts {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        let list = self.0.as_ref().ok_or("an unreadable list cannot be written")?;
        out.set_value(serde_json::to_string(list)?);
        Ok(IsNull::No)
    }
}

impl FromSql<TextList, Sqlite> for Texts {
    fn from_sql(value: SqliteValue<'_, '_, '_>) -> deserialize::Result<Self> {
        let text = <String as FromSql<Text, Sqlite>>::from_sql(value)?;
        Ok(Self(serde_json::from_str(&text).ok()))
    }
}

impl ToSql<Instant, Sqlite> for Moment {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.0.timestamp_millis());
        Ok(IsNull::No)
    }
}

impl FromSql<Instant, Sqlite> for Moment {
    fn from_sql(value: SqliteValue<'_, '_, '_>) -> deserialize::Result<Self> {
        let millis = <i64 as FromSql<BigInt, Sqlite>>::from_sql(value)?;
        // Plain SQL may hold nanoseconds by mistake: still a time, only a very late one.
        let beyond = if millis < 0 { DateTime::<Utc>::MIN_UTC } else { DateTime::<Utc>::MAX_UTC };
        Ok(Self(DateTime::from_timestamp_millis(millis).unwrap_or(beyond)))
    }
}
