//! The example of a user's own stage runs, and a later stage sees what it left.
//! Layer: test

use std::{env, path::PathBuf};

use crate::{
    broker::{Broker, DEAD, OUT, Sent},
    process::Process,
    setting::Setting,
};

const STAGES: &str = "
    - {name: louder, custom: {name: shout, config: {field: word}}}
    - {name: out, produce: {topic: out, value: context.loud}}
";

/// Cargo builds a package's examples beside its tests.
fn example() -> PathBuf {
    let test = env::current_exe().expect("this test has a path");
    let profile = test.ancestors().nth(2).expect("it lies in deps/");
    let example = profile.join("examples/custom_stage");
    assert!(
        example.exists(),
        "{} is missing: `cargo test -p penstock-processor` builds it, `--test` alone does not",
        example.display()
    );
    example
}

#[test]
fn a_users_own_stage_runs_in_its_own_binary() {
    let (broker, folder) = (Broker::start(1), tempfile::tempdir().expect("a folder"));
    let sent = [
        Sent::new("a", r#"{"word":"hey"}"#),
        Sent::new("b", r#"{"word":7}"#),
        Sent::new("c", r#"{"word":"straße"}"#),
    ];
    broker.send(0, &sent);
    let setting = Setting {
        stages: STAGES,
        ..Setting::default()
    };
    let mut processor = Process::start(&example(), folder.path(), &setting.text(&broker));
    let status = processor.until("three records", |status| status.finished.total() == 3);
    assert_eq!(
        (status.finished.done, status.finished.dead_lettered),
        (2, 1)
    );
    let read = broker.read(OUT, 2);
    let mut values: Vec<_> = read.iter().filter_map(|read| read.value.clone()).collect();
    values.sort();
    assert_eq!(values, [br#""HEY""#.to_vec(), br#""STRASSE""#.to_vec()]);
    let letter = &broker.read(DEAD, 1)[0];
    let reason = ("penstock-dead-reason", "event.word: legal is a string");
    let headers = letter
        .headers
        .iter()
        .map(|(name, value)| (&**name, &**value));
    assert!(
        headers.into_iter().any(|header| header == reason),
        "{letter:?}"
    );
    processor.stop();
}

#[test]
fn a_config_that_the_stage_refuses_is_told_at_the_start() {
    let (broker, folder) = (Broker::start(1), tempfile::tempdir().expect("a folder"));
    let setting = Setting {
        stages: "\n    - {name: louder, custom: {name: shout, config: {}}}\n",
        ..Setting::default()
    };
    let mut processor = Process::start(&example(), folder.path(), &setting.text(&broker));
    assert_eq!(processor.wait().code(), Some(2));
    let log = processor.log();
    assert!(
        log.contains("config.field is missing, legal is the name of a field"),
        "{log}"
    );
}
