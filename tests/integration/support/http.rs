//! A plain HTTP/1.1 client that hides nothing: one connection, bytes as they come, gone when it
//! is dropped. It takes only answers whose end is marked, so that a cut never looks whole.

use std::fmt;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use super::PATIENCE;

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
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self { stream: BufReader::new(stream), address }
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
        self.send(method, path, headers, body);
        self.answer(method)
    }

    pub fn send(&mut self, method: &str, path: &str, headers: Headers<'_>, body: &[u8]) {
        let mut request = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\n", self.address).into_bytes();
        for (name, value) in headers {
            write!(request, "{name}: {value}\r\n").unwrap();
        }
        if !body.is_empty() || matches!(method, "POST" | "PUT" | "PATCH") {
            write!(request, "content-length: {}\r\n", body.len()).unwrap();
        }
        request.extend_from_slice(b"\r\n");
        request.extend_from_slice(body);
        self.socket().write_all(&request).unwrap();
    }

    /// The answer to a request of `method`.
    pub fn answer(&mut self, method: &str) -> Answer {
        let mut answer = self.head();
        if method == "HEAD" || answer.status == 204 || answer.status == 304 {
            return answer;
        }
        if answer.is_chunked() {
            while let Some(chunk) = self.chunk() {
                answer.body.extend_from_slice(&chunk);
            }
            return answer;
        }
        let length = answer.header("content-length").unwrap_or_else(|| panic!("a body without an end: {answer:?}"));
        answer.body = vec![0; length.parse().unwrap()];
        self.stream.read_exact(&mut answer.body).unwrap();
        answer
    }

    /// The head of an answer, whose body is read with [`Self::chunk`].
    pub fn head(&mut self) -> Answer {
        let line = self.line();
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.unwrap_or_else(|| panic!("not a status line: {line:?}"));
        let mut headers = Vec::new();
        loop {
            let line = self.line();
            let Some((name, value)) = line.split_once(':') else {
                return Answer { status, headers, body: Vec::new() };
            };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    /// The next chunk of a chunked body; `None` at its end. Panics when it is cut.
    pub fn chunk(&mut self) -> Option<Vec<u8>> {
        let size = self.line();
        let size = usize::from_str_radix(&size, 16).unwrap_or_else(|_| panic!("the body was cut: {size:?}"));
        let mut chunk = vec![0; size];
        self.stream.read_exact(&mut chunk).unwrap();
        assert_eq!(self.line(), "");
        (size > 0).then_some(chunk)
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

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        line.trim_end_matches(['\r', '\n']).to_owned()
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
