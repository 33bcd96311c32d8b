//! Server-sent events: bytes to frames and back (WHATWG HTML, 9.2 "Server-sent events").

mod parser;

pub use parser::{Frame, FrameTooLarge, Parser};

/// What ends a Chat stream.
pub const DONE: &[u8] = b"[DONE]";
