//! A limit on what a client sends.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_web::error::PayloadError;
use bytes::Bytes;
use futures_util::Stream;

/// The bytes of a websocket's client, until it announces a frame that is too long. actix-web looks
/// at a frame's length only when it has all of it in memory.
pub(super) struct FrameLimit<S> {
    bytes: S,
    scan: Scan,
    is_exceeded: bool,
}

/// Where in a frame the bytes seen so far end.
struct Scan {
    limit: usize,
    /// The head of the next frame as far as it was seen.
    head: Vec<u8>,
    /// Bytes of the frame's content that are still to come.
    content: usize,
}

// === impl FrameLimit ===

impl<S> FrameLimit<S> {
    /// Lets frames of at most `limit` bytes pass.
    pub(super) const fn new(bytes: S, limit: usize) -> Self {
        Self { bytes, scan: Scan { limit, head: Vec::new(), content: 0 }, is_exceeded: false }
    }
}

impl<S> Stream for FrameLimit<S>
where
    S: Stream<Item = Result<Bytes, PayloadError>> + Unpin,
{
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let chunk = match ready!(Pin::new(&mut self.bytes).poll_next(context)) {
                Some(Ok(chunk)) => chunk,
                other => return Poll::Ready(other),
            };
            // The rest is taken in and thrown away: a client that is still sending would not see
            // why the connection ends.
            if self.is_exceeded {
                continue;
            }
            if self.scan.pass(&chunk) {
                return Poll::Ready(Some(Ok(chunk)));
            }
            self.is_exceeded = true;
            return Poll::Ready(Some(Err(PayloadError::Overflow)));
        }
    }
}

// === impl Scan ===

impl Scan {
    /// Goes on by `chunk`; false when a frame in it is too long.
    fn pass(&mut self, chunk: &[u8]) -> bool {
        let mut rest = chunk;
        loop {
            let skipped = self.content.min(rest.len());
            self.content -= skipped;
            rest = rest.get(skipped..).unwrap_or_default();
            let Some((byte, others)) = rest.split_first() else {
                return true;
            };
            rest = others;
            self.head.push(*byte);
            if let Some(length) = length(&self.head) {
                if length > self.limit {
                    return false;
                }
                self.head.clear();
                self.content = length;
            }
        }
    }
}

/// The length of a frame's content, once its head is complete.
fn length(head: &[u8]) -> Option<usize> {
    let (_, rest) = head.split_first()?;
    let (second, rest) = rest.split_first()?;
    let mask = if second & 0x80 == 0 { 0 } else { 4 };
    let short = usize::from(second & 0x7f);
    let extended = match short {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    if rest.len() < extended + mask {
        return None;
    }
    let number = rest.iter().take(extended).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    Some(if extended == 0 { short } else { usize::try_from(number).unwrap_or(usize::MAX) })
}

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt as _, stream};

    use super::*;

    /// A masked text frame with this announced length.
    fn frame(length: usize) -> Vec<u8> {
        let mut frame = vec![0x81];
        match length {
            0..126 => frame.push(0x80 | u8::try_from(length).unwrap()),
            126..65536 => {
                frame.push(0xfe);
                frame.extend(u16::try_from(length).unwrap().to_be_bytes());
            }
            _ => {
                frame.push(0xff);
                frame.extend(u64::try_from(length).unwrap().to_be_bytes());
            }
        }
        frame.extend([1, 2, 3, 4]);
        frame
    }

    async fn passed(bytes: &[u8], step: usize) -> (usize, bool) {
        let chunks: Vec<Result<Bytes, PayloadError>> =
            bytes.chunks(step).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
        let results: Vec<_> = FrameLimit::new(stream::iter(chunks), 65_536).collect().await;
        let passed = results.iter().filter_map(|chunk| chunk.as_ref().ok()).map(Bytes::len).sum();
        (passed, results.iter().any(Result::is_err))
    }

    #[actix_web::test]
    async fn frames_up_to_the_limit_pass_however_they_are_cut() {
        let mut bytes = Vec::new();
        for length in [0, 1, 125, 126, 65_535, 65_536] {
            bytes.extend(frame(length));
            bytes.extend(vec![0xff; length]);
        }
        for step in [1, 3, 1000, bytes.len()] {
            assert_eq!(passed(&bytes, step).await, (bytes.len(), false));
        }
    }

    #[actix_web::test]
    async fn a_frame_above_the_limit_is_refused_at_its_head_and_the_rest_is_taken_in() {
        for length in [65_537, 1 << 40, usize::MAX] {
            let mut bytes = frame(5);
            bytes.extend([0; 5]);
            let fine = bytes.len();
            bytes.extend(frame(length));
            bytes.extend([0; 100]);
            let (passed, is_refused) = passed(&bytes, 1).await;
            assert!(is_refused && passed >= fine && passed < fine + 14, "{length}: {passed}");
        }
    }
}
