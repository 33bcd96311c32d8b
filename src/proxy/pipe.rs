//! How frames of a provider become what the client gets.

use bytes::BytesMut;

use super::count_usage::{Counting, Tally};
use crate::chat::{Failure, Usage};
use crate::codec::Seen;
use crate::sse::Frame;

/// How frames become what the client gets: forwarded as they are, or decoded and encoded.
pub(super) trait Pipe {
    /// Writes what a frame makes visible and tells what it held.
    fn frame(&mut self, frame: &Frame, out: &mut BytesMut) -> Result<Seen, Failure>;
    /// The provider has closed; completes what may be completed.
    fn close(&mut self, out: &mut BytesMut) -> Result<Seen, Failure>;
    /// A frame that came together with the one that ended the stream, such as the `[DONE]` that
    /// some servers add to every protocol.
    fn trailing(&mut self, _frame: &Frame, _out: &mut BytesMut) {}
    /// Whether what follows the end is waited for a moment, because it is forwarded, too.
    fn lingers(&self) -> bool {
        false
    }
    /// Ends the stream with an error in the client's protocol.
    fn fail(&mut self, failure: &Failure, out: &mut BytesMut);
    /// What keeps a silent stream alive at this point.
    fn keepalive(&self) -> &'static [u8];
    /// Set once when the answer is complete but for its token counts, which the provider did
    /// not send.
    fn counting(&mut self) -> Option<Counting> {
        None
    }
    /// What was asked and said so far, for the record of a stream that ends early.
    fn tally(&self) -> Option<Tally>;
    /// Completes the answer with what was counted.
    fn counted(&mut self, _usage: Option<Usage>, _out: &mut BytesMut) -> Seen {
        Seen::default()
    }
}
