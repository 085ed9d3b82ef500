//! What can be said on the command line.
//! Layer: core

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use penstock_sizing::Bytes;

use crate::demo::zipf;

/// Kafka event processing within a memory limit: plan it, run it, watch it keep its promises.
#[derive(Debug, Parser)]
#[command(name = "penstock", version)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print the memory plan of a pipeline, or why there is none (exit code 2).
    Plan(PlanArguments),
    /// Run a pipeline in this process.
    Run(RunArguments),
    /// Write dead letters back to the topics their records came from, each once.
    ReplayDeadLetters(ReplayArguments),
    /// Run the storefront pipeline on generated events and prove the promises (exit code 1 if one
    /// was broken).
    Demo(DemoArguments),
}

/// Arguments of `penstock plan`.
#[derive(Debug, Args)]
pub struct PlanArguments {
    /// The pipeline object, YAML or JSON.
    #[arg(short, long, value_name = "FILE")]
    pub file: PathBuf,
    /// Memory limit instead of the object's, as Kubernetes writes it (256Mi).
    #[arg(long, value_name = "QUANTITY")]
    pub memory: Option<Bytes>,
    /// Partitions of all source topics together, instead of the object's.
    #[arg(long, value_name = "N")]
    pub partitions: Option<u32>,
    /// Brokers of the cluster, instead of the object's.
    #[arg(long, value_name = "N")]
    pub brokers: Option<u32>,
    /// Form of the answer.
    #[arg(long, value_enum, default_value_t = TableOrJson::Table)]
    pub output: TableOrJson,
}

/// Arguments of `penstock run`.
#[derive(Clone, Debug, Args)]
pub struct RunArguments {
    /// The pipeline object, YAML or JSON.
    #[arg(short, long, value_name = "FILE")]
    pub file: PathBuf,
    /// Where the Secrets that the object names are, each in a folder of its name.
    #[arg(long, value_name = "DIR", default_value = "/etc/penstock/secrets")]
    pub secrets: PathBuf,
    /// Where /livez, /readyz, /metrics and /status are served.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9090")]
    pub status_address: SocketAddr,
    /// Memory limit instead of the object's, as Kubernetes writes it (256Mi).
    #[arg(long, value_name = "QUANTITY")]
    pub memory: Option<Bytes>,
    /// Broker addresses instead of the object's, comma-separated.
    #[arg(long, value_name = "SERVERS")]
    pub bootstrap_servers: Option<String>,
    /// A file, which must exist, that says what was being read should the process be killed.
    #[arg(long, value_name = "FILE")]
    pub termination_log: Option<PathBuf>,
}

/// Arguments of `penstock replay-dead-letters`.
#[derive(Clone, Debug, Args)]
pub struct ReplayArguments {
    /// The pipeline object, YAML or JSON: names brokers, topics and the dead-letter topic.
    #[arg(short, long, value_name = "FILE")]
    pub file: PathBuf,
    /// Where the Secrets that the object names are, each in a folder of its name.
    #[arg(long, value_name = "DIR", default_value = "/etc/penstock/secrets")]
    pub secrets: PathBuf,
    /// Broker addresses instead of the object's, comma-separated.
    #[arg(long, value_name = "SERVERS")]
    pub bootstrap_servers: Option<String>,
    /// Letters to read at most; all that are there now when absent.
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
    /// Say what would be replayed, and write nothing.
    #[arg(long)]
    pub dry_run: bool,
}

/// Arguments of `penstock demo`.
#[derive(Debug, Args)]
pub struct DemoArguments {
    /// Records to produce.
    #[arg(long, value_name = "N", default_value_t = 200_000,
        value_parser = clap::value_parser!(u32).range(1..))]
    pub records: u32,
    /// Distinct keys, drawn by Zipf's law.
    #[arg(long, value_name = "N", default_value_t = 50_000,
        value_parser = clap::value_parser!(u32).range(1..=i64::from(zipf::MAX_RANKS)))]
    pub keys: u32,
    /// Partitions of the source topic.
    #[arg(long, value_name = "N", default_value_t = 12,
        value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub partitions: u32,
    /// Memory limit of the processor, as Kubernetes writes it.
    #[arg(long, value_name = "QUANTITY", default_value = "256Mi")]
    pub memory: Bytes,
    /// How often the processor is killed and restarted.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub kill: u32,
    /// Seed of everything random.
    #[arg(long, value_name = "N", default_value_t = 42)]
    pub seed: u64,
    /// A running broker instead of the embedded one, comma-separated addresses.
    #[arg(long, value_name = "SERVERS")]
    pub bootstrap_servers: Option<String>,
    /// Form of the verdict.
    #[arg(long, value_enum, default_value_t = TextOrJson::Text)]
    pub output: TextOrJson,
    /// Another program to start as the processor: for tests of the demo itself.
    #[arg(long, value_name = "PROGRAM", hide = true)]
    pub processor: Option<PathBuf>,
}

/// Forms of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TableOrJson {
    /// For people.
    Table,
    /// One JSON object.
    Json,
}

/// Forms of a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TextOrJson {
    /// For people, with progress on a terminal.
    Text,
    /// One JSON object on the last line.
    Json,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn quantities_are_read_as_kubernetes_writes_them() {
        let line = ["penstock", "demo", "--memory", "1G"];
        let Command::Demo(demo) = Arguments::try_parse_from(line).unwrap().command else {
            panic!("another command");
        };
        assert_eq!(demo.memory, Bytes(1_000_000_000));
        let refused = Arguments::try_parse_from(["penstock", "demo", "--memory", "lots"]);
        assert!(refused.unwrap_err().to_string().contains("lots"));
    }
}
