//! Pipeline files for the processors, written from templates.
//! Layer: core

use crate::names::Names;

const PRODUCE: &str = include_str!("../pipelines/produce.yaml");
const EMBEDDED: &str = include_str!("../pipelines/embedded.yaml");

/// Which pipeline a scenario runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Template {
    /// One `produce` stage to the output topic.
    Produce,
    /// `index`, `upsert` and `count` into the embedded sink.
    Embedded,
}

/// Kafka's group protocols, as the object spells them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Cooperative rebalancing led by a member.
    Classic,
    /// KIP-848, led by the broker.
    Consumer,
}

/// Where a pipeline meets the brokers.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    /// `host:port` of the listener.
    pub(crate) bootstrap: String,
    /// Fields of `spec.source` for it, in one line; empty for plain text.
    pub(crate) security: String,
}

/// Fills a template in.
///
/// `generation` is the incarnation for [`Template::Produce`], whose stage compares nothing: so each
/// record of the output says which start of which processor wrote it. The embedded sink does
/// compare generations, so there it stays 0.
pub(crate) fn write(
    template: Template,
    protocol: Protocol,
    door: &Door,
    names: &Names,
    incarnation: u64,
) -> String {
    let (text, generation) = match template {
        Template::Produce => (PRODUCE, incarnation),
        Template::Embedded => (EMBEDDED, 0),
    };
    // With KIP-848 the session timeout is the broker's.
    let (protocol, client) = match protocol {
        Protocol::Classic => ("Classic", "{sessionTimeoutMillis: 6000}"),
        Protocol::Consumer => ("Consumer", "{}"),
    };
    text.replace("${BOOTSTRAP}", &door.bootstrap)
        .replace("${SECURITY}", &door.security)
        .replace("${INPUT}", &names.input)
        .replace("${OUTPUT}", &names.output)
        .replace("${DEAD}", &names.dead)
        .replace("${GROUP}", &names.group)
        .replace("${PROTOCOL}", protocol)
        .replace("${CLIENT}", client)
        .replace("${GENERATION}", &generation.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_placeholder_is_left() {
        let names = Names::new("test", "1");
        for template in [Template::Produce, Template::Embedded] {
            let door = Door {
                bootstrap: "localhost:1".to_owned(),
                security: String::new(),
            };
            let text = write(template, Protocol::Classic, &door, &names, 3);
            assert!(!text.contains("${"), "{text}");
            assert!(text.contains(&names.group));
        }
    }
}
