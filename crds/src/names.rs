//! Restricted names: each is a string that its owner (Kubernetes, Kafka, the sinks) would accept.
//! Layer: core

use std::{fmt, sync::Arc};

/// What a kind of name may look like.
#[derive(Debug)]
struct Rule {
    kind: &'static str,
    legal: &'static str,
    max: usize,
    accepts: fn(&str) -> bool,
}

/// A text that is not the name it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} is not a {kind}: {legal}", shown(value))]
pub struct NameFault {
    kind: &'static str,
    legal: &'static str,
    value: String,
}

impl Rule {
    fn check(&self, text: &str) -> Result<Arc<str>, NameFault> {
        let fits = !text.is_empty() && text.len() <= self.max && (self.accepts)(text);
        if fits {
            return Ok(Arc::from(text));
        }
        Err(NameFault {
            kind: self.kind,
            legal: self.legal,
            value: text.to_owned(),
        })
    }
}

/// Quotes a user's text for a message, cut after 64 characters.
pub(crate) fn shown(text: &str) -> String {
    match text.char_indices().nth(64) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

macro_rules! restricted {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $max:literal, $legal:literal, $accepts:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Longest legal form, bytes.
            pub const MAX: usize = $max;
            const RULE: Rule =
                Rule { kind: $kind, legal: $legal, max: $max, accepts: $accepts };

            /// Checks the text.
            ///
            /// # Errors
            /// Names the text and what would be legal.
            pub fn parse(text: &str) -> Result<Self, NameFault> {
                Self::RULE.check(text).map(Self)
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The name as shared text, for places that keep a copy per record.
            #[must_use]
            pub fn shared(&self) -> Arc<str> {
                Arc::clone(&self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

restricted! {
    /// Name of a pipeline: a DNS-1123 label, short enough for the names of its children.
    PipelineName, "pipeline name", 40, "1 to 40 of a-z 0-9 -, starting and ending with a letter or digit", is_label
}
restricted! {
    /// A Kubernetes namespace: a DNS-1123 label.
    Namespace, "namespace", 63, "1 to 63 of a-z 0-9 -, starting and ending with a letter or digit", is_label
}
restricted! {
    /// Name of a stage: a DNS-1123 label.
    StageName, "stage name", 40, "1 to 40 of a-z 0-9 -, starting and ending with a letter or digit", is_label
}
restricted! {
    /// Name of a sink: a DNS-1123 label.
    SinkName, "sink name", 40, "1 to 40 of a-z 0-9 -, starting and ending with a letter or digit", is_label
}
restricted! {
    /// Name under which a user's binary registered its own stage: a DNS-1123 label.
    CustomName, "custom stage name", 40, "1 to 40 of a-z 0-9 -, starting and ending with a letter or digit", is_label
}
restricted! {
    /// A Kafka topic.
    TopicName, "topic name", 249, "1 to 249 of a-z A-Z 0-9 . _ -, and neither . nor ..", is_topic
}
restricted! {
    /// A Kafka consumer group; Kafka itself takes any text, metrics and shells do not.
    GroupId, "consumer group", 249, "1 to 249 of a-z A-Z 0-9 . _ -", is_plain
}
restricted! {
    /// A record header's name.
    HeaderName, "header name", 249, "1 to 249 of a-z A-Z 0-9 . _ -", is_plain
}
restricted! {
    /// Name of a collection of documents, legal in SQL, `MongoDB` and Elasticsearch alike.
    CollectionName, "collection name", 100, "1 to 100 of a-z 0-9 _ -, starting with a letter", is_collection
}
restricted! {
    /// A field of a document; dots descend, no part may be empty or start with `$`.
    FieldName, "field name", 200, "1 to 200 of a-z A-Z 0-9 _ - with single dots between, not starting with a digit", is_field
}
restricted! {
    /// A field of the event's context: an identifier, so that `context.name` is an expression.
    ContextName, "context field name", 64, "1 to 64 of a-z A-Z 0-9 _, not starting with a digit", is_identifier
}
restricted! {
    /// A broker's `host:port`.
    BootstrapServer, "bootstrap server", 260, "host:port with a port of 1 to 65535, such as kafka:9092", is_address
}

restricted! {
    /// A `host:port` of a sink.
    Address, "address", 260, "host:port with a port of 1 to 65535, such as redis:6379", is_address
}
restricted! {
    /// Where an HTTP API begins: scheme, host, port and path.
    BaseUrl, "base URL", 2048, "http:// or https://, a host, and a port and path where needed, without user, query and fragment, such as https://search:9200", is_base_url
}
restricted! {
    /// What an HTTP request is sent to.
    EndpointUrl, "URL", 2048, "http:// or https://, a host, and a port, path and query where needed, without user and fragment, such as https://hooks:8443/leads", is_endpoint
}
restricted! {
    /// A Secret of the pipeline's namespace: a DNS-1123 subdomain.
    SecretName, "name of a Secret", 253, "1 to 253 of a-z 0-9 - ., each part between dots starting and ending with a letter or digit", is_subdomain
}
restricted! {
    /// A key of a Secret, which is the name of the mounted file.
    SecretKey, "key of a Secret", 253, "1 to 253 of a-z A-Z 0-9 . _ -, not starting with a dot", is_secret_key
}
restricted! {
    /// A `MongoDB` database.
    DatabaseName, "database name", 63, "1 to 63 of a-z A-Z 0-9 _ -", is_database
}
restricted! {
    /// A `MongoDB` replica set.
    ReplicaSetName, "replica set", 100, "1 to 100 of a-z A-Z 0-9 . _ -", is_plain
}
restricted! {
    /// A header of an HTTP request.
    HttpHeaderName, "name of an HTTP header", 100, "1 to 100 of a-z A-Z 0-9 -", is_http_header
}
restricted! {
    /// A container image with its tag or digest.
    ImageName, "image", 512, "registry, path and tag or digest, such as shop/stages:1.2", is_image
}
restricted! {
    /// What the user changes to have every pod replaced.
    RestartToken, "restart token", 64, "1 to 64 of a-z A-Z 0-9 . : _ -, such as a time", is_token
}
restricted! {
    /// A priority class: a DNS-1123 subdomain.
    PriorityClassName, "priority class", 253, "1 to 253 of a-z 0-9 - ., each part between dots starting and ending with a letter or digit", is_subdomain
}
restricted! {
    /// Key of a label, an annotation or a taint: `[prefix/]name`.
    MetadataKey, "key", 317, "an optional DNS prefix and /, then 1 to 63 of a-z A-Z 0-9 . _ -, starting and ending with a letter or digit", is_metadata_key
}
restricted! {
    /// Value of a label that is not empty.
    LabelValue, "label value", 63, "empty or 1 to 63 of a-z A-Z 0-9 . _ -, starting and ending with a letter or digit", is_qualified
}

impl Address {
    /// Host, a bracketed IPv6 address without its brackets, and port.
    ///
    /// # Panics
    /// Never: both were checked when the address was parsed.
    #[must_use]
    pub fn parts(&self) -> (&str, u16) {
        let parts = self.as_str().rsplit_once(':');
        let (host, port) = parts.expect("parsed with a colon");
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        let port = port.parse().expect("parsed with a port");
        (bare.unwrap_or(host), port)
    }
}

fn is_label(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    text.chars().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

fn is_plain(text: &str) -> bool {
    text.chars()
        .all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c))
}

fn is_topic(text: &str) -> bool {
    is_plain(text) && text != "." && text != ".."
}

fn is_collection(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
    text.chars().all(inner) && text.starts_with(|c: char| c.is_ascii_lowercase())
}

fn is_field(text: &str) -> bool {
    let part = |part: &str| {
        let inner = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        part.chars().all(inner) && part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
    };
    text.split('.').all(part)
}

fn is_identifier(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !text.starts_with(|c: char| c.is_ascii_digit())
}

fn is_address(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    let bracketed = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    let legal_host = match bracketed {
        Some(v6) => !v6.is_empty() && v6.chars().all(|c| c.is_ascii_hexdigit() || c == ':'),
        None => !host.is_empty() && is_plain(host),
    };
    digits && legal_host && port.parse::<u16>().is_ok_and(|port| port > 0)
}

fn is_subdomain(text: &str) -> bool {
    text.split('.')
        .all(|part| !part.is_empty() && is_label(part))
}

fn is_secret_key(text: &str) -> bool {
    is_plain(text) && !text.starts_with('.')
}

fn is_database(text: &str) -> bool {
    text.chars()
        .all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
}

fn is_http_header(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

fn is_token(text: &str) -> bool {
    text.chars()
        .all(|c| c.is_ascii_alphanumeric() || ".:-_".contains(c))
}

fn is_image(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || "-_./:@+".contains(c);
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    text.chars().all(inner) && ends(text.chars().next()) && ends(text.chars().next_back())
}

fn is_qualified(text: &str) -> bool {
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    is_plain(text) && ends(text.chars().next()) && ends(text.chars().next_back())
}

fn is_metadata_key(text: &str) -> bool {
    let (prefix, name) = text.split_once('/').unwrap_or(("prefix", text));
    is_subdomain(prefix) && prefix.len() <= 253 && name.len() <= 63 && is_qualified(name)
}

fn is_base_url(text: &str) -> bool {
    is_endpoint(text) && !text.contains('?')
}

fn is_endpoint(text: &str) -> bool {
    let schemes = ["http://", "https://"];
    let Some(rest) = schemes.iter().find_map(|scheme| text.strip_prefix(scheme)) else {
        return false;
    };
    let graphic = rest.chars().all(|c| c.is_ascii_graphic()) && !rest.contains('#');
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let port = authority
        .rsplit_once(':')
        .is_some_and(|(_, port)| !port.ends_with(']'));
    let address = if port {
        authority.to_owned()
    } else {
        format!("{authority}:1")
    };
    graphic && is_address(&address)
}
