//! The pipe between a client and a provider that speak the same protocol.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::BytesMut;

use super::count_usage::Counter;
use super::prepare::Request;
use super::transcode::{Counting, Pipe};
use crate::actors::Handles;
use crate::chat::{ChatEvent, Failure, Operation, Protocol, Usage};
use crate::codec::{self, Seen, StreamDecoder, VerbatimStream};
use crate::config::{Candidate, ProviderKind};
use crate::sse::Frame;

struct Verbatim {
    stream: Box<dyn VerbatimStream>,
    /// Chat ends with its `[DONE]`, behind which nothing comes.
    lingers: bool,
    /// Reads along where the provider may send no usage.
    shadow: Option<Shadow>,
    has_usage: bool,
}

/// Collects what is said, in case nobody counts it.
struct Shadow {
    decoder: Box<dyn StreamDecoder>,
    events: VecDeque<ChatEvent>,
    counter: Counter,
    is_due: bool,
}

/// A pipe that forwards frames as they are.
pub(super) fn pipe(request: &Request, candidate: &Candidate, handles: &Handles) -> Box<dyn Pipe> {
    let endpoint = request.call.endpoint;
    let stream = endpoint.verbatim().forward_stream(&request.peek, &request.call.request_id);
    let lingers = endpoint.protocol != Protocol::OpenAiChat;
    Box::new(Verbatim { stream, lingers, shadow: shadow(request, candidate, handles), has_usage: false })
}

/// The known services send usage when they are asked to, as they are; of the others nobody knows.
fn shadow(request: &Request, candidate: &Candidate, handles: &Handles) -> Option<Shadow> {
    let provider = &candidate.provider;
    let may_lack = provider.kind == ProviderKind::Custom && request.call.endpoint.operation == Operation::Generate;
    let chat = may_lack.then(|| request.chat().ok().cloned()).flatten()?;
    let decoder = codec::upstream(provider.kind.protocol()).stream_decoder(&chat, &provider.key);
    let counter = Counter::new(handles, &candidate.mapped_model, chat);
    Some(Shadow { decoder, events: VecDeque::new(), counter, is_due: false })
}

impl Verbatim {
    /// Lets the end wait for the count when the provider sent none.
    fn settle(&mut self, mut seen: Seen) -> Seen {
        self.has_usage |= seen.usage.is_some();
        if let (true, false, Some(shadow)) = (seen.ended, self.has_usage, &mut self.shadow) {
            shadow.is_due = true;
            seen.ended = false;
        }
        seen
    }
}

impl Pipe for Verbatim {
    fn frame(&mut self, frame: &Frame, out: &mut BytesMut) -> Result<Seen, Failure> {
        let seen = self.stream.forward(frame, out)?;
        if let Some(shadow) = &mut self.shadow {
            // What it cannot read is not counted; the client has it all the same.
            let _ = shadow.decoder.decode(frame, &mut shadow.events);
            shadow.events.drain(..).for_each(|event| shadow.counter.hear(&event));
        }
        Ok(self.settle(seen))
    }

    fn close(&mut self, out: &mut BytesMut) -> Result<Seen, Failure> {
        self.stream.finish(out)?;
        Ok(self.settle(Seen { ended: true, ..Seen::default() }))
    }

    fn trailing(&mut self, frame: &Frame, out: &mut BytesMut) {
        // The answer is complete: what cannot be read any more is left out.
        let _ = self.stream.forward(frame, out);
    }

    fn lingers(&self) -> bool {
        self.lingers
    }

    fn fail(&mut self, failure: &Failure, out: &mut BytesMut) {
        self.stream.fail(failure, out);
    }

    fn keepalive(&self) -> &'static [u8] {
        self.stream.keepalive()
    }

    fn counting(&mut self) -> Option<Counting> {
        let shadow = self.shadow.as_mut().filter(|shadow| shadow.is_due)?;
        shadow.is_due = false;
        Some(shadow.counter.count())
    }

    fn counted(&mut self, usage: Option<Usage>, _: &mut BytesMut) -> Seen {
        Seen { usage, ended: true, ..Seen::default() }
    }
}

/// The usage of a whole answer that a provider did not count; `None` when it cannot be read or
/// counted.
pub(super) async fn estimate(
    request: &Request,
    candidate: &Candidate,
    handles: &Handles,
    body: &[u8],
) -> Option<Usage> {
    if request.call.endpoint.operation != Operation::Generate {
        return None;
    }
    let chat = Arc::clone(request.chat().ok()?);
    let provider = &candidate.provider;
    let answer = codec::upstream(provider.kind.protocol()).decode_response(body, &chat, &provider.key).ok()?;
    Counter::new(handles, &candidate.mapped_model, chat).count_answer(&answer.blocks).await
}
