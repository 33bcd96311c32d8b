//! Parts of the lists of log rows.

use super::filter::Conditions;
use super::rows::{ErrorLogItem, Placed, RequestLogItem};
use super::slice::{Cursor, Slice};
use super::sql::{Bind, Sql};

/// A table of logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogTable {
    /// Finished requests.
    Requests,
    /// Failed attempts, and errors of our own.
    Errors,
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPage<T> {
    /// Its rows.
    pub items: Vec<T>,
    /// How many rows the list has; `None` when they were not to be counted.
    pub total: Option<i64>,
    /// Where the next part begins; `None` at the end.
    pub next: Option<Cursor>,
}

/// A row of a list.
pub(in crate::store) trait Listed {
    /// Its table.
    const TABLE: LogTable;

    fn id(&self) -> i64;
}

impl Listed for RequestLogItem {
    const TABLE: LogTable = LogTable::Requests;

    fn id(&self) -> i64 {
        self.id
    }
}

impl Listed for ErrorLogItem {
    const TABLE: LogTable = LogTable::Errors;

    fn id(&self) -> i64 {
        self.id
    }
}

impl LogTable {
    const fn name(self) -> &'static str {
        match self {
            Self::Requests => "request_logs",
            Self::Errors => "error_logs",
        }
    }
}

/// Reads a part of a list.
pub(in crate::store) fn select<T: Listed>(columns: &[&str], filter: &impl Conditions, slice: &Slice) -> Sql {
    let table = T::TABLE.name();
    let mut sql = Sql::from("SELECT ");
    sql.push(&columns.join(", ")).push(", ").push(&slice.key()).push(&format!(" FROM {table} WHERE TRUE"));
    filter.push_to(&mut sql);
    slice.push_to(&mut sql);
    sql
}

/// Reads how many error logs `filter` means.
pub(in crate::store) fn count(filter: &impl Conditions) -> Sql {
    let mut sql = Sql::from("SELECT COUNT(*) AS number FROM error_logs WHERE TRUE");
    filter.push_to(&mut sql);
    sql
}

/// Reads all columns of a row.
pub(in crate::store) fn one(table: LogTable, id: i64) -> Sql {
    let mut sql = Sql::from("SELECT * FROM ");
    sql.push(table.name()).push(" WHERE id = ").bind(Bind::Number(id));
    sql
}

/// Deletes some rows.
pub(in crate::store) fn delete(table: LogTable, ids: Vec<i64>) -> Sql {
    let mut sql = Sql::from("DELETE FROM ");
    sql.push(table.name()).push(" WHERE id IN (");
    for (place, id) in ids.into_iter().enumerate() {
        sql.push(if place == 0 { "" } else { ", " }).bind(Bind::Number(id));
    }
    sql.push(")");
    sql
}

/// Cuts off the row that only tells of the next part.
pub(in crate::store) fn cut<T: Listed>(mut rows: Vec<Placed<T>>, total: Option<i64>, slice: &Slice) -> LogPage<T> {
    let size = usize::try_from(slice.size).unwrap_or(0);
    let has_more = rows.len() > size;
    rows.truncate(size);
    let last = rows.last().filter(|_| has_more);
    let next = last.map(|last| Cursor::after(slice, last.place.value(), last.row.id()));
    LogPage { items: rows.into_iter().map(|placed| placed.row).collect(), total, next }
}
