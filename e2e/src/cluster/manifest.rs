//! The pipeline that scenarios apply, and their edits of it.
//! Layer: core

use serde_json::Value;

use crate::names::Names;

const TEMPLATE: &str = include_str!("../../pipelines/cluster.yaml");

/// A pipeline as a user would write it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Manifest(Value);

impl Manifest {
    /// Copies from the input to the output topic, two replicas of 256Mi.
    ///
    /// # Panics
    /// Never: the template is part of the program, and a test reads it.
    pub(crate) fn new(bootstrap: &str, names: &Names) -> Self {
        let text = TEMPLATE
            .replace("${BOOTSTRAP}", bootstrap)
            .replace("${INPUT}", &names.input)
            .replace("${OUTPUT}", &names.output)
            .replace("${DEAD}", &names.dead)
            .replace("${GROUP}", &names.group);
        Self::read(&text)
    }

    /// A manifest as it stands in a file of this program.
    ///
    /// # Panics
    /// When the text is no YAML.
    pub(crate) fn read(text: &str) -> Self {
        Self(serde_saphyr::from_str(text).expect("a manifest is YAML"))
    }

    /// A manifest as it stands in a file.
    pub(crate) fn of(object: Value) -> Self {
        Self(object)
    }

    /// The same with one field set; `path` is a JSON pointer whose parents that are missing become
    /// objects. An index behind the end of a list appends, `null` removes a field.
    ///
    /// # Panics
    /// When the path leads through something that is no object or list.
    pub(crate) fn with(mut self, path: &str, value: impl Into<Value>) -> Self {
        let mut steps: Vec<_> = path
            .split('/')
            .skip(1)
            .map(|s| s.replace("~1", "/"))
            .collect();
        let last = steps.pop().expect("a path has a step");
        let place = steps.iter().fold(&mut self.0, |place, step| match place {
            Value::Array(items) => &mut items[index(step)],
            other => &mut other[step.as_str()],
        });
        match (place, value.into()) {
            (Value::Array(items), value) if index(&last) >= items.len() => items.push(value),
            (Value::Array(items), value) => items[index(&last)] = value,
            (Value::Object(members), Value::Null) => drop(members.remove(&last)),
            (other, value) => other[last.as_str()] = value,
        }
        self
    }

    /// The same under another name.
    pub(crate) fn named(self, name: &str) -> Self {
        self.with("/metadata/name", name)
    }

    /// The object's name.
    pub(crate) fn name(&self) -> &str {
        self.0["metadata"]["name"].as_str().unwrap_or_default()
    }

    /// What `kubectl` names it.
    pub(crate) fn object(&self) -> String {
        format!("eventpipeline/{}", self.name())
    }

    /// What kubectl reads.
    pub(crate) fn text(&self) -> String {
        self.0.to_string()
    }
}

fn index(step: &str) -> usize {
    step.parse().expect("an index of a list")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_is_filled_in_and_edited() {
        let names = Names::new("test", "1");
        let manifest = Manifest::new("host:1", &names)
            .named("other")
            .with("/spec/resources/limits/memory", "512Mi")
            .with("/spec/source/topics/0/name", "elsewhere")
            .with("/spec/source/auth/secretRef/name", "user")
            .with("/spec/stages/9", "more")
            .with("/metadata/labels/a~1b", "c")
            .with("/spec/ordering", Value::Null);
        let text = manifest.text();
        assert!(!text.contains("${"), "{text}");
        assert_eq!(manifest.0["spec"]["stages"][1], "more");
        assert_eq!(manifest.0["metadata"]["labels"]["a/b"], "c");
        assert!(manifest.0["spec"].get("ordering").is_none());
        assert_eq!(manifest.object(), "eventpipeline/other");
        assert_eq!(manifest.0["spec"]["resources"]["limits"]["memory"], "512Mi");
        assert_eq!(
            manifest.0["spec"]["source"]["topics"][0]["name"],
            "elsewhere"
        );
        assert_eq!(
            manifest.0["spec"]["source"]["auth"]["secretRef"]["name"],
            "user"
        );
    }
}
