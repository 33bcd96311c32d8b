//! Cutting a byte stream into frames.
//!
//! Works on bytes throughout: lines end with LF, CRLF or CR and nothing else, so UTF-8 that is
//! split over reads, or U+2028 within a text, never matters.

use bytes::{Bytes, BytesMut};
use memchr::{memchr2, memchr2_iter};

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// All of its bytes, its closing blank line included; without that line when the stream
    /// ended first.
    pub raw: Bytes,
    /// The value of its `event:` line; empty when it has none.
    pub event: Bytes,
    /// Its `data:` lines, joined with LF. `None` when it has none: a comment, or an empty event.
    pub data: Option<Bytes>,
}

/// A frame grew past the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a stream event is larger than {limit} bytes")]
pub struct FrameTooLarge {
    /// The limit in bytes.
    pub limit: usize,
}

/// Takes bytes as they come and gives whole frames.
#[derive(Debug)]
pub struct Parser {
    buffer: BytesMut,
    /// Where the current line begins.
    line: usize,
    /// Up to where the current line has been searched for its end.
    scanned: usize,
    /// Whether the last byte was a CR that ended a line: an LF after it belongs to it.
    after_cr: bool,
    at_start: bool,
    limit: usize,
}

impl Parser {
    /// A parser that refuses frames of more than `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { buffer: BytesMut::new(), line: 0, scanned: 0, after_cr: false, at_start: true, limit }
    }

    /// Takes more bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame; `None` when more bytes are needed.
    ///
    /// # Errors
    /// When the frame is larger than the limit.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameTooLarge> {
        if self.at_start && !self.skip_bom() {
            return Ok(None);
        }
        while let Some((end, next)) = self.line_end() {
            let is_blank = end == self.line;
            self.line = next;
            self.scanned = next;
            if is_blank {
                return Ok(Some(self.cut(next)));
            }
        }
        if self.buffer.len() > self.limit {
            return Err(FrameTooLarge { limit: self.limit });
        }
        Ok(None)
    }

    /// What is left when the stream has ended: some servers leave out the last blank line.
    #[must_use]
    pub fn finish(&mut self) -> Option<Frame> {
        let rest = self.buffer.len();
        let frame = (rest > 0).then(|| self.cut(rest));
        frame.filter(|frame| frame.data.is_some())
    }

    /// Drops a byte order mark; false while the first bytes may still become one.
    fn skip_bom(&mut self) -> bool {
        const BOM: &[u8] = b"\xEF\xBB\xBF";
        if self.buffer.len() < BOM.len() && BOM.starts_with(&self.buffer) {
            return false;
        }
        if self.buffer.starts_with(BOM) {
            let _ = self.buffer.split_to(BOM.len());
        }
        self.at_start = false;
        true
    }

    /// Where the current line ends and where the next begins.
    fn line_end(&mut self) -> Option<(usize, usize)> {
        if self.after_cr && self.line < self.buffer.len() {
            self.after_cr = false;
            if self.buffer.get(self.line) == Some(&b'\n') {
                self.line += 1;
                self.scanned = self.line;
            }
        }
        let unseen = self.buffer.get(self.scanned..)?;
        let Some(found) = memchr2(b'\n', b'\r', unseen) else {
            self.scanned = self.buffer.len();
            return None;
        };
        let end = self.scanned + found;
        // A CR ends its line at once, for the LF of a CRLF may come late or never.
        self.after_cr = self.buffer.get(end) == Some(&b'\r');
        Some((end, end + 1))
    }

    fn cut(&mut self, end: usize) -> Frame {
        let raw = self.buffer.split_to(end).freeze();
        self.line = 0;
        self.scanned = 0;
        Frame::parse(raw)
    }
}

impl Frame {
    fn parse(raw: Bytes) -> Self {
        let (mut event, mut data) = (Bytes::new(), Data::None);
        for line in lines(&raw) {
            if let Some(value) = field(line, b"data") {
                data.push(&raw, value);
            } else if let Some(value) = field(line, b"event") {
                event = raw.slice_ref(value);
            }
        }
        let data = match data {
            Data::None => None,
            Data::One(data) => Some(data),
            Data::Many(data) => Some(data.freeze()),
        };
        Self { raw, event, data }
    }
}

/// Almost every frame has one data line, which is then a slice of the frame, not a copy.
enum Data {
    None,
    One(Bytes),
    Many(BytesMut),
}

impl Data {
    fn push(&mut self, raw: &Bytes, value: &[u8]) {
        match self {
            Self::None => *self = Self::One(raw.slice_ref(value)),
            Self::One(first) => {
                let mut joined = BytesMut::from(&first[..]);
                joined.extend_from_slice(b"\n");
                joined.extend_from_slice(value);
                *self = Self::Many(joined);
            }
            Self::Many(joined) => {
                joined.extend_from_slice(b"\n");
                joined.extend_from_slice(value);
            }
        }
    }
}

fn lines(raw: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut from = 0;
    let ends = memchr2_iter(b'\n', b'\r', raw).chain(std::iter::once(raw.len()));
    let lines = ends.map(move |end| raw.get(std::mem::replace(&mut from, end + 1)..end).unwrap_or_default());
    lines.filter(|line| !line.is_empty())
}

/// The value of a line `name: value`, one leading space taken off.
fn field<'l>(line: &'l [u8], name: &[u8]) -> Option<&'l [u8]> {
    match line.strip_prefix(name)? {
        [] => Some(&[]),
        [b':', b' ', value @ ..] | [b':', value @ ..] => Some(value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse_in_pieces(stream: &[u8], cuts: &[usize]) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        let mut parser = Parser::new(1 << 20);
        let mut frames = Vec::new();
        let mut from = 0;
        for cut in cuts.iter().copied().chain([stream.len()]) {
            parser.feed(&stream[from..cut]);
            from = cut;
            while let Some(frame) = parser.next_frame().unwrap() {
                frames.push(frame);
            }
        }
        frames.extend(parser.finish());
        let seen = |frame: Frame| (frame.event.to_vec(), frame.data.map(|data| data.to_vec()));
        frames.into_iter().map(seen).filter(|(event, data)| data.is_some() || !event.is_empty()).collect()
    }

    const STREAM: &str = "\u{feff}: hi\n\nevent: a\ndata: {\"x\":\"é\u{2028}\"}\n\ndata:one\r\ndata: two\r\n\r\nid: 7\rdata\rdata:  3\r\rdata: [DONE]";

    #[test]
    fn every_line_end_and_form_of_the_standard_is_read() {
        let frames = parse_in_pieces(STREAM.as_bytes(), &[]);
        let data: Vec<String> =
            frames.iter().map(|(_, data)| String::from_utf8(data.clone().unwrap()).unwrap()).collect();
        assert_eq!(data, ["{\"x\":\"é\u{2028}\"}", "one\ntwo", "\n 3", "[DONE]"]);
        assert_eq!(frames[0].0, b"a");
    }

    #[test]
    fn a_stream_cut_at_any_byte_gives_the_same_frames() {
        let whole = parse_in_pieces(STREAM.as_bytes(), &[]);
        for cut in 0..STREAM.len() {
            assert_eq!(parse_in_pieces(STREAM.as_bytes(), &[cut]), whole, "cut at {cut}");
        }
        let every: Vec<usize> = (1..STREAM.len()).collect();
        assert_eq!(parse_in_pieces(STREAM.as_bytes(), &every), whole);
    }

    #[test]
    fn the_raw_bytes_of_all_frames_are_the_stream() {
        let stream = b"data: a\r\n\r\ndata: b\n\n: c\n\n";
        let mut parser = Parser::new(100);
        parser.feed(stream);
        let mut raw = Vec::new();
        while let Some(frame) = parser.next_frame().unwrap() {
            raw.extend_from_slice(&frame.raw);
        }
        assert_eq!(raw, stream);
    }

    #[test]
    fn a_frame_that_never_ends_is_refused() {
        let mut parser = Parser::new(10);
        parser.feed(b"data: 0123456789");
        assert_eq!(parser.next_frame(), Err(FrameTooLarge { limit: 10 }));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_lose_or_invent_any(stream in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b':'), any::<u8>()], 0..200), cut in 0_usize..200) {
            let cut = cut.min(stream.len());
            prop_assert_eq!(parse_in_pieces(&stream, &[cut]), parse_in_pieces(&stream, &[]));
        }
    }
}
