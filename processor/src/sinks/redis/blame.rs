//! Whose fault an error of the client or the server is, and what follows for the connection.
//! Layer: core

use crate::sinks::SinkError;

/// An error, told apart as far as we decide by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Complaint {
    /// The server answered with an error: its code and, of redirections, where to.
    Server {
        /// First word of the error, such as `READONLY`.
        code: String,
        /// The rest; only of redirections is it repeated.
        detail: String,
    },
    /// Refused, reset, closed, or an answer cut short.
    Transport(String),
    /// Something that is no answer to what was asked.
    Protocol,
    /// The deadline passed.
    Late,
    /// The client refused what it was told, before sending.
    Client(String),
}

/// What follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The script cache was emptied: load and ask again.
    NoScript,
    /// The server is up and will not or cannot: wait.
    Refused(String),
    /// The same, and the connection is of no more use: another server may be behind the name, or
    /// the next answers would be taken for those of others.
    Broken(String),
}

impl Fault {
    /// In the terms of a sink: none of them is the record's fault.
    pub(super) fn into_sink(self) -> SinkError {
        let reason = match self {
            Self::NoScript => "the script cache is emptied as fast as it is filled".to_owned(),
            Self::Refused(reason) | Self::Broken(reason) => reason,
        };
        SinkError::Unavailable { reason }
    }

    /// Whether the connection has to go.
    pub(super) fn breaks(&self) -> bool {
        matches!(self, Self::Broken(_))
    }
}

/// Decides what follows an error.
pub(super) fn blame(complaint: &Complaint) -> Fault {
    match complaint {
        Complaint::Server { code, detail } => server(code, detail),
        Complaint::Transport(reason) => Fault::Broken(reason.clone()),
        Complaint::Protocol => {
            Fault::Broken("the server's answer is none to what was asked".to_owned())
        }
        Complaint::Late => Fault::Broken("no answer in time".to_owned()),
        Complaint::Client(reason) => Fault::Refused(reason.clone()),
    }
}

fn server(code: &str, detail: &str) -> Fault {
    let refused = |reason: &str| Fault::Refused(format!("{code}: {reason}"));
    let broken = |reason: &str| Fault::Broken(format!("{code}: {reason}"));
    match code {
        "NOSCRIPT" => Fault::NoScript,
        "LOADING" => refused("the server is reading its data"),
        "BUSY" => refused("a script of somebody holds the server up"),
        "OOM" => refused("maxmemory is used up; nothing is written until there is room"),
        "MISCONF" => refused("the server cannot save to disk and takes no writes"),
        "NOREPLICAS" => refused("fewer replicas than min-replicas-to-write"),
        "CLUSTERDOWN" | "TRYAGAIN" => refused("the cluster does not serve the slot now"),
        "MOVED" | "ASK" | "CROSSSLOT" => refused(&format!(
            "the address is a node of a cluster that does not hold the pipeline's slot ({detail}); \
             legal is a server that holds all keys"
        )),
        "READONLY" | "MASTERDOWN" => broken("a replica answers; a failover may be under way"),
        "NOAUTH" | "WRONGPASS" | "NOPERM" => {
            broken("user or password is refused, or may not do this")
        }
        // Our scripts and commands are right or wrong for every record alike.
        _ => refused("the server refused the command"),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn every_error_is_the_sinks_and_some_cost_the_connection() {
        let server = |code: &str| Complaint::Server {
            code: code.to_owned(),
            detail: "12 10.0.0.7:6379".to_owned(),
        };
        let codes = [
            "NOSCRIPT",
            "READONLY",
            "LOADING",
            "MOVED",
            "ASK",
            "CLUSTERDOWN",
            "BUSY",
            "OOM",
            "NOAUTH",
            "WRONGPASS",
            "MISCONF",
            "ERR",
        ];
        let others = [
            Complaint::Transport("connection reset by peer".to_owned()),
            Complaint::Protocol,
            Complaint::Late,
            Complaint::Client("the host has no address".to_owned()),
        ];
        let complaints = codes.map(server).into_iter().chain(others);
        let lines = complaints.map(|complaint| {
            let fault = blame(&complaint);
            let breaks = if fault.breaks() { "reconnect" } else { "keep" };
            let SinkError::Unavailable { reason } = fault.into_sink() else {
                panic!("an outage is not poison: {complaint:?}");
            };
            format!("{breaks}: {reason}")
        });
        expect![[r#"
            keep: the script cache is emptied as fast as it is filled
            reconnect: READONLY: a replica answers; a failover may be under way
            keep: LOADING: the server is reading its data
            keep: MOVED: the address is a node of a cluster that does not hold the pipeline's slot (12 10.0.0.7:6379); legal is a server that holds all keys
            keep: ASK: the address is a node of a cluster that does not hold the pipeline's slot (12 10.0.0.7:6379); legal is a server that holds all keys
            keep: CLUSTERDOWN: the cluster does not serve the slot now
            keep: BUSY: a script of somebody holds the server up
            keep: OOM: maxmemory is used up; nothing is written until there is room
            reconnect: NOAUTH: user or password is refused, or may not do this
            reconnect: WRONGPASS: user or password is refused, or may not do this
            keep: MISCONF: the server cannot save to disk and takes no writes
            keep: ERR: the server refused the command
            reconnect: connection reset by peer
            reconnect: the server's answer is none to what was asked
            reconnect: no answer in time
            keep: the host has no address"#]]
        .assert_eq(&lines.collect::<Vec<_>>().join("\n"));
    }
}
