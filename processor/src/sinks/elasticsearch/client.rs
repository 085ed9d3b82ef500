//! Requests to the cluster: over kept connections, to one address after the other, within limits.
//! Layer: shell

use std::{
    error::Error,
    time::{Duration, Instant},
};

use bytes::Bytes;
use parking_lot::Mutex;
use reqwest::{
    Certificate, Method, Url,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue},
    redirect,
};

use super::{ElasticsearchSettings, answer::Answer, bulk::unavailable, nodes::Nodes};
use crate::sinks::{
    SinkError,
    secret::{Secret, Watch},
};

/// Longest wait for a connection; the answer may take until the deadline.
const CONNECT: Duration = Duration::from_secs(5);
/// How long sent bytes may stay unacknowledged, and how often a silent connection is asked: hosts
/// that vanish are noticed by that.
const UNACKNOWLEDGED: Duration = Duration::from_secs(10);
/// Connections kept for each address: one for groups, one for flushes, one to spare.
const KEPT: usize = 3;
/// Shorter than the minute after which common proxies close.
const KEPT_FOR: Duration = Duration::from_secs(50);

/// What is asked.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) method: Method,
    /// Path and query, with the slash.
    pub(super) path: &'static str,
    /// Empty with a `GET`.
    pub(super) body: Bytes,
    /// What the body is.
    pub(super) content: &'static str,
    /// Longest answer, bytes.
    pub(super) answer_bytes: usize,
}

/// A client of one cluster.
pub(super) struct Client {
    urls: Vec<String>,
    source: Source,
    session: Mutex<Session>,
    nodes: Mutex<Nodes>,
}

/// Where credentials and trust come from.
struct Source {
    secret: Option<Secret>,
    ca: Option<(Secret, String)>,
}

/// What they are now.
#[derive(Clone, PartialEq, Eq)]
struct Material {
    authorization: Option<HeaderValue>,
    ca: Option<Vec<u8>>,
}

struct Session {
    material: Material,
    http: reqwest::Client,
    watch: Watch,
}

impl Client {
    /// Connects when it is first asked something.
    pub(super) fn open(settings: &ElasticsearchSettings) -> Result<Self, SinkError> {
        // The library takes the process's default; whoever was first has set the same.
        drop(rustls::crypto::ring::default_provider().install_default());
        let source = Source {
            secret: settings.secret.clone(),
            ca: settings.ca.clone(),
        };
        let material = source.material()?;
        let http = material.client()?;
        let urls = settings
            .urls
            .iter()
            .map(|url| plain(url))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            nodes: Mutex::new(Nodes::new(urls.len())),
            urls,
            source,
            session: Mutex::new(Session {
                material,
                http,
                watch: Watch::begin(now()),
            }),
        })
    }

    /// Asks the addresses in turn until one answers; everything asked may be repeated. One that
    /// says that it cannot is believed only when no other can.
    pub(super) async fn ask(
        &self,
        request: &Request,
        deadline: Instant,
    ) -> Result<Answer, SinkError> {
        let mut order = self.nodes.lock().order(now());
        if let [only] = order[..] {
            // A connection that was closed while it was idle fails once.
            order.push(only);
        }
        let mut last = Err(unavailable("no address is declared"));
        for at in order {
            last = self.ask_one(at, request, deadline).await;
            let failed = match &last {
                Ok(answer) => matches!(answer.status, 502..=504),
                Err(_) => true,
            };
            let mut nodes = self.nodes.lock();
            if !failed {
                nodes.succeeded(at);
                return last;
            }
            nodes.failed(at, now());
            if now() >= deadline {
                break;
            }
        }
        last
    }

    /// Asks one address; with other credentials once more if there are such.
    async fn ask_one(
        &self,
        at: usize,
        request: &Request,
        deadline: Instant,
    ) -> Result<Answer, SinkError> {
        let (http, used) = self.session();
        let answer = self.send(&http, &used, (at, request), deadline).await?;
        if answer.status != 401 {
            return Ok(answer);
        }
        let material = self.source.material()?;
        if material == used {
            return Ok(answer);
        }
        let (http, used) = self.renew(material)?;
        self.send(&http, &used, (at, request), deadline).await
    }

    /// The client of now; the files are looked at when it is time. While they cannot be read, as
    /// in the moment of an exchange, the last ones hold.
    fn session(&self) -> (reqwest::Client, Material) {
        let (due, current) = {
            let mut session = self.session.lock();
            let due = session.watch.is_due(now());
            (due, (session.http.clone(), session.material.clone()))
        };
        if !due {
            return current;
        }
        match self.source.material() {
            Ok(material) if material != current.1 => self.renew(material).unwrap_or(current),
            Ok(_) | Err(_) => current,
        }
    }

    fn renew(&self, material: Material) -> Result<(reqwest::Client, Material), SinkError> {
        let mut session = self.session.lock();
        if session.material.ca != material.ca {
            session.http = material.client()?;
        }
        session.material = material.clone();
        Ok((session.http.clone(), material))
    }

    async fn send(
        &self,
        http: &reqwest::Client,
        material: &Material,
        (at, request): (usize, &Request),
        deadline: Instant,
    ) -> Result<Answer, SinkError> {
        let url = format!("{}{}", self.urls[at], request.path);
        let mut asked = http.request(request.method.clone(), url);
        if let Some(authorization) = &material.authorization {
            asked = asked.header(AUTHORIZATION, authorization.clone());
        }
        if !request.body.is_empty() {
            asked = asked.header(CONTENT_TYPE, request.content);
            asked = asked.body(request.body.clone());
        }
        let answered = tokio::time::timeout_at(deadline.into(), async {
            let response = asked.send().await.map_err(|error| told(&error))?;
            read(response, request.answer_bytes).await
        });
        let answered = answered.await;
        answered.unwrap_or_else(|_| Err(unavailable("no answer in time")))
    }
}

/// The whole answer, unless it is longer than it may be.
async fn read(mut response: reqwest::Response, longest: usize) -> Result<Answer, SinkError> {
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| told(&error))? {
        if body.len() + chunk.len() > longest {
            return Err(unavailable(&format!("answer of more than {longest} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, body })
}

impl Source {
    fn material(&self) -> Result<Material, SinkError> {
        let ca = match &self.ca {
            Some((secret, key)) => {
                let found = secret.bytes(key)?;
                Some(found.ok_or_else(|| unavailable(&format!("key {key} of the CA is missing")))?)
            }
            None => None,
        };
        Ok(Material {
            authorization: self.authorization()?,
            ca,
        })
    }

    /// An API key goes before a name with a password.
    fn authorization(&self) -> Result<Option<HeaderValue>, SinkError> {
        let Some(secret) = &self.secret else {
            return Ok(None);
        };
        let text = match secret.text("apiKey")? {
            Some(key) => format!("ApiKey {key}"),
            None => {
                let (name, word) = (secret.required("username")?, secret.required("password")?);
                format!("Basic {}", base64(format!("{name}:{word}").as_bytes()))
            }
        };
        let mut value = HeaderValue::try_from(text)
            .map_err(|_| unavailable("the secret has characters that no header may have"))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

impl Material {
    /// Nothing is taken from the environment, and no answer leads to another host.
    fn client(&self) -> Result<reqwest::Client, SinkError> {
        let mut builder = reqwest::Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .http1_only()
            .connect_timeout(CONNECT)
            .pool_max_idle_per_host(KEPT)
            .pool_idle_timeout(KEPT_FOR)
            .tcp_nodelay(true)
            .tcp_keepalive(UNACKNOWLEDGED)
            .tcp_user_timeout(UNACKNOWLEDGED)
            .user_agent("penstock");
        if let Some(pem) = &self.ca {
            let certificates = Certificate::from_pem_bundle(pem).map_err(|error| told(&error))?;
            builder = builder.tls_certs_only(certificates);
        }
        builder.build().map_err(|error| told(&error))
    }
}

/// An address without the slash at its end.
fn plain(url: &str) -> Result<String, SinkError> {
    let parsed = Url::parse(url).map_err(|error| unavailable(&format!("url {url:?}: {error}")))?;
    match (parsed.scheme(), parsed.host_str()) {
        ("http" | "https", Some(_)) => Ok(url.trim_end_matches('/').to_owned()),
        _ => Err(unavailable(&format!(
            "url {url:?}, legal is http://host:port or https://host:port"
        ))),
    }
}

/// An error of the client with its causes, without the address, which the status knows.
fn told(error: &reqwest::Error) -> SinkError {
    let mut reason = match error.is_connect() {
        true => "cannot connect".to_owned(),
        false => "request failed".to_owned(),
    };
    let mut cause = error.source();
    while let Some(error) = cause {
        reason.push_str(": ");
        reason.push_str(&error.to_string());
        cause = error.source();
    }
    unavailable(&reason)
}

/// The alphabet of RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let padded = [0, 1, 2].map(|at| chunk.get(at).copied().unwrap_or(0));
        let bits = u32::from_be_bytes([0, padded[0], padded[1], padded[2]]);
        for at in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * at) & 63) as usize];
            text.push(if at <= chunk.len() {
                letter.into()
            } else {
                '='
            });
        }
    }
    text
}

/// The runtime's clock, so that tests may stop it.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
