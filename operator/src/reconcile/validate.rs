//! From the object to a pipeline without faults; all faults at once.
//! Layer: core

use penstock_crds::pipeline::ValidatedPipeline;
use serde_json::Value;

use crate::{resource::EventPipeline, wishes::Wishes};

/// What the operator was started with and every object is judged by.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Image for pipelines that name none.
    pub processor_image: String,
    /// Images that a pipeline may name begin with one of these.
    pub allowed_image_prefixes: Vec<String>,
}

/// An object without faults.
#[derive(Clone, Debug)]
pub struct Valid {
    /// As it is meant.
    pub pipeline: ValidatedPipeline,
    /// As it is written.
    pub spec: Value,
    /// What it asks of the operator.
    pub wishes: Wishes,
    /// The image to run.
    pub image: String,
}

/// Judges the object.
///
/// # Errors
/// Every fault, each with the path of its field.
pub fn validate(object: &EventPipeline, policy: &Policy) -> Result<Valid, Vec<String>> {
    let parsed = penstock_crds::parse(&object.document()).map_err(|faults| {
        let faults = faults.as_slice().iter();
        // The lines are those of a text that the user never saw.
        faults
            .map(|fault| format!("{}: {}", fault.path, fault.message))
            .collect::<Vec<_>>()
    })?;
    let spec: Value = serde_json::from_str(&object.spec.text).unwrap_or_default();
    let wishes: Wishes =
        serde_json::from_value(spec.clone()).map_err(|error| vec![format!("spec: {error}")])?;
    let image = image(&wishes, policy).map_err(|fault| vec![fault])?;
    Ok(Valid {
        pipeline: parsed.pipeline,
        spec,
        wishes,
        image,
    })
}

fn image(wishes: &Wishes, policy: &Policy) -> Result<String, String> {
    let Some(image) = &wishes.image else {
        return Ok(policy.processor_image.clone());
    };
    let prefixes = &policy.allowed_image_prefixes;
    if prefixes.iter().any(|prefix| image.starts_with(prefix)) {
        return Ok(image.clone());
    }
    let legal = match prefixes.as_slice() {
        [] => "this operator allows no other image than its own".to_owned(),
        prefixes => format!("it must begin with {}", prefixes.join(" or ")),
    };
    Err(format!("spec.image: {image:?} is not allowed: {legal}"))
}
