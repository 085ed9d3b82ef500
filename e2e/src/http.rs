//! One question over plain HTTP, and its answer taken apart.
//! Layer: shell

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    time::Duration,
};

const ANSWER: Duration = Duration::from_secs(20);
const HEAD_ENDS: &[u8] = b"\r\n\r\n";
const LINE_ENDS: &[u8] = b"\r\n";

/// What a body usually is.
pub(crate) const JSON: &str = "application/json";

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'a> {
    /// Method and path, such as `GET /_count`.
    pub(crate) line: &'a str,
    /// What the body is.
    pub(crate) kind: &'a str,
    /// The body; may be empty.
    pub(crate) body: &'a str,
}

impl<'a> Question<'a> {
    /// With a body of JSON.
    pub(crate) fn json(line: &'a str, body: &'a str) -> Self {
        Self {
            line,
            kind: JSON,
            body,
        }
    }
}

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Such as 200.
    pub(crate) status: u16,
    /// The body, put together.
    pub(crate) body: String,
}

impl Answer {
    /// Whether it was done as asked.
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// Asks in the older protocol, whose answer ends with its connection.
pub(crate) fn ask(address: &str, question: Question<'_>) -> io::Result<Answer> {
    let Question { line, kind, body } = question;
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(ANSWER))?;
    let length = body.len();
    write!(
        stream,
        "{line} HTTP/1.0\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}"
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    read(&answer)
}

fn read(answer: &[u8]) -> io::Result<Answer> {
    let (head, body) = split(answer, HEAD_ENDS).ok_or_else(|| broken("no end of the head"))?;
    let head = text(head)?.to_ascii_lowercase();
    let status = head.split(' ').nth(1).and_then(|word| word.get(..3));
    let status = status.and_then(|status| status.parse().ok());
    let chunked = head.contains("transfer-encoding: chunked");
    let body = if chunked {
        text(&joined(body)?)?.to_owned()
    } else {
        text(body)?.to_owned()
    };
    Ok(Answer {
        status: status.ok_or_else(|| broken("no status"))?,
        body,
    })
}

/// Long answers come in chunks, each after its size, although the protocol is too old for them. A
/// character may lie across two of them.
fn joined(mut rest: &[u8]) -> io::Result<Vec<u8>> {
    let mut whole = Vec::new();
    loop {
        let cut = || broken("a chunk that is cut short");
        let (size, after) = split(rest, LINE_ENDS).ok_or_else(cut)?;
        let size = usize::from_str_radix(text(size)?, 16).map_err(|_| broken("no size"))?;
        if size == 0 {
            return Ok(whole);
        }
        let (chunk, next) = after.split_at_checked(size).ok_or_else(cut)?;
        whole.extend_from_slice(chunk);
        rest = next.strip_prefix(LINE_ENDS).ok_or_else(cut)?;
    }
}

fn split<'a>(bytes: &'a [u8], end: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = bytes.windows(end.len()).position(|window| window == end)?;
    Some((&bytes[..at], &bytes[at + end.len()..]))
}

fn text(bytes: &[u8]) -> io::Result<&str> {
    std::str::from_utf8(bytes).map_err(|_| broken("no text"))
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("answer: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        let body = body.to_owned();
        Answer { status, body }
    }

    #[test]
    fn a_plain_answer_is_head_and_body() {
        let plain = read(b"HTTP/1.0 404 Not Found\r\n\r\n4\r\n{}").unwrap();
        assert_eq!(plain, answer(404, "4\r\n{}"));
        assert!(!plain.is_success());
        assert!(answer(201, "").is_success());
    }

    #[test]
    fn an_answer_in_chunks_is_put_together_also_across_a_character() {
        let mut chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        chunked.extend(b"3\r\n\"a\xc3\r\n2\r\n\xa4\"\r\n0\r\n\r\n");
        assert_eq!(read(&chunked).unwrap(), answer(200, "\"aä\""));
    }

    #[test]
    fn an_answer_that_is_cut_short_is_no_answer() {
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        for cut in [
            "",
            "4\r\n",
            "4\r\nab",
            "2\r\nab",
            "2\r\nab\r\n",
            "x\r\nab\r\n",
        ] {
            let whole = format!("{chunked}{cut}");
            assert!(read(whole.as_bytes()).is_err(), "{cut:?}");
        }
        assert!(read(b"").is_err());
        assert!(read(b"HTTP/1.1 200 OK\r\n").is_err());
        assert!(read(b"what\r\n\r\n").is_err());
    }
}
