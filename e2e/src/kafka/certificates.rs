//! Certificates for one run: an authority, the broker's, and a client's; made by openssl.
//! Layer: shell

use std::{
    fs, io,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Where the files are, all PEM; they go with their folder.
#[derive(Clone, Debug)]
pub(crate) struct Certificates {
    folder: PathBuf,
}

impl Certificates {
    /// Makes them in a new folder; the broker's is for this address.
    pub(super) fn make(folder: PathBuf, broker: Ipv4Addr) -> io::Result<Self> {
        fs::create_dir(&folder)?;
        issue(&folder, "ca", &[])?;
        issue(&folder, "stranger", &[])?;
        let name = format!("subjectAltName=IP:{broker}");
        let by_ca = ["-CA", "ca.crt", "-CAkey", "ca.key"];
        issue(
            &folder,
            "broker",
            &[&by_ca[..], &["-addext", &name]].concat(),
        )?;
        issue(&folder, "client", &by_ca)?;
        let key = fs::read_to_string(folder.join("broker.key"))?;
        let certificate = fs::read_to_string(folder.join("broker.crt"))?;
        fs::write(folder.join("broker.pem"), key + &certificate)?;
        Ok(Self { folder })
    }

    /// The authority that the broker's and the client's certificate are from.
    pub(crate) fn authority(&self) -> io::Result<String> {
        self.read("ca.crt")
    }

    /// An authority that neither is from.
    pub(crate) fn stranger(&self) -> io::Result<String> {
        self.read("stranger.crt")
    }

    /// The client's certificate and key.
    pub(crate) fn client(&self) -> io::Result<(String, String)> {
        Ok((self.read("client.crt")?, self.read("client.key")?))
    }

    fn read(&self, file: &str) -> io::Result<String> {
        fs::read_to_string(self.folder.join(file))
    }
}

/// One key and its certificate, valid for two days.
fn issue(folder: &Path, name: &str, more: &[&str]) -> io::Result<()> {
    let (key, certificate) = (format!("{name}.key"), format!("{name}.crt"));
    let mut command = Command::new("openssl");
    command
        .args(["req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"])
        .args(["-pkeyopt", "ec_paramgen_curve:P-256"])
        .args(["-subj", &format!("/CN=penstock-e2e-{name}")])
        .args(["-keyout", &key, "-out", &certificate])
        .args(more)
        .current_dir(folder)
        .stdin(Stdio::null());
    let output = command.output()?;
    match output.status.success() {
        true => Ok(()),
        false => Err(io::Error::other(
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )),
    }
}
