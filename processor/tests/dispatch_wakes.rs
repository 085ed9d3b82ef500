//! No wake is lost: the pool under shuttle's scheduler, which tries interleavings by seed.
//! Layer: test
//!
//! The dispatcher's own sources are compiled once more in a room where `parking_lot`, `tokio` and
//! the atomics are shuttle's, so that production code knows nothing of it. Then the wakes are taken
//! out one at a time, and each must be missed.
//!
//! Slow (it compiles shuttle), so it runs by name:
//! `cargo test -p penstock-processor --test dispatch_wakes -- --ignored --nocapture`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A wake that is taken out: in which file, which text becomes which.
struct Bug {
    name: &'static str,
    file: &'static str,
    right: &'static str,
    wrong: &'static str,
}

const BUGS: [Bug; 4] = [
    Bug {
        name: "a lane is listed and nobody is told",
        file: "pool/shared.rs",
        right: "self.pool_of(lane).wake_one();",
        wrong: "",
    },
    Bug {
        name: "a closed pool wakes nobody",
        file: "pool.rs",
        right: "self.shared.closed.store(true, SeqCst);\n        \
                self.shared.pools.iter().for_each(Pool::wake_all);",
        wrong: "self.shared.closed.store(true, SeqCst);",
    },
    Bug {
        name: "a worker goes to sleep without a second look",
        file: "pool/worker.rs",
        right: "if self.serve() {\n                return Next::Turn;\n            }\n            \
                if shared.closed.load(SeqCst) {\n                return Next::Closed;\n            }",
        wrong: "",
    },
    Bug {
        name: "who takes one of several lanes keeps the wake for itself",
        file: "pool/ready.rs",
        right: "let listed = ready.pop_front();\n        let more = !ready.is_empty();",
        wrong: "let listed = ready.pop_front();\n        let more = false;",
    },
];

const MANIFEST: &str = r#"
[package]
name = "wakes"
version = "0.0.0"
edition = "2024"
[dependencies]
foldhash = "0.2"
parking_lot = { package = "shuttle-parking_lot", version = "0.12", features = ["shuttle"] }
shuttle = "0.9"
thiserror = "2"
tokio = { package = "shuttle-tokio", version = "1", features = ["shuttle", "sync"] }
[workspace]
"#;

const LIB: &str = "
pub mod record;
pub mod dispatch;
/// The standard library, with shuttle's threads in place of the real ones.
pub mod modelled {
    pub use std::*;
    pub use shuttle::sync;
}
#[cfg(test)]
mod model;
";

/// Quick, so that a change of the pool which takes a bug's place away is noticed at once.
#[test]
fn every_bug_has_its_place() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/dispatch");
    for bug in &BUGS {
        let text = fs::read_to_string(source.join(bug.file)).expect("the source is there");
        assert_eq!(text.matches(bug.right).count(), 1, "{}", bug.name);
    }
}

#[test]
#[ignore = "compiles shuttle and the dispatcher once per bug"]
fn no_wake_is_lost() {
    let room = room();
    assert_eq!(schedules(&room), Schedules::End, "every schedule ends");
    for bug in &BUGS {
        let path = room.join("src/dispatch").join(bug.file);
        let sound = fs::read_to_string(&path).expect("the source was copied");
        assert_eq!(
            sound.matches(bug.right).count(),
            1,
            "{}: where is it?",
            bug.name
        );
        fs::write(&path, sound.replace(bug.right, bug.wrong)).expect("the room can be written");
        assert_eq!(
            schedules(&room),
            Schedules::Hang,
            "not noticed: {}",
            bug.name
        );
        println!("noticed: {}", bug.name);
        fs::write(&path, sound).expect("the room can be written");
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Schedules {
    End,
    Hang,
}

/// A crate of the dispatcher alone, on shuttle's primitives.
fn room() -> PathBuf {
    let room = Path::new(env!("CARGO_TARGET_TMPDIR")).join("wakes");
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let _ = fs::remove_dir_all(room.join("src"));
    copy(&here.join("src/dispatch"), &room.join("src/dispatch"));
    for file in ["dispatch.rs", "record.rs"] {
        copy_file(&here.join("src").join(file), &room.join("src").join(file));
    }
    copy_file(
        &here.join("tests/dispatch_wakes/model.rs"),
        &room.join("src/model.rs"),
    );
    fs::write(room.join("src/lib.rs"), LIB).expect("the room can be written");
    fs::write(room.join("Cargo.toml"), MANIFEST).expect("the room can be written");
    room
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("the room can be written");
    for entry in fs::read_dir(from).expect("the source is there") {
        let path = entry.expect("the source can be listed").path();
        let target = to.join(path.file_name().expect("an entry has a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            copy_file(&path, &target);
        }
    }
}

/// The atomics become shuttle's; locks and notifications do so by the manifest.
fn copy_file(from: &Path, to: &Path) {
    let text = fs::read_to_string(from).expect("the source is there");
    let text = text.replace("use std::{", "use crate::modelled::{");
    fs::write(to, text).expect("the room can be written");
}

/// Runs the model in the room; a room that does not compile shows nothing.
fn schedules(room: &Path) -> Schedules {
    let cargo = |verb: &[&str]| {
        let mut command = Command::new(env!("CARGO"));
        command
            .current_dir(room)
            .args(["test", "--release", "--lib", "model"])
            .args(verb)
            .env("CARGO_TARGET_DIR", room.join("target"))
            .env("RUST_BACKTRACE", "0")
            .env("SHUTTLE_SILENCE_WARNINGS", "1");
        command.output().expect("cargo runs")
    };
    let built = cargo(&["--no-run"]);
    let errors = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "the room compiles: {errors}");
    let run = cargo(&[]);
    if run.status.success() {
        return Schedules::End;
    }
    let told = String::from_utf8_lossy(&run.stdout);
    assert!(
        told.contains("deadlock"),
        "only a lost wake may fail it: {told}"
    );
    Schedules::Hang
}
