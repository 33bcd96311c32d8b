//! Export of finished requests: to Langfuse, and as spans to an OpenTelemetry collector.

mod actor;
#[cfg(test)]
mod fixture;
mod langfuse;
mod otel;
mod room;
mod sink;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::Addr;

use self::actor::{ExportActor, Flush, Told};
use self::langfuse::Langfuse;
use self::otel::Otel;
use self::room::Room;
use self::sink::Sink;
use super::finished::Finished;
use super::supervise::{Supervised, supervise};
use crate::settings::{Settings, UpstreamSettings};
use crate::telemetry::trace::TraceContext;
use crate::telemetry::{IntCounter, Telemetry};
use crate::upstream::{Client, tls_config};

/// Who gets told of finished requests.
#[derive(Clone, Default)]
pub struct Exporters {
    langfuse: Option<Exporter<Langfuse>>,
    otel: Option<Exporter<Otel>>,
}

/// What somebody wants to be told of a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wanted {
    /// What was asked and answered.
    pub content: bool,
    /// Its spans.
    pub span: bool,
}

/// Whether events are exported to a service, and how that goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExportStatus {
    /// Whether it is configured.
    pub is_enabled: bool,
    /// Events that wait.
    pub queued: usize,
    /// Events that were lost.
    pub dropped: u64,
}

/// One of them.
struct Exporter<S: Sink> {
    sink: Arc<S>,
    room: Arc<Room>,
    address: Supervised<ExportActor<S>>,
}

// === impl Wanted ===

impl Wanted {
    /// Whether the end of the request shall be told at all.
    #[must_use]
    pub const fn anything(self) -> bool {
        self.content || self.span
    }
}

// === impl Exporters ===

impl Exporters {
    /// Starts those that are configured, on the current arbiter.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub(super) fn start(settings: &Settings, telemetry: &Telemetry) -> Result<Self, String> {
        if settings.langfuse.is_none() && settings.otel.is_none() {
            return Ok(Self::default());
        }
        let tls = tls_config(settings.upstream.verify_ssl).map_err(|error| error.to_string())?;
        // Their addresses are the word of whoever owns the environment, so none is refused.
        let client = Client::new(tls, UpstreamSettings { allow_link_local: true, ..settings.upstream });
        let client = Rc::new(client);
        let langfuse = settings.langfuse.as_ref().map(Langfuse::new);
        let otel = settings.otel.as_ref().map(|otel| Otel::new(otel, &settings.replica_id));
        Ok(Self {
            langfuse: langfuse.map(|sink| Exporter::start(sink, &client, telemetry.langfuse_dropped.clone())),
            otel: otel.map(|sink| Exporter::start(sink, &client, telemetry.otel_dropped.clone())),
        })
    }

    /// What shall be told of the request of this id; the same whenever it is asked.
    #[must_use]
    pub fn wants(&self, request_id: &str) -> Wanted {
        let content = self.langfuse.as_ref().is_some_and(|langfuse| langfuse.sink.samples(request_id));
        Wanted { content, span: self.otel.is_some() }
    }

    /// The span of a request that begins, below that of its caller, who is asked for only then;
    /// `None` while there are no spans.
    #[must_use]
    pub fn trace(&self, caller: impl FnOnce() -> Option<TraceContext>) -> Option<TraceContext> {
        self.otel.as_ref().map(|otel| otel.sink.begin(caller().as_ref()))
    }

    /// Tells of a request that has ended. Never waits: without room it is dropped and counted.
    pub fn tell(&self, finished: Finished) {
        let wants_content = self.wants(&finished.row.request_id).content;
        let is_traced = finished.trace.as_ref().is_some_and(TraceContext::is_sampled);
        let finished = Arc::new(finished);
        if let Some(langfuse) = self.langfuse.as_ref().filter(|_| wants_content) {
            langfuse.tell(&finished);
        }
        if let Some(otel) = self.otel.as_ref().filter(|_| is_traced) {
            otel.tell(&finished);
        }
    }

    /// How the export to Langfuse goes.
    #[must_use]
    pub fn langfuse_status(&self) -> ExportStatus {
        self.langfuse.as_ref().map(Exporter::status).unwrap_or_default()
    }

    /// Sends all that waits, for `within` at most.
    pub async fn flush(&self, within: Duration) {
        let langfuse = async {
            if let Some(langfuse) = &self.langfuse {
                langfuse.flush(within).await;
            }
        };
        let otel = async {
            if let Some(otel) = &self.otel {
                otel.flush(within).await;
            }
        };
        tokio::join!(langfuse, otel);
    }
}

// === impl Exporter ===

impl<S: Sink> Exporter<S> {
    fn start(sink: S, client: &Rc<Client>, dropped: IntCounter) -> Self {
        let room = Room::new(sink.target().queue, dropped);
        let sink = Arc::new(sink);
        let parts = (Arc::clone(&sink), Rc::clone(client), Arc::clone(&room));
        let address = supervise(S::NAME, move || {
            let (sink, client, room) = parts.clone();
            ExportActor::new(sink, client, room)
        });
        Self { sink, room, address }
    }

    fn tell(&self, finished: &Arc<Finished>) {
        let captured = &finished.captured;
        let bytes = captured.request.len() + captured.response.len();
        if let Some(ticket) = self.room.reserve(self.sink.events(finished), bytes) {
            let address: Arc<Addr<_>> = self.address.load();
            // A message that cannot be sent is dropped, and its events are counted.
            drop(address.try_send(Told { finished: Arc::clone(finished), ticket }));
        }
    }

    fn status(&self) -> ExportStatus {
        ExportStatus { is_enabled: true, queued: self.room.queued(), dropped: self.room.dropped() }
    }

    async fn flush(&self, within: Duration) {
        let address = self.address.load();
        let flushed = tokio::time::timeout(within, address.send(Flush)).await;
        if !matches!(flushed, Ok(Ok(()))) {
            let events = self.room.queued();
            log::warn!(exporter = S::NAME, events; "the last events could not be sent in time");
        }
    }
}

impl<S: Sink> Clone for Exporter<S> {
    fn clone(&self) -> Self {
        let Self { sink, room, address } = self;
        Self { sink: Arc::clone(sink), room: Arc::clone(room), address: address.clone() }
    }
}
