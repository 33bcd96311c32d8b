//! A share of the requests, each as a whole or not at all.

use std::collections::BTreeSet;

use super::langfuse::Langfuse;
use crate::support::{TestProxy, hello};

const REQUESTS: usize = 60;

/// The ids of the requests that were told of, with their traces and generations.
fn told(rate: &str) -> BTreeSet<String> {
    let langfuse = Langfuse::new();
    let proxy = langfuse.before(&[("LANGFUSE_SAMPLE_RATE", rate)], TestProxy::before_mock_with);
    let (mut connection, bearer) = (proxy.connect(), proxy.bearer());
    for number in 0..REQUESTS {
        let id = format!("request-{number}");
        let headers = [("authorization", bearer.as_str()), ("x-request-id", &id)];
        let answer = connection.ask("POST", "/v1/chat/completions", &headers, hello("mock").to_string().as_bytes());
        assert_eq!(answer.status, 200);
    }
    proxy.stop();
    langfuse.traces().into_keys().collect()
}

#[test]
fn all_none_or_always_the_same_half_is_told() {
    assert_eq!(told("0").len(), 0);
    assert_eq!(told("1").len(), REQUESTS);
    let half = told("0.5");
    assert!((15..45).contains(&half.len()), "{}", half.len());
    assert_eq!(half, told("0.5"));
}
