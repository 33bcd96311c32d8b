//! What waits when the process ends.

use std::time::{Duration, Instant};

use super::collector::Collector;
use super::langfuse::Langfuse;
use crate::support::{Act, TestProxy, hello, log_rows};

/// So long that nothing is sent because of it.
const NEVER: [(&str, &str); 2] = [("LANGFUSE_FLUSH_INTERVAL", "3600"), ("OTEL_BSP_SCHEDULE_DELAY", "3600000")];

fn serve(proxy: &TestProxy, times: usize) {
    for _ in 0..times {
        assert_eq!(proxy.chat(&hello("mock")).status, 200);
    }
}

#[test]
fn all_that_waits_is_sent_before_the_process_ends() {
    let (langfuse, collector) = (Langfuse::new(), Collector::new());
    let proxy = langfuse.before(&NEVER, |ours| collector.before(&[ours, &NEVER].concat(), TestProxy::before_mock_with));
    serve(&proxy, 5);
    assert!(langfuse.traces().is_empty() && collector.spans().is_empty(), "sent before its time");
    proxy.stop();
    assert_eq!((langfuse.traces().len(), collector.spans().len()), (5, 10));
}

#[test]
fn a_hundred_events_do_not_wait_for_the_interval() {
    let langfuse = Langfuse::new();
    let proxy = langfuse.before(&NEVER, TestProxy::before_mock_with);
    serve(&proxy, 34);
    assert_eq!(langfuse.batch_events(), 99, "as many whole requests as fit in a batch");
    proxy.stop();
    assert_eq!(langfuse.traces().len(), 1);
}

#[test]
fn a_service_that_hangs_holds_up_the_end_for_a_moment_only() {
    let langfuse = Langfuse::acting(|_| vec![Act::Hang]);
    let proxy = langfuse.before(&[], TestProxy::before_mock_with);
    serve(&proxy, 3);
    langfuse.batch();
    let begun = Instant::now();
    let folder = proxy.stop();
    assert!(begun.elapsed() < Duration::from_secs(12), "{:?}", begun.elapsed());
    assert_eq!(log_rows(folder.path()).len(), 3);
}
