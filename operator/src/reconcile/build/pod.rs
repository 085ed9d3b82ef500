//! What processors and scouts have in common: who they run as, what they see, what they may use.
//! Layer: core

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{
        Capabilities, ConfigMapVolumeSource, Container, DownwardAPIVolumeFile,
        DownwardAPIVolumeSource, LocalObjectReference, ObjectFieldSelector, PodSecurityContext,
        PodSpec, ResourceRequirements, SeccompProfile, SecretVolumeSource, SecurityContext, Volume,
        VolumeMount,
    },
    apimachinery::pkg::api::resource::Quantity,
};

use super::settings;
use crate::{names, reconcile::validate::Valid, wishes};

/// The user that the images are made for.
const USER: i64 = 65532;
/// Readable for the owner and for the pod's group.
const SECRET_MODE: i32 = 0o440;

/// A pod with one container that passes the restricted level of Pod Security, whatever the user
/// wishes of it.
#[must_use]
pub fn spec(valid: &Valid, container: Container, settings: Volume) -> PodSpec {
    let wishes = &valid.wishes.pod;
    let pull = wishes.image_pull_secrets.iter();
    let pull = pull.map(|secret| LocalObjectReference {
        name: secret.name.clone(),
    });
    let mut volumes = vec![settings];
    volumes.extend(
        wishes::secrets(&valid.spec)
            .iter()
            .enumerate()
            .map(secret_volume),
    );
    PodSpec {
        automount_service_account_token: Some(false),
        containers: vec![container],
        enable_service_links: Some(false),
        image_pull_secrets: some(pull.collect()),
        node_selector: Some(wishes.node_selector.clone()).filter(|labels| !labels.is_empty()),
        priority_class_name: wishes.priority_class_name.clone(),
        security_context: Some(PodSecurityContext {
            fs_group: Some(USER),
            run_as_group: Some(USER),
            run_as_non_root: Some(true),
            run_as_user: Some(USER),
            seccomp_profile: Some(SeccompProfile {
                type_: "RuntimeDefault".to_owned(),
                ..SeccompProfile::default()
            }),
            ..PodSecurityContext::default()
        }),
        tolerations: some(wishes.tolerations.clone()),
        volumes: Some(volumes),
        ..PodSpec::default()
    }
}

/// The one container.
#[must_use]
pub fn container(valid: &Valid, before: &[&str], resources: ResourceRequirements) -> Container {
    let file = format!("{}/{}", settings::FOLDER, settings::FILE);
    let arguments = ["--settings", &file, "--secrets", settings::SECRETS];
    let arguments = before.iter().copied().chain(arguments);
    let mut mounts = vec![mount("settings", settings::FOLDER)];
    let secrets = wishes::secrets(&valid.spec);
    mounts.extend(secrets.iter().enumerate().map(|(position, name)| {
        mount(
            &volume_name(position),
            &format!("{}/{name}", settings::SECRETS),
        )
    }));
    Container {
        name: names::CONTAINER.to_owned(),
        image: Some(valid.image.clone()),
        args: Some(arguments.map(str::to_owned).collect()),
        resources: Some(resources),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            capabilities: Some(Capabilities {
                drop: Some(vec!["ALL".to_owned()]),
                ..Capabilities::default()
            }),
            read_only_root_filesystem: Some(true),
            ..SecurityContext::default()
        }),
        // A crash is explained by its last lines where `kubectl describe` shows them.
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        volume_mounts: Some(mounts),
        ..Container::default()
    }
}

/// The settings from a ConfigMap, which the kubelet keeps up to date.
#[must_use]
pub fn settings_from(config_map: &str) -> Volume {
    Volume {
        name: "settings".to_owned(),
        config_map: Some(ConfigMapVolumeSource {
            name: config_map.to_owned(),
            ..ConfigMapVolumeSource::default()
        }),
        ..Volume::default()
    }
}

/// The settings from an annotation of the pod itself.
#[must_use]
pub fn settings_from_annotation(annotation: &str) -> Volume {
    let file = DownwardAPIVolumeFile {
        path: settings::FILE.to_owned(),
        field_ref: Some(ObjectFieldSelector {
            field_path: format!("metadata.annotations['{annotation}']"),
            ..ObjectFieldSelector::default()
        }),
        ..DownwardAPIVolumeFile::default()
    };
    Volume {
        name: "settings".to_owned(),
        downward_api: Some(DownwardAPIVolumeSource {
            items: Some(vec![file]),
            ..DownwardAPIVolumeSource::default()
        }),
        ..Volume::default()
    }
}

/// A mount of a volume.
#[must_use]
pub fn mount(name: &str, path: &str) -> VolumeMount {
    VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        // the embedded sink writes, nothing else does
        read_only: (name != super::deployment::DATA).then_some(true),
        ..VolumeMount::default()
    }
}

/// Bytes as the API server writes them: the largest binary unit that divides them.
#[must_use]
pub fn bytes(bytes: u64) -> Quantity {
    let units = ["", "Ki", "Mi", "Gi", "Ti", "Pi"];
    let (mut value, mut unit) = (bytes, 0);
    while value > 0 && value.is_multiple_of(1024) && unit + 1 < units.len() {
        value /= 1024;
        unit += 1;
    }
    Quantity(format!("{value}{}", units[unit]))
}

/// Cores as the API server writes them.
#[must_use]
pub fn cores(millicores: u64) -> Quantity {
    if millicores.is_multiple_of(1000) {
        return Quantity((millicores / 1000).to_string());
    }
    Quantity(format!("{millicores}m"))
}

/// Amounts by name, without those that are not given.
#[must_use]
pub fn amounts(amounts: [(&str, Option<Quantity>); 2]) -> BTreeMap<String, Quantity> {
    let given = amounts.into_iter();
    given
        .filter_map(|(name, amount)| Some((name.to_owned(), amount?)))
        .collect()
}

/// Names of volumes are shorter than those of Secrets may be.
fn volume_name(position: usize) -> String {
    format!("secret-{position}")
}

fn secret_volume((position, name): (usize, &String)) -> Volume {
    Volume {
        name: volume_name(position),
        secret: Some(SecretVolumeSource {
            secret_name: Some(name.clone()),
            default_mode: Some(SECRET_MODE),
            ..SecretVolumeSource::default()
        }),
        ..Volume::default()
    }
}

fn some<T>(items: Vec<T>) -> Option<Vec<T>> {
    Some(items).filter(|items| !items.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_as_the_api_server_writes_them() {
        let shown = [0, 1, 1024, 256 << 20, 3 << 30, (1 << 30) + 1, 256_000_000].map(bytes);
        let shown = shown.map(|quantity| quantity.0);
        assert_eq!(
            shown,
            ["0", "1", "1Ki", "256Mi", "3Gi", "1073741825", "250000Ki"]
        );
        assert_eq!(
            [250, 1000, 1500].map(cores).map(|q| q.0),
            ["250m", "1", "1500m"]
        );
    }
}
