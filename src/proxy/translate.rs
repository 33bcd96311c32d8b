//! The pipe between a client and a provider of different protocols.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::BytesMut;

use super::count_usage::Counting;
use super::count_usage::{Asked, Tally};
use super::pipe::Pipe;
use super::prepare::Translated;
use crate::actors::Handles;
use crate::chat::{ChatEvent, Failure, Usage};
use crate::codec::{ClientCodec, Seen, StreamDecoder, StreamEncoder, UpstreamCodec};
use crate::sse::Frame;

struct Translate {
    decoder: Box<dyn StreamDecoder>,
    encoder: Box<dyn StreamEncoder>,
    /// Decoded, not yet encoded.
    events: VecDeque<ChatEvent>,
    tally: Tally,
    /// The last event, held back until the tokens that the provider did not report are counted.
    held: Option<ChatEvent>,
}

/// A pipe that decodes the provider's events and encodes the client's.
pub(super) fn pipe(
    translated: &Translated,
    upstream: &dyn UpstreamCodec,
    client: &dyn ClientCodec,
    counted: (&Handles, &Arc<str>),
) -> Box<dyn Pipe> {
    let (handles, model) = counted;
    Box::new(Translate {
        decoder: upstream.stream_decoder(&translated.chat, &translated.exchange.provider),
        encoder: client.stream_encoder(&translated.exchange),
        events: VecDeque::new(),
        tally: Tally::new(&handles.tokenizer, model, Asked::Chat(Arc::clone(&translated.chat))),
        held: None,
    })
}

impl Translate {
    /// Encodes what has been decoded.
    fn encode(&mut self, out: &mut BytesMut) -> Seen {
        let mut seen = Seen::default();
        while let Some(event) = self.events.pop_front() {
            seen.content |= event.is_content();
            match &event {
                ChatEvent::Failed(failure) => {
                    self.encoder.fail(failure, out);
                    seen.failed = Some(failure.clone());
                    return seen;
                }
                ChatEvent::Finished { usage: None, .. } => {
                    self.held = Some(event);
                    return seen;
                }
                ChatEvent::Finished { usage, .. } => {
                    seen.usage = *usage;
                    seen.ended = true;
                }
                ChatEvent::Started { usage, .. } => seen.usage = *usage,
                _ => self.tally.hear(&event),
            }
            self.encoder.encode(&event, out);
        }
        seen
    }
}

impl Pipe for Translate {
    fn frame(&mut self, frame: &Frame, out: &mut BytesMut) -> Result<Seen, Failure> {
        let decoded = self.decoder.decode(frame, &mut self.events);
        let seen = self.encode(out);
        decoded.map(|()| seen)
    }

    fn close(&mut self, out: &mut BytesMut) -> Result<Seen, Failure> {
        let decoded = self.decoder.finish(&mut self.events);
        let seen = self.encode(out);
        decoded.map(|()| seen)
    }

    fn fail(&mut self, failure: &Failure, out: &mut BytesMut) {
        self.encoder.fail(failure, out);
    }

    fn keepalive(&self) -> &'static [u8] {
        self.encoder.keepalive()
    }

    fn counting(&mut self) -> Option<Counting> {
        self.held.as_ref()?;
        Some(self.tally.clone().count())
    }

    fn tally(&self) -> Option<Tally> {
        Some(self.tally.clone())
    }

    fn counted(&mut self, counted: Option<Usage>, out: &mut BytesMut) -> Seen {
        if let Some(ChatEvent::Finished { reason, service_tier, .. }) = self.held.take() {
            let event = ChatEvent::Finished { reason, usage: counted, service_tier };
            self.encoder.encode(&event, out);
        }
        Seen { usage: counted, ended: true, ..Seen::default() }
    }
}
