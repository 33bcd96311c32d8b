//! The pipe between a client and a provider that speak the same protocol.

use std::sync::Arc;

use bytes::BytesMut;

use super::count_usage::Counting;
use super::count_usage::{Asked, Tally, asked};
use super::pipe::Pipe;
use super::prepare::Request;
use crate::actors::Handles;
use crate::chat::{Failure, Operation, Protocol, Usage};
use crate::codec::{self, Seen, VerbatimStream};
use crate::config::{Candidate, ProviderKind};
use crate::sse::Frame;

struct Verbatim {
    stream: Box<dyn VerbatimStream>,
    /// Chat ends with its `[DONE]`, behind which nothing comes.
    lingers: bool,
    /// What was asked, until the provider has told how many tokens it has.
    tally: Option<Tally>,
    /// Whether the provider may send no usage at all.
    may_lack_usage: bool,
    has_usage: bool,
    /// All of it has come, but no usage.
    is_due: bool,
}

/// A pipe that forwards frames as they are.
pub(super) fn pipe(request: &Request, candidate: &Candidate, handles: &Handles) -> Box<dyn Pipe> {
    let endpoint = request.call.endpoint;
    let asked = asked(endpoint, &request.body);
    Box::new(Verbatim {
        stream: endpoint.verbatim().forward_stream(&request.peek, &request.call.request_id),
        lingers: endpoint.protocol != Protocol::OpenAiChat,
        tally: asked.map(|asked| Tally::new(&handles.tokenizer, &candidate.mapped_model, asked)),
        // The known services send usage when they are asked to, as they are; of others nobody knows.
        may_lack_usage: candidate.provider.kind == ProviderKind::Custom,
        has_usage: false,
        is_due: false,
    })
}

impl Verbatim {
    /// Lets the end wait for the count when the provider sent none.
    fn settle(&mut self, mut seen: Seen) -> Seen {
        self.has_usage |= seen.usage.is_some();
        if let (Some(usage), Some(tally)) = (seen.usage, &mut self.tally)
            && usage.input > 0
        {
            tally.input_is_known();
        }
        if seen.ended && self.may_lack_usage && !self.has_usage && self.tally.is_some() {
            self.is_due = true;
            seen.ended = false;
        }
        seen
    }
}

impl Pipe for Verbatim {
    fn frame(&mut self, frame: &Frame, out: &mut BytesMut) -> Result<Seen, Failure> {
        let seen = self.stream.forward(frame, out)?;
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
        if !std::mem::take(&mut self.is_due) {
            return None;
        }
        Some(self.tally()?.count())
    }

    fn tally(&self) -> Option<Tally> {
        Some(self.tally.clone()?.said(self.stream.said()))
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
    Tally::new(&handles.tokenizer, &candidate.mapped_model, Asked::Chat(chat)).count_answer(&answer.blocks).await
}
