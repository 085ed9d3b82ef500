//! The storefront of the examples on the stores of a run.
//! Layer: core

use crate::names::Names;

const STOREFRONT: &str = include_str!("../../../crds/examples/storefront-cluster.yaml");

/// Where a pipeline finds what it needs, `host:port` each.
#[derive(Clone, Debug)]
pub(crate) struct Doors {
    pub(crate) kafka: String,
    pub(crate) search: String,
    pub(crate) mongodb: String,
    pub(crate) redis: String,
}

/// The pipeline of one scenario, whose name comes before all that it stores. Operations time out
/// soon, so that a short outage is one.
pub(crate) fn write(scenario: &str, doors: &Doors, names: &Names) -> String {
    swaps(scenario, doors, names)
        .into_iter()
        .fold(STOREFRONT.to_owned(), |text, (from, to)| {
            text.replace(from, &to)
        })
}

fn swaps(scenario: &str, doors: &Doors, names: &Names) -> [(&'static str, String); 14] {
    let Doors {
        kafka,
        search,
        mongodb,
        redis,
    } = doors;
    [
        ("\"kafka:9092\"", format!("\"{kafka}\"")),
        ("http://elasticsearch:9200", format!("http://{search}")),
        ("\"mongodb:27017\"", format!("\"{mongodb}\"")),
        ("address: redis:6379", format!("address: {redis}")),
        ("storefront-events.dead", names.dead.clone()),
        (
            "- name: storefront-events",
            format!("- name: {}", names.input),
        ),
        (
            "consumerGroup: storefront-cluster",
            format!("consumerGroup: {}", names.group),
        ),
        ("name: storefront-cluster", format!("name: {scenario}")),
        ("index: events-{", format!("index: {scenario}-events-{{")),
        (
            "collection: products",
            format!("collection: {scenario}-products"),
        ),
        ("database: storefront", format!("database: {scenario}")),
        ("      elasticsearch:\n", timeout("elasticsearch")),
        ("      mongodb:\n", timeout("mongodb")),
        ("      redis:\n", timeout("redis")),
    ]
}

fn timeout(kind: &str) -> String {
    format!("      timeoutSeconds: 2\n      {kind}:\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_the_example_is_left_where_the_run_has_its_own() {
        let own = || "127.0.0.1:1".to_owned();
        let doors = Doors {
            kafka: own(),
            search: own(),
            mongodb: own(),
            redis: own(),
        };
        let names = Names::new("kills", "1");
        for (from, _) in swaps("kills", &doors, &names) {
            assert!(STOREFRONT.contains(from), "{from} is not in the example");
        }
        let text = write("kills", &doors, &names);
        let spec = text.split_once("spec:").expect("a spec").1;
        for word in [
            "kafka:9092",
            "elasticsearch:9200",
            "mongodb:27017",
            "redis:6379",
        ] {
            assert!(!spec.contains(word), "{word}");
        }
        assert_eq!(text.matches("timeoutSeconds: 2").count(), 3);
    }
}
