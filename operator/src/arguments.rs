//! The command line of the operator; each argument has an environment variable behind it.
//! Layer: core

use std::net::SocketAddr;

use clap::Parser;

/// Turns EventPipeline objects into fleets of processors.
#[derive(Clone, Debug, Parser)]
#[command(name = "penstock-operator", version)]
pub struct Arguments {
    /// Image of processors and scouts for pipelines that name none.
    #[arg(long, env = "PENSTOCK_PROCESSOR_IMAGE")]
    pub processor_image: String,
    /// Images that a pipeline may name begin with this; repeatable. Without it no pipeline may name
    /// an image.
    #[arg(long, env = "PENSTOCK_ALLOWED_IMAGE_PREFIXES", value_delimiter = ',')]
    pub allowed_image_prefix: Vec<String>,
    /// Namespaces to serve; repeatable. Without it all of them, which needs a cluster role.
    #[arg(long, env = "PENSTOCK_NAMESPACES", value_delimiter = ',')]
    pub namespace: Vec<String>,
    /// Namespace of the Lease that chooses one of the replicas.
    #[arg(
        long,
        env = "PENSTOCK_LEASE_NAMESPACE",
        default_value = "penstock-system"
    )]
    pub lease_namespace: String,
    /// What this replica writes into the Lease; different for each.
    #[arg(long, env = "PENSTOCK_IDENTITY")]
    pub identity: String,
    /// Where /livez, /readyz and /metrics are served.
    #[arg(long, env = "PENSTOCK_LISTEN", default_value = "0.0.0.0:8080")]
    pub listen: SocketAddr,
    /// Pipelines that are worked on at a time.
    #[arg(long, env = "PENSTOCK_MAX_CONCURRENT_RECONCILES", default_value_t = 8,
          value_parser = clap::value_parser!(u16).range(1..=256))]
    pub max_concurrent_reconciles: u16,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Arguments, clap::Error> {
        let fixed = [
            "penstock-operator",
            "--processor-image",
            "p:1",
            "--identity",
            "one",
        ];
        Arguments::try_parse_from(fixed.iter().chain(arguments))
    }

    #[test]
    fn lists_repeat_and_defaults_stand() {
        let read = parse(&["--namespace", "a", "--namespace", "b"]).unwrap();
        assert_eq!(read.namespace, ["a", "b"]);
        assert_eq!(read.listen.port(), 8080);
        assert_eq!(read.max_concurrent_reconciles, 8);
        assert_eq!(read.lease_namespace, "penstock-system");
    }

    #[test]
    fn bad_values_are_refused() {
        assert!(parse(&["--max-concurrent-reconciles", "0"]).is_err());
        assert!(parse(&["--listen", "everywhere"]).is_err());
        assert!(Arguments::try_parse_from(["penstock-operator"]).is_err());
    }
}
