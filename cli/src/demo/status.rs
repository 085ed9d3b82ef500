//! Asks the processor how it is: `GET /status` by hand, for one request needs no HTTP client.
//! Layer: shell

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use serde_json::Value;

/// What the demo reads of `/status`; everything else of it may change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// `plan.windowRecords`: records of a partition that may be repeated after a crash.
    pub window_records: Option<u64>,
    /// `gears[].name` and `.reason` of the gears in use, as words.
    pub gears: Vec<String>,
}

/// Longest wait for the processor; it is a child on this machine.
const TIMEOUT: Duration = Duration::from_millis(500);

/// Longest answer that is read, bytes.
const LONGEST: u64 = 4 << 20;

/// Asks once.
///
/// # Errors
/// When the processor does not answer in time, or not with JSON.
pub fn get(address: SocketAddr) -> io::Result<Status> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    // HTTP/1.0: the answer comes in one piece and ends with the connection
    write!(stream, "GET /status HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(LONGEST).read_to_end(&mut answer)?;
    parse(&answer)
}

fn parse(answer: &[u8]) -> io::Result<Status> {
    let refuse = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let head = head.ok_or_else(|| refuse("answer without end of head"))?;
    let line = answer[..head]
        .split(|byte| *byte == b'\r')
        .next()
        .unwrap_or_default();
    if line.split(|byte| *byte == b' ').nth(1) != Some(b"200") {
        return Err(refuse("answer is not 200"));
    }
    let body: Value = serde_json::from_slice(&answer[head + 4..])?;
    Ok(read(&body))
}

fn read(body: &Value) -> Status {
    let gears = body["gears"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|gear| {
            let name = gear["name"].as_str()?;
            let reason = gear["reason"].as_str();
            Some(reason.map_or_else(|| name.to_owned(), |reason| format!("{name}: {reason}")))
        });
    Status {
        window_records: body.pointer("/plan/windowRecords").and_then(Value::as_u64),
        gears: gears.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read() {
        let body = r#"{"plan":{"windowRecords":4096},"gears":[{"name":"closed","reason":"ledger full"},{"name":"paused"}],"more":1}"#;
        let answer = format!("HTTP/1.0 200 OK\r\ncontent-length: 9\r\n\r\n{body}");
        let expected = Status {
            window_records: Some(4_096),
            gears: vec!["closed: ledger full".to_owned(), "paused".to_owned()],
        };
        assert_eq!(parse(answer.as_bytes()).unwrap(), expected);
    }

    #[test]
    fn other_answers_are_errors() {
        for answer in [
            "",
            "HTTP/1.1 503 no\r\n\r\n{}",
            "HTTP/1.1 200 OK\r\n\r\n{",
            "HTTP/1.1 200 OK",
        ] {
            assert!(parse(answer.as_bytes()).is_err(), "{answer:?}");
        }
        let unknown = parse(b"HTTP/1.1 200 OK\r\n\r\n{\"gears\":7}").unwrap();
        assert_eq!(unknown, Status::default());
    }
}
