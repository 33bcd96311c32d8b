//! A plain HTTP/1.1 client that hides nothing: one connection, bytes as they come, gone when it
//! is dropped. It takes only answers whose end is marked, so that a cut never looks whole.

use std::fmt;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use super::wait::PATIENCE;

/// Request headers.
pub type Headers<'h> = &'h [(&'h str, &'h str)];

/// An open connection to a server.
pub struct Connection {
    stream: BufReader<TcpStream>,
    address: SocketAddr,
}

/// A whole answer, or, with an empty body, its head.
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Connection {
    pub fn open(address: SocketAddr) -> Self {
        Self::try_open(address).unwrap()
    }

    /// The same for those who count failures.
    pub fn try_open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream: BufReader::new(stream), address })
    }

    /// Another connection to the same server.
    pub fn again(&self) -> Self {
        Self::open(self.address)
    }

    /// The socket, for what HTTP forbids.
    pub fn socket(&mut self) -> &mut TcpStream {
        self.stream.get_mut()
    }

    /// Sends a request and waits for its whole answer. The connection can be used again.
    pub fn ask(&mut self, method: &str, path: &str, headers: Headers<'_>, body: &[u8]) -> Answer {
        self.try_ask(method, path, headers, body).unwrap()
    }

    /// The same for those who count failures, after which the connection is of no use.
    pub fn try_ask(&mut self, method: &str, path: &str, headers: Headers<'_>, body: &[u8]) -> io::Result<Answer> {
        self.try_send(method, path, headers, body)?;
        self.try_answer(method)
    }

    pub fn send(&mut self, method: &str, path: &str, headers: Headers<'_>, body: &[u8]) {
        self.try_send(method, path, headers, body).unwrap();
    }

    /// The answer to a request of `method`.
    pub fn answer(&mut self, method: &str) -> Answer {
        self.try_answer(method).unwrap()
    }

    /// The body of a GET's answer whose head was read.
    pub fn rest(&mut self, head: Answer) -> Answer {
        self.try_rest("GET", head).unwrap()
    }

    /// The stream, for what comes after HTTP.
    pub fn into_stream(self) -> BufReader<TcpStream> {
        self.stream
    }

    /// The head of an answer, whose body is read with [`Self::chunk`].
    pub fn head(&mut self) -> Answer {
        self.try_head().unwrap()
    }

    /// The next chunk of a chunked body; `None` at its end. Panics when it is cut.
    pub fn chunk(&mut self) -> Option<Vec<u8>> {
        self.try_chunk().unwrap()
    }

    /// Reads until the text so far satisfies `enough`; gives it.
    pub fn chunks_until(&mut self, enough: impl Fn(&str) -> bool) -> String {
        let mut text = String::new();
        while !enough(&text) {
            let chunk = self.chunk().unwrap_or_else(|| panic!("the body ended before: {text}"));
            text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
        text
    }

    /// Whether the server has closed, with nothing more to read.
    pub fn is_closed(&mut self) -> bool {
        matches!(self.stream.fill_buf(), Ok(rest) if rest.is_empty())
    }

    fn try_send(&mut self, method: &str, path: &str, headers: Headers<'_>, body: &[u8]) -> io::Result<()> {
        let mut request = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\n", self.address).into_bytes();
        for (name, value) in headers {
            write!(request, "{name}: {value}\r\n")?;
        }
        if !body.is_empty() || matches!(method, "POST" | "PUT" | "PATCH") {
            write!(request, "content-length: {}\r\n", body.len())?;
        }
        request.extend_from_slice(b"\r\n");
        request.extend_from_slice(body);
        self.socket().write_all(&request)
    }

    fn try_answer(&mut self, method: &str) -> io::Result<Answer> {
        let head = self.try_head()?;
        self.try_rest(method, head)
    }

    fn try_rest(&mut self, method: &str, mut answer: Answer) -> io::Result<Answer> {
        if method == "HEAD" || answer.status == 204 || answer.status == 304 {
            return Ok(answer);
        }
        if answer.is_chunked() {
            while let Some(chunk) = self.try_chunk()? {
                answer.body.extend_from_slice(&chunk);
            }
            return Ok(answer);
        }
        let length = answer.header("content-length").and_then(|length| length.parse().ok());
        let length = length.ok_or_else(|| io::Error::other(format!("a body without an end: {answer:?}")))?;
        answer.body = vec![0; length];
        self.stream.read_exact(&mut answer.body)?;
        Ok(answer)
    }

    fn try_head(&mut self) -> io::Result<Answer> {
        let line = self.try_line()?;
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("not a status line: {line:?}")))?;
        let mut headers = Vec::new();
        loop {
            let line = self.try_line()?;
            let Some((name, value)) = line.split_once(':') else {
                return Ok(Answer { status, headers, body: Vec::new() });
            };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    fn try_chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        let line = self.try_line()?;
        let size = usize::from_str_radix(&line, 16);
        let size = size.map_err(|error| io::Error::other(format!("the body was cut: {line:?}: {error}")))?;
        let mut chunk = vec![0; size];
        self.stream.read_exact(&mut chunk)?;
        let end = self.try_line()?;
        if !end.is_empty() {
            return Err(io::Error::other(format!("a chunk that is longer than its size: {end:?}")));
        }
        Ok((size > 0).then_some(chunk))
    }

    fn try_line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        Ok(line.trim_end_matches(['\r', '\n']).to_owned())
    }
}

impl Answer {
    /// A header's value; panics when it was sent more than once.
    #[track_caller]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let value = values.next();
        assert!(values.next().is_none(), "{name} is there twice");
        value
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The JSON events of a stream, `[DONE]` left out.
    pub fn events(&self) -> Vec<Value> {
        let data = self.text().lines().filter_map(|line| line.strip_prefix("data: "));
        data.filter(|data| *data != "[DONE]").map(|data| serde_json::from_str(data).unwrap()).collect()
    }

    fn is_chunked(&self) -> bool {
        self.header("transfer-encoding") == Some("chunked")
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {:?}", self.status, self.headers)?;
        f.write_str(&String::from_utf8_lossy(&self.body))
    }
}
