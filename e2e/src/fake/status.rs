//! The stand-in's `/status`.
//! Layer: shell

use std::{
    io::{self, Read, Write},
    net::TcpStream,
};

/// Answers any request with the two facts that scenarios read.
pub(super) fn answer(mut stream: TcpStream, partitions: usize, window: usize) -> io::Result<()> {
    let mut request = [0; 1024];
    let _ = stream.read(&mut request)?;
    let partitions: Vec<_> = (0..partitions)
        .map(|n| serde_json::json!({ "position": n }))
        .collect();
    let body = serde_json::json!({ "partitions": partitions, "plan": { "windowRecords": window } });
    write!(
        stream,
        "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{body}"
    )
}
