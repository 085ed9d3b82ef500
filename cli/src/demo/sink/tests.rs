//! A file as the processor should leave it passes; each way of tampering with it is found.
//! Layer: test

use std::sync::Arc;

use super::*;
use crate::demo::{
    audit::Findings,
    generator::{Generator, Kind},
    log::Log,
    reference::Reference,
    storefront::{self, Storefront, Workload},
};

/// The tables that the demo reads, as `penstock-processor` creates them.
const TABLES: &str = "
CREATE TABLE events (
    seq INTEGER PRIMARY KEY, idx TEXT NOT NULL, id TEXT NOT NULL, document TEXT NOT NULL,
    generation INTEGER NOT NULL, topic TEXT NOT NULL, partition INTEGER NOT NULL,
    offset INTEGER NOT NULL, UNIQUE (idx, id));
CREATE TABLE duplicates (
    idx TEXT NOT NULL, id TEXT NOT NULL, generation INTEGER NOT NULL, topic TEXT NOT NULL,
    partition INTEGER NOT NULL, offset INTEGER NOT NULL,
    PRIMARY KEY (idx, id, generation, topic, partition, offset)) WITHOUT ROWID;
CREATE TABLE documents (
    collection TEXT NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL, applied TEXT NOT NULL,
    PRIMARY KEY (collection, id)) WITHOUT ROWID;
CREATE TABLE counters (
    collection TEXT NOT NULL, id TEXT NOT NULL, field TEXT NOT NULL, value INTEGER NOT NULL,
    PRIMARY KEY (collection, id, field)) WITHOUT ROWID;
CREATE TABLE members (
    set_name TEXT NOT NULL, member BLOB NOT NULL, PRIMARY KEY (set_name, member)) WITHOUT ROWID;
CREATE TABLE redelivered (stage TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID;
";

/// A run that was produced, and its reference.
struct Run {
    world: Storefront,
    log: Log,
    reference: Reference,
}

impl Run {
    fn new() -> Self {
        let start_ms = 1_795_000_000_000;
        let workload = Workload {
            seed: 11,
            records: 3_000,
            keys: 60,
            partitions: 3,
            start_ms,
        };
        let world = Arc::new(Storefront::new(workload));
        let mut log = Log::new(3);
        for draft in Generator::new(Arc::clone(&world)) {
            log.append(world.partition(draft.key), draft);
        }
        let reference = Reference::of(&world, &log);
        Self {
            world: Storefront::clone(&world),
            log,
            reference,
        }
    }

    /// Writes what a processor without fault would leave behind.
    fn write(&self, file: &Connection) -> rusqlite::Result<()> {
        file.execute_batch("BEGIN")?;
        self.write_records(file)?;
        self.write_documents(file)?;
        for (product, totals) in &self.reference.products {
            for (field, value) in [
                ("views", totals.views),
                ("revenueCents", totals.revenue_cents),
            ] {
                let id = format!("product-{product}");
                let row = rusqlite::params!["products", id, field, value];
                file.execute("INSERT INTO counters VALUES (?, ?, ?, ?)", row)?;
            }
        }
        for member in &self.reference.members {
            let row = rusqlite::params![
                member.set_name(),
                storefront::key_name(member.key).into_bytes()
            ];
            file.execute("INSERT INTO members VALUES (?, ?)", row)?;
        }
        file.execute(
            "INSERT INTO redelivered VALUES ('index', 7), ('visitors', 3)",
            [],
        )?;
        file.execute_batch("COMMIT")
    }

    fn write_records(&self, file: &Connection) -> rusqlite::Result<()> {
        for (partition, offset, draft) in self.log.iter() {
            let index = storefront::index_name(self.world.attributes(draft.number).timestamp_ms);
            let id = self.world.id(draft.number);
            let row = rusqlite::params![index, id, partition, offset];
            if draft.kind.is_indexed() {
                let insert = "INSERT INTO events VALUES (NULL, ?, ?, '{}', 0, 't', ?, ?)";
                file.execute(insert, row)?;
            } else if !draft.kind.is_dead_letter() {
                file.execute("INSERT INTO duplicates VALUES (?, ?, 0, 't', ?, ?)", row)?;
            }
        }
        Ok(())
    }

    fn write_documents(&self, file: &Connection) -> rusqlite::Result<()> {
        let insert = "INSERT INTO documents VALUES (?, ?, ?, '[]')";
        for (key, visit) in (0..).zip(&self.reference.visits) {
            if let Some(visit) = visit {
                let body = visit.document(&self.world).to_string();
                file.execute(insert, ("visits", storefront::key_name(key), body))?;
            }
        }
        for (key, customer) in (0..).zip(&self.reference.customers) {
            if let Some(customer) = customer {
                let body = customer.document(key).to_string();
                file.execute(insert, ("customers", storefront::key_name(key), body))?;
            }
        }
        Ok(())
    }

    /// Audits the file after `tampering`.
    fn audit(&self, tampering: &str) -> Findings {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sink.db");
        let file = Connection::open(&path).unwrap();
        file.execute_batch(TABLES).unwrap();
        self.write(&file).unwrap();
        let before = file.total_changes();
        file.execute_batch(tampering).unwrap();
        assert_eq!(
            file.total_changes() > before,
            !tampering.is_empty(),
            "{tampering}"
        );
        drop(file);
        let mut audit = Audit::new(&self.world, &self.log, &self.reference);
        read(&path, &mut audit).unwrap();
        for (partition, offset, draft) in self.log.iter() {
            if draft.kind.is_dead_letter() {
                audit.dead_letter(partition, offset);
            }
        }
        audit.finish()
    }
}

#[test]
fn an_untouched_file_has_no_findings() {
    let run = Run::new();
    let findings = run.audit("");
    assert_eq!(findings.examples, Vec::<String>::new());
    let expected = Findings {
        duplicates: run.reference.duplicates,
        dead_lettered: run.reference.dead_letters,
        repeated: 7,
        ..Findings::default()
    };
    assert_eq!(findings, expected);
    assert!(findings.duplicates > 0 && findings.dead_lettered > 0);
}

/// Lost records, keys out of order, mismatching rows.
type Damage = (u64, u64, u64);

/// One row of each kind, damaged in each way.
const TAMPERINGS: &[(&str, Damage)] = &[
    ("DELETE FROM events WHERE seq = 100", (1, 0, 0)),
    (
        "UPDATE events SET offset = offset + 1000000 WHERE seq = 100",
        (1, 0, 1),
    ),
    ("UPDATE events SET partition = 9 WHERE seq = 100", (1, 0, 1)),
    ("UPDATE events SET id = 'other' WHERE seq = 100", (1, 0, 1)),
    (
        "UPDATE events SET idx = 'events-1999-01-01' WHERE seq = 100",
        (1, 0, 1),
    ),
    (
        "UPDATE OR REPLACE events SET partition = d.partition, offset = d.offset, id = d.id,
           idx = d.idx FROM (SELECT * FROM duplicates LIMIT 1) d WHERE events.id = d.id",
        (1, 0, 1),
    ),
    (
        "DELETE FROM duplicates WHERE id = (SELECT min(id) FROM duplicates)",
        (0, 0, 1),
    ),
    (
        "UPDATE duplicates SET offset = 1000000 WHERE id = (SELECT min(id) FROM duplicates)",
        (0, 0, 2),
    ),
    (
        "DELETE FROM documents WHERE collection = 'visits' AND id = 'customer-3'",
        (0, 0, 1),
    ),
    (
        "DELETE FROM documents WHERE collection = 'customers' AND id = 'customer-3'",
        (0, 0, 1),
    ),
    (
        "INSERT INTO documents VALUES ('visits', 'customer-60', '{}', '[]')",
        (0, 0, 1),
    ),
    (
        "INSERT INTO documents VALUES ('other', 'customer-3', '{}', '[]')",
        (0, 0, 1),
    ),
    (
        "UPDATE documents SET body = json_set(body, '$.events', json_extract(body, '$.events') * 2)
           WHERE collection = 'visits' AND id = 'customer-0'",
        (0, 0, 1),
    ),
    (
        "UPDATE documents SET body = json_set(body, '$.lastSequence', 1)
           WHERE collection = 'visits' AND id = 'customer-0'",
        (0, 0, 1),
    ),
    (
        "UPDATE documents SET body = json_set(body, '$.more', 1)
           WHERE collection = 'visits' AND id = 'customer-0'",
        (0, 0, 1),
    ),
    (
        "UPDATE documents SET body = json_set(body, '$.spentCents', 1)
           WHERE collection = 'customers' AND id = 'customer-0'",
        (0, 0, 1),
    ),
    (
        "UPDATE documents SET body = 'x' WHERE id = 'customer-0'",
        (0, 0, 2),
    ),
    (
        "UPDATE counters SET value = value + 1 WHERE id = 'product-7' AND field = 'views'",
        (0, 0, 1),
    ),
    (
        "UPDATE counters SET value = 2 * value WHERE field = 'revenueCents' AND value =
        (SELECT max(value) FROM counters)",
        (0, 0, 1),
    ),
    (
        "DELETE FROM counters WHERE id = 'product-7' AND field = 'views'",
        (0, 0, 1),
    ),
    (
        "INSERT INTO counters VALUES ('products', 'product-1000', 'views', 1)",
        (0, 0, 1),
    ),
    (
        "INSERT INTO counters VALUES ('products', 'product-7', 'clicks', 1)",
        (0, 0, 1),
    ),
    (
        "DELETE FROM members WHERE (set_name, member) IN (SELECT set_name, member FROM members LIMIT 1)",
        (0, 0, 1),
    ),
    (
        "INSERT INTO members VALUES ('shop-3:1999-W01', CAST('customer-1' AS BLOB))",
        (0, 0, 1),
    ),
];

#[test]
fn each_way_of_tampering_is_found() {
    let run = Run::new();
    for (tampering, damage) in TAMPERINGS {
        let findings = run.audit(tampering);
        let found = (findings.lost, findings.out_of_order, findings.mismatches);
        assert_eq!(found, *damage, "{tampering}: {:?}", findings.examples);
        assert!(!findings.examples.is_empty(), "{tampering}");
    }
}

/// The first two events of the most frequent key, by offset.
fn neighbours(run: &Run) -> [String; 2] {
    let events = run
        .log
        .iter()
        .filter(|(_, _, d)| d.key == 0 && d.sequence > 0);
    let mut ids = events
        .filter(|(_, _, d)| d.kind.is_indexed())
        .map(|(_, _, d)| run.world.id(d.number));
    [ids.next().unwrap(), ids.next().unwrap()]
}

#[test]
fn a_swapped_order_is_found() {
    let run = Run::new();
    let [first, second] = neighbours(&run);
    let swap = format!(
        "UPDATE events SET seq = -1 WHERE id = '{first}';
         UPDATE events SET seq = (SELECT max(seq) + 1 FROM events) WHERE id = '{first}';
         UPDATE events SET seq = -2 WHERE id = '{second}';"
    );
    let findings = run.audit(&swap);
    assert_eq!(
        (findings.lost, findings.out_of_order, findings.mismatches),
        (0, 1, 0)
    );
}

#[test]
fn a_missing_and_a_wrong_dead_letter_are_found() {
    let run = Run::new();
    let mut audit = Audit::new(&run.world, &run.log, &run.reference);
    let poison: Vec<_> = run
        .log
        .iter()
        .filter(|(_, _, d)| d.kind.is_dead_letter())
        .collect();
    let sound = run
        .log
        .iter()
        .find(|(_, _, d)| !d.kind.is_dead_letter())
        .unwrap();
    for (partition, offset, _) in &poison[1..] {
        audit.dead_letter(*partition, *offset);
        audit.dead_letter(*partition, *offset);
    }
    audit.dead_letter(sound.0, sound.1);
    audit.dead_letter(99, 0);
    let findings = audit.finish();
    assert_eq!(findings.dead_lettered, poison.len() as u64 - 1);
    let examples = findings.examples.join(", ");
    assert!(examples.contains("dead letter 99/0"), "{examples}");
    let lost_events = run
        .log
        .iter()
        .filter(|(_, _, d)| d.kind == Kind::Event)
        .count() as u64;
    let lost_null_keys = run
        .log
        .iter()
        .filter(|(_, _, d)| d.kind == Kind::NullKey)
        .count() as u64;
    let lost_poison = u64::from(poison[0].2.kind != Kind::NullKey);
    assert_eq!(findings.lost, lost_events + lost_null_keys + lost_poison);
}

#[test]
fn a_file_that_is_not_there_is_an_error() {
    let run = Run::new();
    let mut audit = Audit::new(&run.world, &run.log, &run.reference);
    let error = read(Path::new("/nonexistent/sink.db"), &mut audit).unwrap_err();
    assert!(
        error.to_string().contains("/nonexistent/sink.db"),
        "{error}"
    );
}
