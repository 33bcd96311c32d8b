//! When to come again.

use std::time::{Duration, SystemTime};

use super::Head;

/// How long the other side wants to be left alone: `retry-after-ms`, which OpenAI adds for its more
/// exact answer, else `Retry-After` in seconds or as a date (RFC 9110, 10.2.3).
pub(super) fn retry_after(head: &Head) -> Option<Duration> {
    let number = |text: &str| text.trim().parse::<f64>().ok();
    let exact = head.header("retry-after-ms").and_then(number).map(|milliseconds| milliseconds / 1000.0);
    if let Some(wait) = exact.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()) {
        return Some(wait);
    }
    let value = head.header("retry-after")?;
    match number(value) {
        Some(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        None => {
            let until = httpdate::parse_http_date(value.trim()).ok()?;
            Some(until.duration_since(SystemTime::now()).unwrap_or(Duration::ZERO))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(headers: &[(&'static str, &str)]) -> Option<Duration> {
        retry_after(&Head::new(429, headers))
    }

    #[test]
    fn retry_after_is_read_as_seconds_or_as_a_date() {
        let after = |value: &str| wait(&[("retry-after", value)]);
        assert_eq!(after("7"), Some(Duration::from_secs(7)));
        assert_eq!(after("0.5"), Some(Duration::from_millis(500)));
        for wrong in ["-1", "soon", "", "inf", "NaN", "1e300", "Wed, 99 Oct 2015 07:28:00 GMT"] {
            assert_eq!(after(wrong), None, "{wrong}");
        }
        // The three forms of RFC 9110, 5.6.7, of which the last two are obsolete.
        let past = ["Wed, 21 Oct 2015 07:28:00 GMT", "Wednesday, 21-Oct-15 07:28:00 GMT", "Wed Oct 21 07:28:00 2015"];
        for date in past {
            assert_eq!(after(date), Some(Duration::ZERO), "{date}");
        }
        let later = chrono::Utc::now() + chrono::Duration::seconds(90);
        for form in ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"] {
            let date = later.format(form).to_string();
            let wait = after(&date).unwrap();
            assert!(wait > Duration::from_secs(80) && wait <= Duration::from_secs(90), "{date}: {wait:?}");
        }
    }

    #[test]
    fn milliseconds_are_more_exact_than_seconds() {
        let both = |milliseconds| wait(&[("retry-after", "2"), ("retry-after-ms", milliseconds)]);
        assert_eq!(both("1250"), Some(Duration::from_millis(1250)));
        assert_eq!(both("soon"), Some(Duration::from_secs(2)));
        assert_eq!(both("-1"), Some(Duration::from_secs(2)));
        assert_eq!(wait(&[("retry-after-ms", "300")]), Some(Duration::from_millis(300)));
        assert_eq!(wait(&[]), None);
    }
}
