//! What can go wrong at a provider, and how it does.

use std::collections::BTreeMap;
use std::io;
use std::sync::Mutex;
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::StdRng;

use crate::provider::Talk;
use crate::support::load::pause;
use crate::wire::{LAST_CHUNK, STREAM_HEAD, Wire, answer, chunks};

/// Words of an answer.
pub const WORDS: usize = 8;

/// How long the proxy has to forward content before what follows it goes wrong.
const AHEAD: Duration = Duration::from_millis(20);

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The connection is reset, or closed, instead of an answer.
    Reset,
    Closed,
    /// It is reset in a body without content so far.
    ResetInBody,
    Status(u16),
    /// Nothing comes; or a head, and nothing more.
    HangBeforeHead,
    HangBeforeToken,
    /// A stream ends well, but says nothing.
    Empty,
    /// A stream begins with an error.
    ErrorFirst,
    InvalidJson,
    /// What comes is not HTTP.
    Garbage,
    /// Streams that have begun.
    ResetLater,
    CutLater,
    EndLater,
    ErrorLater,
    InvalidLater,
    HangLater,
}

/// How often each thing happened.
#[derive(Default)]
pub struct Tally(Mutex<BTreeMap<String, u64>>);

impl Fault {
    /// Any of those that fit a whole answer, or a stream.
    pub fn drawn(dice: &mut StdRng, is_streamed: bool) -> Self {
        const STATUSES: [u16; 6] = [408, 429, 500, 503, 529, 502];
        let faults = [
            Self::Reset,
            Self::Closed,
            Self::ResetInBody,
            Self::Status(STATUSES[dice.random_range(0..STATUSES.len())]),
            Self::HangBeforeHead,
            Self::HangBeforeToken,
            Self::InvalidJson,
            Self::Garbage,
            Self::Empty,
            Self::ErrorFirst,
            Self::ResetLater,
            Self::CutLater,
            Self::EndLater,
            Self::ErrorLater,
            Self::InvalidLater,
            Self::HangLater,
        ];
        let fitting = if is_streamed { faults.len() } else { 8 };
        faults[dice.random_range(0..fitting)]
    }

    /// Whether content comes before it, so that the client sees it.
    pub const fn is_later(self) -> bool {
        matches!(
            self,
            Self::ResetLater
                | Self::CutLater
                | Self::EndLater
                | Self::ErrorLater
                | Self::InvalidLater
                | Self::HangLater
        )
    }

    /// Answers with it.
    pub fn happen(self, wire: Wire, talk: &mut Talk, dice: &mut StdRng) -> io::Result<()> {
        if self.is_later() {
            return self.happen_later(wire, talk, dice.random_range(1..WORDS));
        }
        let frames = wire.frames(&talk.mark.words(WORDS));
        let opening = format!("{STREAM_HEAD}{}", chunks(&frames.opening));
        let begun = if talk.is_streamed {
            opening.into_bytes()
        } else {
            let whole = answer(200, "", &wire.whole(&talk.mark.words(WORDS)));
            whole[..whole.len() - 30].to_vec()
        };
        match self {
            Self::Reset => talk.reset(),
            Self::ResetInBody => {
                talk.say(begun)?;
                talk.reset()
            }
            Self::Status(status) => talk.say(answer(status, "", &wire.error_body())),
            Self::HangBeforeHead => talk.wait_for_hangup(),
            Self::HangBeforeToken => {
                talk.say(begun)?;
                talk.wait_for_hangup()
            }
            Self::Empty => {
                talk.say(begun)?;
                talk.say(LAST_CHUNK)
            }
            Self::ErrorFirst => {
                talk.say(begun)?;
                talk.say(chunks(&[wire.error_frame()]))?;
                talk.say(LAST_CHUNK)
            }
            Self::InvalidJson if talk.is_streamed => {
                talk.say(begun)?;
                talk.say(chunks(&[BROKEN_FRAME.to_owned()]))?;
                talk.say(LAST_CHUNK)
            }
            Self::InvalidJson => talk.say(answer(200, "", "{\"choices\":[{]")),
            Self::Garbage => {
                talk.say([0x16, 3, 1, 0, 200, 0xff, b'\r', b'\n', b'\r', b'\n'])?;
                talk.close()
            }
            _ => talk.close(),
        }
    }

    fn happen_later(self, wire: Wire, talk: &mut Talk, words: usize) -> io::Result<()> {
        let frames = wire.frames(&talk.mark.words(WORDS));
        let begun = frames.opening.iter().chain(&frames.words[..words]);
        talk.say(format!("{STREAM_HEAD}{}", chunks(begun)))?;
        pause(AHEAD);
        match self {
            Self::ResetLater => talk.reset(),
            Self::EndLater => talk.say(LAST_CHUNK),
            Self::ErrorLater => {
                talk.say(chunks(&[wire.error_frame()]))?;
                talk.say(LAST_CHUNK)
            }
            Self::InvalidLater => {
                talk.say(chunks(&[BROKEN_FRAME.to_owned()]))?;
                talk.say(LAST_CHUNK)
            }
            Self::HangLater => talk.wait_for_hangup(),
            _ => talk.close(),
        }
    }
}

/// A frame of no protocol.
const BROKEN_FRAME: &str = "data: {\"choices\":[{\"delta\n\n";

impl Tally {
    pub fn count(&self, what: impl Into<String>) {
        *self.0.lock().unwrap().entry(what.into()).or_default() += 1;
    }

    /// How often things happened whose names `wanted` likes.
    pub fn sum(&self, wanted: impl Fn(&str) -> bool) -> u64 {
        self.0.lock().unwrap().iter().filter(|(what, _)| wanted(what)).map(|(_, count)| count).sum()
    }

    pub fn figures(&self) -> String {
        format!("{:?}", self.0.lock().unwrap())
    }
}
