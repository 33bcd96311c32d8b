//! A connection with four corrections of what awc makes of HTTP/1.1.
//!
//! - awc ends a body without an error when the connection closes in the middle of it, so a cut
//!   answer would look whole. Here the end of a connection is an error of its own; awc passes it
//!   on while a body is being read, and it harms nobody between requests.
//! - awc gives an empty body for an answer that is delimited by the end of the connection (RFC
//!   9112, 6.3), unless it is HTTP/1.0. Such an answer is read as one of HTTP/1.0, which is what
//!   the rule comes from.
//! - awc adds a `date` to every request. Ours carry only the headers that we promise.
//! - awc writes a request to its end before it reads, and a provider may answer before that: a
//!   body over its limit, a key that it does not know (RFC 9112, 9.5). Where writing stops, the
//!   answer is looked for; once it has begun to come, the rest of the request is not sent, and the
//!   connection not used again.

use std::io;
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll, ready};

use actix_rt::net::{ActixStream, Ready, TcpStream};
use actix_tls::connect::rustls_0_23::reexports::AsyncTlsStream;
use bytes::BytesMut;
use memchr::memmem::{self, Finder};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What carries the bytes of HTTP.
#[derive(Debug)]
pub(super) enum Wire {
    /// TCP alone.
    Plain(TcpStream),
    /// TLS over TCP.
    Tls(Box<AsyncTlsStream<TcpStream>>),
}

/// A connection that carries one request after the other.
#[derive(Debug)]
pub(super) struct StrictStream {
    wire: Wire,
    /// The next bytes to write begin the head of a request, or go on with it.
    in_request_head: bool,
    /// The next bytes to read begin the head of an answer.
    before_answer: bool,
    /// What came of an answer before its request was written.
    early: Option<BytesMut>,
}

impl StrictStream {
    pub(super) const fn new(wire: Wire) -> Self {
        Self { wire, in_request_head: true, before_answer: true, early: None }
    }

    /// Whether an answer has begun to come; what is there of it is kept to be read.
    fn has_answered(&mut self, cx: &mut Context<'_>) -> bool {
        let mut space = [0; 2048];
        let mut buf = ReadBuf::new(&mut space);
        let is_read = Pin::new(&mut self.wire).poll_read(cx, &mut buf).is_ready();
        if is_read && !buf.filled().is_empty() {
            self.early = Some(BytesMut::from(buf.filled()));
        }
        self.early.is_some()
    }

    /// Writes what the wire takes, or finds that the provider has answered already.
    fn write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.wire).poll_write(cx, buf) {
            // The rest is as good as written.
            Poll::Pending | Poll::Ready(Err(_)) if self.has_answered(cx) => Poll::Ready(Ok(buf.len())),
            result => result,
        }
    }

    /// The connection below.
    pub(super) fn tcp(&self) -> &TcpStream {
        match &self.wire {
            Wire::Plain(tcp) => tcp,
            Wire::Tls(tls) => tls.get_ref().0,
        }
    }
}

impl AsyncRead for StrictStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Some(early) = &mut this.early {
            // So little room has awc's question whether a connection can be used again.
            if buf.remaining() <= 2 {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            if !early.is_empty() {
                if std::mem::replace(&mut this.before_answer, false) {
                    correct_version(early);
                }
                buf.put_slice(&early.split_to(buf.remaining().min(early.len())));
                return Poll::Ready(Ok(()));
            }
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.wire).poll_read(cx, buf))?;
        if buf.filled().len() == before && buf.remaining() > 0 {
            return Poll::Ready(Err(io::Error::from(io::ErrorKind::UnexpectedEof)));
        }
        if std::mem::replace(&mut self.before_answer, false)
            && let Some(head) = buf.filled_mut().get_mut(before..)
        {
            correct_version(head);
        }
        self.in_request_head = true;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for StrictStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.early.is_some() {
            return Poll::Ready(Ok(buf.len()));
        }
        self.before_answer = true;
        let date = if self.in_request_head { date_header(buf) } else { None };
        let Some((start, end)) = date else {
            self.in_request_head = false;
            return self.write(cx, buf);
        };
        let [head, rest] = [buf.get(..start).unwrap_or_default(), buf.get(end..).unwrap_or_default()];
        let written = ready!(
            Pin::new(&mut self.wire).poll_write_vectored(cx, &[io::IoSlice::new(head), io::IoSlice::new(rest)])
        )?;
        if written < start {
            return Poll::Ready(Ok(written));
        }
        self.in_request_head = false;
        Poll::Ready(Ok(written + (end - start)))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // What is left to send nobody reads.
        if self.early.is_some() { Poll::Ready(Ok(())) } else { Pin::new(&mut self.wire).poll_flush(cx) }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(cx)
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write_vectored(cx, parts),
            Self::Tls(tls) => Pin::new(tls).poll_write_vectored(cx, parts),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}

/// Made once: they look at the head of every request and of every answer.
static HEAD_END: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new(b"\r\n\r\n"));
static DATE: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new(b"\r\ndate: "));

/// Where the `date` header stands in a request's head, the line break before it included. awc
/// writes the whole head at once.
fn date_header(request: &[u8]) -> Option<(usize, usize)> {
    let head = request.get(..HEAD_END.find(request)?)?;
    let start = DATE.find(head)?;
    let line = memmem::find(head.get(start + 2..)?, b"\r\n").unwrap_or(head.len() - start - 2);
    Some((start, start + 2 + line))
}

/// Makes the head of an answer that only the end of the connection delimits one of HTTP/1.0.
fn correct_version(answer: &mut [u8]) {
    const VERSION: &[u8] = b"HTTP/1.1 ";
    let Some(end) = HEAD_END.find(answer) else {
        return;
    };
    let head = answer.get(..end).unwrap_or_default();
    let is_delimited = head.split(|byte| *byte == b'\n').any(|line| {
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
        name.eq_ignore_ascii_case(b"content-length") || name.eq_ignore_ascii_case(b"transfer-encoding")
    });
    // 1xx, 204 and 304 have no body at all.
    let status = head.get(VERSION.len()..VERSION.len() + 3).unwrap_or_default();
    let has_body = head.starts_with(VERSION) && !status.starts_with(b"1") && status != b"204" && status != b"304";
    if let (true, false, Some(minor)) = (has_body, is_delimited, answer.get_mut(VERSION.len() - 2)) {
        *minor = b'0';
    }
}

impl ActixStream for StrictStream {
    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        ActixStream::poll_read_ready(self.tcp(), cx)
    }

    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        ActixStream::poll_write_ready(self.tcp(), cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_header_is_found_wherever_it_stands() {
        let without = |request: &str| {
            let (start, end) = date_header(request.as_bytes()).unwrap();
            format!("{}{}", &request[..start], &request[end..])
        };
        let date = "date: Mon, 23 Nov 2026 21:46:21 GMT\r\n";
        let (line, rest) = ("POST / HTTP/1.1\r\n", "host: h\r\n\r\n{\"date: \":1}");
        assert_eq!(without(&format!("{line}{date}{rest}")), format!("{line}{rest}"));
        let last = format!("{line}host: h\r\n{date}\r\nbody");
        assert_eq!(without(&last), format!("{line}host: h\r\n\r\nbody"));
        assert_eq!(date_header(b"POST / HTTP/1.1\r\nhost: h\r\n\r\n\r\ndate: x\r\n"), None);
    }

    #[test]
    fn only_an_answer_without_length_and_chunks_becomes_one_of_http_1_0() {
        let version = |answer: &str| {
            let mut bytes = answer.as_bytes().to_vec();
            correct_version(&mut bytes);
            String::from_utf8(bytes[..8].to_vec()).unwrap()
        };
        assert_eq!(version("HTTP/1.1 200 OK\r\nserver: x\r\n\r\n{}"), "HTTP/1.0");
        for kept in [
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 204 No Content\r\nserver: x\r\n\r\n",
            "HTTP/1.1 100 Continue\r\n\r\n",
            "HTTP/1.1 200 OK\r\nserver: x\r\n",
        ] {
            assert_eq!(version(kept), "HTTP/1.1", "{kept}");
        }
    }
}
