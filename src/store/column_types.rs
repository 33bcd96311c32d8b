//! Column types that SQLite and PostgreSQL store differently. Nothing else knows the difference.

use std::io::Write as _;

use chrono::{DateTime, SubsecRound as _, Utc};
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::pg::{Pg, PgValue};
use diesel::query_builder::QueryId;
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::{Array, BigInt, SqlOrd, SqlType, Text};
use diesel::sqlite::{Sqlite, SqliteValue};
use serde_json::Value;

/// A JSON document: JSONB in PostgreSQL, TEXT in SQLite.
#[derive(SqlType, QueryId)]
#[diesel(postgres_type(oid = 3802, array_oid = 3807), sqlite_type(name = "Text"))]
pub struct JsonDoc;

/// A list of strings: TEXT[] in PostgreSQL, a JSON array as TEXT in SQLite.
#[derive(SqlType, QueryId)]
#[diesel(postgres_type(oid = 1009, array_oid = 0), sqlite_type(name = "Text"))]
pub struct TextList;

/// A point in time: TIMESTAMPTZ in PostgreSQL, epoch milliseconds as INTEGER in SQLite.
#[derive(SqlType, QueryId)]
#[diesel(postgres_type(oid = 1184, array_oid = 1185), sqlite_type(name = "Long"))]
pub struct Instant;

/// The value of a [`JsonDoc`] column.
#[derive(Debug, Clone, PartialEq, AsExpression, FromSqlRow)]
#[diesel(sql_type = JsonDoc)]
pub struct Json(pub Value);

/// The same as the text that the database has, for who changes a part of it: numbers that a
/// [`Value`] cannot hold survive.
#[derive(Debug, Clone, PartialEq, Eq, AsExpression, FromSqlRow)]
#[diesel(sql_type = JsonDoc)]
pub struct JsonText(pub String);

/// The value of a [`TextList`] column; `None` for what is no list of strings, so that
/// one such row cannot make all the others unreadable.
#[derive(Debug, Clone, PartialEq, Eq, AsExpression, FromSqlRow)]
#[diesel(sql_type = TextList)]
pub struct Texts(pub Option<Vec<String>>);

/// The value of an [`Instant`] column, in whole milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, AsExpression, FromSqlRow)]
#[diesel(sql_type = Instant)]
pub struct Moment(pub DateTime<Utc>);

/// An [`Instant`] exactly as the database has it, for a place in a list that is sorted by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, AsExpression, FromSqlRow)]
#[diesel(sql_type = Instant)]
pub struct Raw(pub i64);

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

impl ToSql<JsonDoc, Sqlite> for JsonText {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.0.as_str());
        Ok(IsNull::No)
    }
}

impl FromSql<JsonDoc, Sqlite> for JsonText {
    fn from_sql(value: SqliteValue<'_, '_, '_>) -> deserialize::Result<Self> {
        <String as FromSql<Text, Sqlite>>::from_sql(value).map(Self)
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
        ToSql::<Instant, Sqlite>::to_sql(&self.0, out)
    }
}

/// Anything below a millisecond is left out.
impl ToSql<Instant, Sqlite> for DateTime<Utc> {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.timestamp_millis());
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

// === impl PostgreSQL ===

/// The only version of the binary form of JSONB: a byte before the text.
const JSONB_VERSION: u8 = 1;
const UNKNOWN_JSONB: &str = "an unknown version of JSONB";

/// PostgreSQL counts microseconds from the beginning of the year 2000.
const EPOCH_MICROS: i64 = 946_684_800_000_000;

/// The first instant that it can hold, 4714-11-24 BC; before it is only `-infinity`.
const FIRST_MICROS: i64 = -211_813_488_000_000_000;

impl ToSql<JsonDoc, Pg> for Json {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        out.write_all(&[JSONB_VERSION])?;
        serde_json::to_writer(out, &self.0)?;
        Ok(IsNull::No)
    }
}

impl FromSql<JsonDoc, Pg> for Json {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        let text = value.as_bytes().strip_prefix(&[JSONB_VERSION]).ok_or(UNKNOWN_JSONB)?;
        // JSONB holds numbers that serde_json does not; see SQLite's.
        Ok(Self(serde_json::from_slice(text).unwrap_or_default()))
    }
}

impl ToSql<JsonDoc, Pg> for JsonText {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        out.write_all(&[JSONB_VERSION])?;
        out.write_all(self.0.as_bytes())?;
        Ok(IsNull::No)
    }
}

impl FromSql<JsonDoc, Pg> for JsonText {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        let text = value.as_bytes().strip_prefix(&[JSONB_VERSION]).ok_or(UNKNOWN_JSONB)?;
        Ok(Self(std::str::from_utf8(text)?.to_owned()))
    }
}

impl ToSql<TextList, Pg> for Texts {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        let list = self.0.as_ref().ok_or("an unreadable list cannot be written")?;
        <Vec<String> as ToSql<Array<Text>, Pg>>::to_sql(list, out)
    }
}

impl FromSql<TextList, Pg> for Texts {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        // An array may hold NULLs and have several dimensions.
        Ok(Self(<Vec<String> as FromSql<Array<Text>, Pg>>::from_sql(value).ok()))
    }
}

impl ToSql<Instant, Pg> for Moment {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        let micros = self.0.timestamp_micros().saturating_sub(EPOCH_MICROS);
        let micros = if micros < FIRST_MICROS { i64::MIN } else { micros };
        out.write_all(&micros.to_be_bytes())?;
        Ok(IsNull::No)
    }
}

impl FromSql<Instant, Pg> for Moment {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        let micros = <i64 as FromSql<BigInt, Pg>>::from_sql(value)?;
        // `infinity` and `-infinity` are the largest and the smallest number.
        let beyond = if micros < 0 { DateTime::<Utc>::MIN_UTC } else { DateTime::<Utc>::MAX_UTC };
        let at = micros.checked_add(EPOCH_MICROS).and_then(DateTime::from_timestamp_micros);
        Ok(at.map_or(Self(beyond), Self::from))
    }
}

impl ToSql<Instant, Sqlite> for Raw {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.0);
        Ok(IsNull::No)
    }
}

impl FromSql<Instant, Sqlite> for Raw {
    fn from_sql(value: SqliteValue<'_, '_, '_>) -> deserialize::Result<Self> {
        <i64 as FromSql<BigInt, Sqlite>>::from_sql(value).map(Self)
    }
}

impl ToSql<Instant, Pg> for Raw {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        out.write_all(&self.0.to_be_bytes())?;
        Ok(IsNull::No)
    }
}

impl FromSql<Instant, Pg> for Raw {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        <i64 as FromSql<BigInt, Pg>>::from_sql(value).map(Self)
    }
}
