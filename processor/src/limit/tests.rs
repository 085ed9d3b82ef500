//! Fixture trees of v1, v2, hybrid, nested and unlimited machines.
//! Layer: test

use std::{fs, path::Path};

use penstock_sizing::Bytes;
use tempfile::TempDir;

use super::*;

const MIB: u64 = 1 << 20;
const V1_MOUNT: &str =
    "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory\n";
const V2_MOUNT: &str = "41 31 0:38 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw\n";

struct Tree(TempDir);

impl Tree {
    fn new(groups: &str, mounts: &str) -> Self {
        let tree = Self(TempDir::new().expect("a temporary directory"));
        tree.file("proc/self/cgroup", groups);
        tree.file("proc/self/mountinfo", mounts);
        tree.file("proc/self/status", "Name:\tx\nVmRSS:\t    7168 kB\n");
        tree
    }

    fn file(&self, path: &str, text: &str) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().expect("a file")).expect("directories");
        fs::write(path, text).expect("a file");
    }

    fn v1(self, group: &str, limit: u64) -> Self {
        let group = Path::new("sys/fs/cgroup/memory").join(group);
        let name = |file: &str| group.join(file).display().to_string();
        self.file(&name("memory.limit_in_bytes"), &format!("{limit}\n"));
        self.file(&name("memory.usage_in_bytes"), &format!("{}\n", 100 * MIB));
        let stat = format!("inactive_file 1\ntotal_inactive_file {}\n", 30 * MIB);
        self.file(&name("memory.stat"), &stat);
        self.file(
            &name("memory.oom_control"),
            "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
        );
        self
    }

    fn v2(self, group: &str, limit: &str) -> Self {
        let group = Path::new("sys/fs/cgroup").join(group);
        let name = |file: &str| group.join(file).display().to_string();
        self.file(&name("memory.max"), &format!("{limit}\n"));
        self.file(&name("memory.current"), &format!("{}\n", 90 * MIB));
        self.file(
            &name("memory.stat"),
            &format!("anon 5\ninactive_file {}\n", 40 * MIB),
        );
        self.file(
            &name("memory.events"),
            "low 0\nmax 9\noom 4\noom_kill 3\noom_group_kill 0\n",
        );
        self
    }

    fn group(&self) -> MemoryGroup {
        MemoryGroup::find(self.0.path()).expect("both files are there")
    }

    fn read(&self) -> Reading {
        self.group().read().expect("a complete tree")
    }
}

fn reading(limit: u64, working_set: u64, oom_kills: u64) -> Reading {
    Reading {
        limit: Some(Bytes::mib(limit)),
        working_set: Bytes::mib(working_set),
        oom_kills,
    }
}

const NO_LIMIT: Reading = Reading {
    limit: None,
    working_set: Bytes::mib(7),
    oom_kills: 0,
};

#[test]
fn v2_reads_its_own_group() {
    let tree = Tree::new("0::/pod/app\n", V2_MOUNT).v2("pod/app", &(256 * MIB).to_string());
    assert_eq!(tree.read(), reading(256, 50, 3));
}

#[test]
fn v1_reads_its_own_group() {
    let groups = "9:name=systemd:/\n4:cpu,memory:/pod\n1:cpuset:/other\n";
    let tree = Tree::new(groups, V1_MOUNT).v1("pod", 128 * MIB);
    assert_eq!(tree.read(), reading(128, 70, 2));
}

#[test]
fn a_hybrid_machine_is_read_where_its_memory_controller_is() {
    let unified = "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
    let groups = "4:memory:/pod\n0::/elsewhere\n";
    let tree = Tree::new(groups, &format!("{unified}{V1_MOUNT}"))
        .v1("pod", 128 * MIB)
        .v2("unified/elsewhere", "1048576");
    assert_eq!(tree.group().version(), Some(Version::V1));
    assert_eq!(tree.read().limit, Some(Bytes::mib(128)));
    // The other hybrid: v1 without memory, which is in the unified hierarchy.
    let tree = Tree::new("4:cpu:/pod\n0::/pod\n", &format!("{V1_MOUNT}{V2_MOUNT}"))
        .v2("pod", &(64 * MIB).to_string());
    assert_eq!(tree.group().version(), Some(Version::V2));
    assert_eq!(tree.read(), reading(64, 50, 3));
}

#[test]
fn the_smallest_limit_from_the_own_group_to_the_root_binds() {
    let tree = Tree::new("0::/pod/app/inner\n", V2_MOUNT)
        .v2("pod", &(512 * MIB).to_string())
        .v2("pod/app", &(256 * MIB).to_string())
        .v2("pod/app/inner", "max");
    tree.file(
        "sys/fs/cgroup/pod/app/memory.current",
        &(200 * MIB).to_string(),
    );
    assert_eq!(tree.read(), reading(256, 160, 3));
}

#[test]
fn the_innermost_of_equal_limits_is_read() {
    let tree = Tree::new("4:memory:/pod/app\n", V1_MOUNT)
        .v1("pod", 256 * MIB)
        .v1("pod/app", 256 * MIB);
    tree.file(
        "sys/fs/cgroup/memory/pod/app/memory.usage_in_bytes",
        &(50 * MIB).to_string(),
    );
    assert_eq!(tree.read(), reading(256, 20, 2));
}

#[test]
fn no_limit_has_two_spellings_and_counts_this_process_alone() {
    let tree = Tree::new("0::/pod\n", V2_MOUNT).v2("pod", "max");
    assert_eq!(tree.read(), NO_LIMIT);
    for unlimited in [9_223_372_036_854_771_712, 9_223_372_036_854_710_272] {
        let tree = Tree::new("4:memory:/pod\n", V1_MOUNT)
            .v1("pod", unlimited)
            .v1("", unlimited);
        assert_eq!(tree.read(), NO_LIMIT);
    }
}

#[test]
fn no_memory_controller_is_no_limit() {
    let tree = Tree::new("1:cpu:/\n", "22 1 0:5 / / rw - ext4 /dev/root rw\n");
    assert_eq!(tree.group().version(), None);
    assert_eq!(tree.read(), NO_LIMIT);
}

#[test]
fn a_mount_that_shows_a_part_of_the_hierarchy() {
    let mount = |group: &str| {
        format!("35 31 0:32 {group} /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n")
    };
    // Without a namespace the path repeats the mounted group.
    let tree = Tree::new("4:memory:/docker/abc\n", &mount("/docker/abc")).v1("", 128 * MIB);
    assert_eq!(tree.read().limit, Some(Bytes::mib(128)));
    let tree = Tree::new("4:memory:/docker/abc/in\n", &mount("/docker/abc")).v1("in", 64 * MIB);
    assert_eq!(tree.read().limit, Some(Bytes::mib(64)));
    // Outside the namespace's root the kernel climbs.
    let tree = Tree::new("4:memory:/../other\n", &mount("/")).v1("", 32 * MIB);
    assert_eq!(tree.read().limit, Some(Bytes::mib(32)));
}

#[test]
fn a_mount_point_with_escapes_is_found() {
    let mount = "41 31 0:38 / /sys/fs/my\\040groups rw - cgroup2 cgroup2 rw\n";
    let tree = Tree::new("0::/\n", mount);
    for (file, text) in [
        ("memory.max", "1048576"),
        ("memory.current", "4096"),
        ("memory.stat", "inactive_file 0"),
        ("memory.events", "oom_kill 0"),
    ] {
        tree.file(&format!("sys/fs/my groups/{file}"), text);
    }
    assert_eq!(tree.read().limit, Some(Bytes::MIB));
}

#[test]
fn a_changed_limit_is_seen_by_the_next_read() {
    let tree = Tree::new("0::/pod\n", V2_MOUNT).v2("pod", &(256 * MIB).to_string());
    let group = tree.group();
    assert_eq!(group.read().expect("complete").limit, Some(Bytes::mib(256)));
    tree.file("sys/fs/cgroup/pod/memory.max", &(128 * MIB).to_string());
    assert_eq!(group.read().expect("complete").limit, Some(Bytes::mib(128)));
}

#[test]
fn faults_name_the_file() {
    let tree = Tree::new("0::/pod\n", V2_MOUNT).v2("pod", "lots");
    let error = tree.group().read().expect_err("not a number").to_string();
    assert!(
        error.ends_with("memory.max holds \"lots\", expected a number of bytes or max"),
        "{error}"
    );
    let tree = Tree::new("0::/pod\n", V2_MOUNT).v2("pod", "1048576");
    tree.file("sys/fs/cgroup/pod/memory.events", "oom 4\n");
    assert!(
        tree.group()
            .read()
            .expect_err("no oom_kill")
            .to_string()
            .contains("memory.events")
    );
    let empty = TempDir::new().expect("a temporary directory");
    let error = MemoryGroup::find(empty.path())
        .expect_err("nothing there")
        .to_string();
    assert!(error.ends_with("proc/self/cgroup"), "{error}");
}

#[test]
fn this_process_is_found_on_this_machine() {
    let reading = MemoryGroup::find(Path::new("/"))
        .expect("Linux")
        .read()
        .expect("readable");
    assert!(reading.working_set > Bytes::ZERO);
}

#[test]
fn settings_and_kernel_are_compared() {
    let settings = Bytes::mib(256);
    let table = [
        (None, 256, "no memory limit enforced; planning with 256Mi"),
        (
            Some(Bytes::mib(256)),
            256,
            "memory limit 256Mi as in the settings",
        ),
        (
            Some(Bytes::mib(128)),
            128,
            "memory limit 128Mi enforced, smaller than 256Mi",
        ),
        (
            Some(Bytes::mib(512)),
            512,
            "memory limit 512Mi enforced, larger than 256Mi",
        ),
    ];
    for (enforced, limit, text) in table {
        let agreement = Agreement::of(settings, enforced);
        assert_eq!(agreement.limit(), Bytes::mib(limit));
        assert!(agreement.to_string().starts_with(text), "{agreement}");
    }
    let rounded = Bytes(1_000_000_000 / 4096 * 4096);
    assert_eq!(
        Agreement::of(Bytes(1_000_000_000), Some(rounded)),
        Agreement::Same(rounded)
    );
}
