//! Installs the two charts as a user does, in a namespace that enforces restricted Pod Security.
//! Layer: shell

use super::{
    ground::{self, Ground, GroundError},
    images::{self, Images},
    kubectl::KubectlError,
};

/// Where the operator runs.
pub(crate) const NAMESPACE: &str = "penstock-system";
/// Its Deployment, and the Lease that chooses a replica.
pub(crate) const RELEASE: &str = "penstock";

/// Why the charts are not installed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InstallError {
    #[error(transparent)]
    Ground(#[from] GroundError),
    #[error(transparent)]
    Kubectl(#[from] KubectlError),
}

/// A namespace with Pod Security as strict as it gets; warnings would reach the user.
pub(crate) fn restricted(namespace: &str) -> String {
    let labels = ["enforce", "warn"]
        .map(|mode| format!(r#""pod-security.kubernetes.io/{mode}": "restricted""#))
        .join(", ");
    format!(
        r#"{{"apiVersion": "v1", "kind": "Namespace",
            "metadata": {{"name": "{namespace}", "labels": {{{labels}}}}}}}"#
    )
}

/// Installs or upgrades both and waits until the operator is ready.
pub(crate) fn charts(ground: &Ground, images: &Images) -> Result<(), InstallError> {
    ground
        .kubectl()
        .feed(&["apply", "-f", "-"], &restricted(NAMESPACE))?;
    chart(ground, "penstock-crds", &[])?;
    let operator = format!("image.tag={}", images.operator);
    let processor = format!("processorImage.tag={}", images.processor);
    chart(
        ground,
        RELEASE,
        &[&operator, &processor, "image.pullPolicy=Never"],
    )?;
    let kubectl = ground.kubectl().within(NAMESPACE);
    let limit = "--timeout=120s";
    kubectl.run(&["rollout", "status", "deployment", RELEASE, limit])?;
    Ok(())
}

/// One chart, with values.
pub(crate) fn chart(ground: &Ground, name: &str, values: &[&str]) -> Result<(), GroundError> {
    let mut helm = ground.program("helm");
    helm.args(["upgrade", "--install", name, "--namespace", NAMESPACE]);
    helm.arg(images::repository().join("charts").join(name));
    values.iter().for_each(|value| {
        helm.args(["--set", value]);
    });
    ground::run(&mut helm).map(drop)
}
