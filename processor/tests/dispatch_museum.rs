//! The museum: known bugs, put back one at a time; the proofs must notice each of them.
//! Layer: test
//!
//! Slow (it compiles the dispatcher once per bug), so it runs by name:
//! `cargo test -p penstock-processor --test dispatch_museum -- --ignored --nocapture`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A bug: in which file, which text becomes which.
struct Bug {
    name: &'static str,
    file: &'static str,
    right: &'static str,
    wrong: &'static str,
}

const BUGS: [Bug; 12] = [
    Bug {
        name: "a key is in the ready list twice",
        file: "lane.rs",
        right: "nodes[last].next = at;",
        wrong: "nodes[last].next = at;\n        self.push_ready(nodes, head);",
    },
    Bug {
        name: "the length of a key's queue stands in for its in-flight flag",
        file: "lane.rs",
        right: "nodes[last].next = at;",
        wrong: "nodes[last].next = at;\n        if head == last { self.push_ready(nodes, head) }",
    },
    Bug {
        name: "a new record frees a parked key",
        file: "lane.rs",
        right: "nodes[last].next = at;",
        wrong: "nodes[last].next = at;\n        \
                if nodes[head].place == Place::Parked { self.unpark(nodes, head) }",
    },
    Bug {
        name: "completing out of order raises the watermark",
        file: "ring.rs",
        right: "*self.cell(sequence) |= DONE;",
        wrong: "*self.cell(sequence) |= DONE;\n        \
                self.watermark = Some(offset(*self.cell(sequence)) + 1);",
    },
    Bug {
        name: "the epoch of a ticket is not checked",
        file: "engine/settle.rs",
        right: "self.state == State::Idle || ticket.epoch != self.epoch",
        wrong: "self.state == State::Idle",
    },
    Bug {
        name: "a revoke keeps the charges of what it drops",
        file: "engine/epoch.rs",
        right: "held.release(released);",
        wrong: "",
    },
    Bug {
        name: "a record goes on to its next lane while draining",
        file: "engine/settle.rs",
        right: "if self.state == State::Draining {\n            return self.free(at);",
        wrong: "if self.state == State::Idle {\n            return self.free(at);",
    },
    Bug {
        name: "the byte check ignores the record that asks",
        file: "ledger.rs",
        right: "is_some_and(|sum| sum <= budget)",
        wrong: "is_some_and(|sum| sum - charge <= budget)",
    },
    Bug {
        name: "the window forgets what is done and not committed",
        file: "engine.rs",
        right: "window: engine.ring.window(),",
        wrong: "window: engine.ring.span(),",
    },
    Bug {
        name: "a parked key is due one tick early",
        file: "engine.rs",
        right: "&& until <= now",
        wrong: "&& until.0 <= now.0 + 1",
    },
    Bug {
        name: "removing a key cuts the chain of its bucket",
        file: "index.rs",
        right: "self.relink(nodes, at, rest);",
        wrong: "self.relink(nodes, at, NIL);",
    },
    Bug {
        name: "the next record of a key forgets the bucket of the last one",
        file: "index.rs",
        right: "nodes[by].bucket = nodes[at].bucket;",
        wrong: "",
    },
];

const MANIFEST: &str = r#"
[package]
name = "museum"
version = "0.0.0"
edition = "2024"
[dependencies]
foldhash = "0.2"
parking_lot = "0.13"
thiserror = "2"
tokio = { version = "1", features = ["sync"] }
[dev-dependencies]
proptest = { version = "1", default-features = false, features = ["std"] }
[workspace]
"#;

/// Quick, so that a change of the dispatcher which takes a bug's place away is noticed at once.
#[test]
fn every_bug_has_its_place() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/dispatch");
    for bug in &BUGS {
        let text = fs::read_to_string(source.join(bug.file)).expect("the source is there");
        assert_eq!(text.matches(bug.right).count(), 1, "{}", bug.name);
    }
}

#[test]
#[ignore = "compiles the dispatcher once per bug"]
fn every_bug_is_noticed() {
    let room = room();
    assert_eq!(proofs(&room), Proofs::Hold, "without a bug the proofs hold");
    for bug in &BUGS {
        let path = room.join("src/dispatch").join(bug.file);
        let sound = fs::read_to_string(&path).unwrap();
        assert_eq!(
            sound.matches(bug.right).count(),
            1,
            "{}: where is it?",
            bug.name
        );
        fs::write(&path, sound.replace(bug.right, bug.wrong)).unwrap();
        assert_eq!(proofs(&room), Proofs::Fail, "not noticed: {}", bug.name);
        println!("noticed: {}", bug.name);
        fs::write(&path, sound).unwrap();
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Proofs {
    Hold,
    Fail,
}

/// A crate of the dispatcher alone.
fn room() -> PathBuf {
    let room = Path::new(env!("CARGO_TARGET_TMPDIR")).join("museum");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let _ = fs::remove_dir_all(room.join("src"));
    copy(&source.join("dispatch"), &room.join("src/dispatch"));
    for file in ["dispatch.rs", "record.rs"] {
        fs::copy(source.join(file), room.join("src").join(file)).expect("the source is there");
    }
    fs::write(room.join("Cargo.toml"), MANIFEST).expect("the room can be written");
    fs::write(
        room.join("src/lib.rs"),
        "pub mod record;\npub mod dispatch;\n",
    )
    .expect("the room can be written");
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
            fs::copy(&path, &target).expect("the room can be written");
        }
    }
}

/// Runs the proofs in the room; a room that does not compile proves nothing.
fn proofs(room: &Path) -> Proofs {
    let cargo = |verb: &[&str]| {
        let mut command = Command::new(env!("CARGO"));
        command
            .current_dir(room)
            .arg("test")
            .args(["--lib", "dispatch"])
            .args(verb);
        command
            .env("CARGO_TARGET_DIR", room.join("target"))
            .env("RUST_BACKTRACE", "0");
        command.output().expect("cargo runs")
    };
    let built = cargo(&["--no-run"]);
    let errors = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "the room compiles: {errors}");
    if cargo(&[]).status.success() {
        Proofs::Hold
    } else {
        Proofs::Fail
    }
}
