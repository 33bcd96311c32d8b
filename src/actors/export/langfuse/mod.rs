//! Traces for Langfuse (public API, `POST /api/public/ingestion`).

mod answer;
mod cut;
mod event;
mod parameters;
mod question;
#[cfg(test)]
mod tests;

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::sink::{Sink, Target};
use crate::actors::finished::Finished;
use crate::settings::LangfuseSettings;
use crate::upstream::{HeaderName, HeaderValue};

/// Events that may wait.
const QUEUE: usize = 1000;
/// Events that are sent at once.
const BATCH: usize = 100;
/// Langfuse refuses batches of more than 3.5 MB.
const BATCH_BYTES: usize = 3_000_000;
/// How long Langfuse may take for a batch.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A project at Langfuse.
pub(super) struct Langfuse {
    target: Target,
    sample_rate: f64,
}

/// What Langfuse says of a batch that it took.
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    errors: Vec<EventError>,
}

/// What Langfuse says of an event that it did not take. Its texts are not read: they may quote
/// what was sent.
#[derive(Deserialize)]
struct EventError {
    #[serde(default)]
    status: u16,
}

// === impl Langfuse ===

impl Langfuse {
    pub(super) fn new(settings: &LangfuseSettings) -> Self {
        let keys = format!("{}:{}", settings.public_key.expose(), settings.secret_key.expose());
        let mut headers = vec![
            (HeaderName::from_static("content-type"), HeaderValue::from_static("application/json")),
            (
                HeaderName::from_static("user-agent"),
                HeaderValue::from_static(concat!("llm-proxy/", env!("CARGO_PKG_VERSION"))),
            ),
        ];
        // Base64 always makes a header.
        if let Ok(mut basic) = HeaderValue::try_from(format!("Basic {}", BASE64_STANDARD.encode(keys))) {
            basic.set_sensitive(true);
            headers.push((HeaderName::from_static("authorization"), basic));
        }
        let target = Target {
            url: format!("{}/api/public/ingestion", settings.host),
            headers,
            frame: (Bytes::from_static(b"{\"batch\":["), Bytes::from_static(b"]}")),
            queue: QUEUE,
            batch: BATCH,
            batch_bytes: BATCH_BYTES,
            interval: settings.flush_interval,
            timeout: TIMEOUT,
            debug: settings.debug,
        };
        Self { target, sample_rate: settings.sample_rate }
    }

    /// Whether the request of this id is among those that Langfuse gets. The id alone decides, so
    /// that all its events agree, here and on every replica.
    pub(super) fn samples(&self, request_id: &str) -> bool {
        const SCALE: f64 = 4_294_967_296.0;
        let [a, b, c, d, ..] = <[u8; 32]>::from(Sha256::digest(request_id));
        f64::from(u32::from_be_bytes([a, b, c, d])) / SCALE < self.sample_rate
    }
}

impl Sink for Langfuse {
    const NAME: &'static str = "langfuse";

    fn target(&self) -> &Target {
        &self.target
    }

    fn events(&self, finished: &Finished) -> usize {
        event::count(finished)
    }

    fn encode(&self, finished: &Finished) -> Vec<Bytes> {
        event::encode(finished)
    }

    fn refused(&self, answer: &[u8]) -> Option<(usize, String)> {
        let Answer { errors } = serde_json::from_slice(answer).ok()?;
        let first = errors.first()?;
        Some((errors.len(), format!("status {} of an event", first.status)))
    }
}

#[cfg(test)]
mod target_tests {
    use super::*;
    use crate::settings::SecretText;

    pub(super) fn langfuse(sample_rate: f64) -> Langfuse {
        Langfuse::new(&LangfuseSettings {
            host: "http://h/base".to_owned(),
            public_key: SecretText::new("pk".to_owned()),
            secret_key: SecretText::new("sk".to_owned()),
            sample_rate,
            flush_interval: Duration::from_secs(1),
            debug: false,
        })
    }

    #[test]
    fn it_is_addressed_and_told_the_keys_as_its_api_wants() {
        let target = langfuse(1.0).target;
        assert_eq!(target.url, "http://h/base/api/public/ingestion");
        let (_, basic) = target.headers.iter().find(|(name, _)| name == "authorization").unwrap();
        assert_eq!(basic.to_str().unwrap(), "Basic cGs6c2s=");
        assert!(!format!("{target:?}").contains("cGs6c2s"), "a key in Debug");
        let body = target.body([Bytes::from_static(b"1"), Bytes::from_static(b"2")].iter());
        assert_eq!(&body[..], b"{\"batch\":[1,2]}");
    }

    #[test]
    fn a_share_of_the_requests_is_sampled_by_their_ids_alone() {
        let ids: Vec<String> = (0..2000).map(|number| format!("request-{number}")).collect();
        let sampled = |rate| ids.iter().filter(|id| langfuse(rate).samples(id)).collect::<Vec<_>>();
        assert_eq!((sampled(0.0).len(), sampled(1.0).len()), (0, 2000));
        let half = sampled(0.5);
        assert!((900..1100).contains(&half.len()), "{}", half.len());
        assert_eq!(half, sampled(0.5));
        // Who is in a smaller sample is in a larger one, too.
        assert!(sampled(0.2).iter().all(|id| half.contains(id)));
    }

    #[test]
    fn events_that_a_taken_batch_lost_are_told_without_quoting_them() {
        let answer = br#"{"successes":[{"id":"a","status":201}],
            "errors":[{"id":"b","status":400,"message":"hunter2","error":[{"input":"hunter2"}]},{"id":"c","status":404}]}"#;
        let (count, reason) = langfuse(1.0).refused(answer).unwrap();
        assert_eq!((count, reason.as_str()), (2, "status 400 of an event"));
        for fine in [&br#"{"successes":[],"errors":[]}"#[..], b"", b"OK", b"{}"] {
            assert_eq!(langfuse(1.0).refused(fine), None);
        }
    }
}
