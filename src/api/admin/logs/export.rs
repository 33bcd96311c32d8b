//! Lists as CSV, read from the database part by part.

use std::future::Future;

use actix_web::HttpResponse;
use actix_web::http::header;
use bytes::Bytes;
use csv::WriterBuilder;
use futures_util::stream;
use serde::Serialize;
use serde_json::Value;

use crate::api::admin::error::AdminError;
use crate::store::logs::{Begin, LogPage, Slice, SortColumn};

/// Rows that stand in memory at once.
const PART: i64 = 1000;

/// The first part in an order.
pub(super) const fn first(sort: SortColumn, descending: bool) -> Slice {
    Slice { sort, descending, begin: Begin::Skip(0), size: PART, count: false }
}

/// Answers with all rows from `slice` on. The first part is read before the answer begins, so that
/// a database that is down is a proper error; a later failure cuts the answer off.
pub(super) async fn csv<T, R, F>(
    file: &str,
    columns: &'static [&'static str],
    slice: Slice,
    read: R,
) -> Result<HttpResponse, AdminError>
where
    T: Serialize + 'static,
    R: Fn(Slice) -> F + 'static,
    F: Future<Output = Result<LogPage<T>, AdminError>>,
{
    let begin = read(slice.clone()).await?;
    let head = table(columns, [columns.iter().map(|name| (*name).to_owned()).collect()])?;
    let state = Some((Ok(begin), slice, read));
    let parts = stream::unfold(state, move |state| async move {
        let (page, slice, read) = state?;
        let page: LogPage<T> = match page {
            Ok(page) => page,
            Err(error) => return Some((Err(error), None)),
        };
        let part = match table(columns, page.items.iter().map(|row| cells(columns, row))) {
            Ok(part) => part,
            Err(error) => return Some((Err(error), None)),
        };
        let next = match page.next {
            None => None,
            Some(cursor) => {
                let slice = Slice { begin: Begin::After(cursor), ..slice };
                Some((read(slice.clone()).await, slice, read))
            }
        };
        Some((Ok(part), next))
    });
    let head = stream::once(std::future::ready(Ok(head)));
    Ok(HttpResponse::Ok()
        .content_type("text/csv; charset=utf-8; header=present")
        .insert_header((header::CONTENT_DISPOSITION, format!("attachment; filename=\"{file}\"")))
        .streaming(Box::pin(futures_util::StreamExt::chain(head, parts))))
}

/// Rows as CSV.
fn table(columns: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Result<Bytes, AdminError> {
    let unwritable = |error: &dyn std::fmt::Display| {
        log::error!(error:%, columns = columns.len(); "rows cannot be written as CSV");
        AdminError::internal()
    };
    let mut writer = WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    for row in rows {
        writer.write_record(row).map_err(|error| unwritable(&error))?;
    }
    writer.into_inner().map(Bytes::from).map_err(|error| unwritable(&error))
}

/// The values of a row in the order of its columns.
fn cells(columns: &[&str], row: &impl Serialize) -> Vec<String> {
    let row = serde_json::to_value(row).unwrap_or_default();
    let cell = |name: &&str| match row.get(*name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => guarded(text),
        Some(other) => other.to_string(),
    };
    columns.iter().map(cell).collect()
}

/// Text that no spreadsheet takes for a formula:
/// <https://owasp.org/www-community/attacks/CSV_Injection>.
fn guarded(text: &str) -> String {
    // The full-width signs count for some spreadsheets, too.
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn formulas_are_text_and_numbers_stay_numbers() {
        let row = json!({"a": "=1+1", "b": -5, "c": null, "d": "x,\"y\"\n", "e": true});
        let columns = ["a", "b", "c", "d", "e"];
        let text = table(&columns, [cells(&columns, &row)]).unwrap();
        assert_eq!(text, "'=1+1,-5,,\"x,\"\"y\"\"\n\",true\r\n");
        for start in ["+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"] {
            assert_eq!(guarded(&format!("{start}x")), format!("'{start}x"));
        }
    }
}
