//! Which part of a list is read, in which order, and where the next part begins.

use std::ops::RangeInclusive;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::sql::{Bind, Sql};
use crate::store::column_types::Raw;

/// Times that both databases have, in milliseconds or microseconds.
const TIMES: RangeInclusive<i64> = -200_000_000_000_000_000..=9_000_000_000_000_000_000;

/// A column that a list may be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SortColumn {
    /// Its name, in the database and in the admin API.
    pub name: &'static str,
    nullable: bool,
}

/// What request logs may be sorted by; the first is the default.
pub const REQUEST_SORTS: &[SortColumn] = &[
    column("timestamp"),
    column("status_code"),
    column("total_duration_ms"),
    nullable("ttft_ms"),
    nullable("input_tokens"),
    nullable("output_tokens"),
    nullable("total_tokens"),
];

/// What error logs may be sorted by; the first is the default.
pub const ERROR_SORTS: &[SortColumn] =
    &[column("timestamp"), column("attempt"), nullable("response_status_code"), nullable("total_duration_ms")];

/// A place in a sorted list: the last row before it. Opaque to clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    sort: SortColumn,
    descending: bool,
    /// The row's value in the sorted column; a time as the database has it.
    value: Option<i64>,
    id: i64,
}

/// Where a part of a list begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begin {
    /// So many rows after the first.
    Skip(i64),
    /// After this place.
    After(Cursor),
}

/// A part of a sorted list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice {
    /// The column to sort by; rows without a value come last, equal ones in the order of their ids.
    pub sort: SortColumn,
    /// The largest first.
    pub descending: bool,
    /// Where it begins.
    pub begin: Begin,
    /// How many rows.
    pub size: i64,
    /// Whether to count all rows of the list.
    pub count: bool,
}

const fn column(name: &'static str) -> SortColumn {
    SortColumn { name, nullable: false }
}

const fn nullable(name: &'static str) -> SortColumn {
    SortColumn { name, nullable: true }
}

// === impl SortColumn ===

impl SortColumn {
    fn is_time(self) -> bool {
        self.name == "timestamp"
    }

    /// The columns that a cursor is made from.
    fn key(self) -> String {
        if self.is_time() {
            return "timestamp AS sort_time, CAST(NULL AS BIGINT) AS sort_number".to_owned();
        }
        format!("CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS sort_time, CAST({} AS BIGINT) AS sort_number", self.name)
    }
}

// === impl Cursor ===

impl Cursor {
    /// The place after a row.
    pub(in crate::store) const fn after(slice: &Slice, value: Option<i64>, id: i64) -> Self {
        Self { sort: slice.sort, descending: slice.descending, value, id }
    }

    /// For the client.
    #[must_use]
    pub fn encode(&self) -> String {
        let place = json!([self.sort.name, self.descending, self.value, self.id]);
        BASE64_URL_SAFE_NO_PAD.encode(place.to_string())
    }

    /// What a client sent back; `None` for what [`Cursor::encode`] never gave for this order.
    #[must_use]
    pub fn decode(text: &str, sort: SortColumn, descending: bool) -> Option<Self> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        let place: [Value; 4] = serde_json::from_slice(&bytes).ok()?;
        let [name, is_descending, value, id] = place;
        let value = if value.is_null() { None } else { Some(value.as_i64()?) };
        let fits = name == sort.name && is_descending == descending && (sort.nullable || value.is_some());
        let exists = !sort.is_time() || value.is_none_or(|value| TIMES.contains(&value));
        (fits && exists).then_some(Self { sort, descending, value, id: id.as_i64()? })
    }

    /// Appends the condition that rows behind this place meet.
    fn push_to(&self, sql: &mut Sql) {
        let (name, than) = (self.sort.name, if self.descending { "<" } else { ">" });
        let Some(value) = self.value else {
            sql.push(&format!(" AND {name} IS NULL AND id {than} ")).bind(Bind::Number(self.id));
            return;
        };
        let value = || if self.sort.is_time() { Bind::Raw(Raw(value)) } else { Bind::Number(value) };
        if self.sort.nullable {
            sql.push(&format!(" AND ({name} {than} ")).bind(value());
            sql.push(&format!(" OR ({name} = ")).bind(value());
            sql.push(&format!(" AND id {than} ")).bind(Bind::Number(self.id));
            sql.push(&format!(") OR {name} IS NULL)"));
        } else {
            sql.push(&format!(" AND ({name}, id) {than} (")).bind(value());
            sql.push(", ").bind(Bind::Number(self.id)).push(")");
        }
    }
}

// === impl Slice ===

impl Slice {
    /// The columns that tell where the next part begins.
    pub(in crate::store) fn key(&self) -> String {
        self.sort.key()
    }

    /// Appends the place and the order, and reads one row more than asked for, which tells whether
    /// there is a next part.
    pub(in crate::store) fn push_to(&self, sql: &mut Sql) {
        if let Begin::After(cursor) = &self.begin {
            cursor.push_to(sql);
        }
        let direction = if self.descending { "DESC" } else { "ASC" };
        // An index cannot be read in this order where NULLs have another place in it.
        let nulls = if self.sort.nullable { " NULLS LAST" } else { "" };
        sql.push(&format!(" ORDER BY {} {direction}{nulls}, id {direction} LIMIT ", self.sort.name));
        sql.bind(Bind::Number(self.size.saturating_add(1)));
        if let Begin::Skip(rows) = self.begin {
            sql.push(" OFFSET ").bind(Bind::Number(rows));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_for_its_own_order_only() {
        let [time, .., total] = REQUEST_SORTS else { panic!() };
        let cursor = Cursor { sort: *time, descending: true, value: Some(-5), id: 7 };
        let text = cursor.encode();
        assert_eq!(Cursor::decode(&text, *time, true), Some(cursor));
        assert_eq!(Cursor::decode(&text, *time, false), None);
        assert_eq!(Cursor::decode(&text, *total, true), None);
        let unknown = Cursor { sort: *total, descending: false, value: None, id: 7 };
        assert_eq!(Cursor::decode(&unknown.encode(), *total, false), Some(unknown));
        for wrong in ["", "x", "!!", "W10", "bnVsbA"] {
            assert_eq!(Cursor::decode(wrong, *time, true), None, "{wrong}");
        }
        // PostgreSQL has no such time.
        let beyond = Cursor { sort: *time, descending: true, value: Some(i64::MIN / 2), id: 1 };
        assert_eq!(Cursor::decode(&beyond.encode(), *time, true), None);
    }
}
