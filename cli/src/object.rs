//! The pipeline of a file, with what the command line says before what the object says.
//! Layer: core

use penstock_crds::{names::BootstrapServer, pipeline::ValidatedPipeline};

/// Reads a pipeline; `servers` are brokers instead of the object's, comma-separated.
pub(crate) fn pipeline(text: &str, servers: Option<&str>) -> Result<ValidatedPipeline, String> {
    let parsed = penstock_crds::parse(text).map_err(|faults| faults.to_string())?;
    let mut pipeline = parsed.pipeline;
    if let Some(servers) = servers {
        let parsed: Result<_, _> = servers.split(',').map(BootstrapServer::parse).collect();
        pipeline.source.bootstrap_servers =
            parsed.map_err(|e| format!("--bootstrap-servers: {e}"))?;
    }
    Ok(pipeline)
}
