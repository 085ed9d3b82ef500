//! What a server and a network can do to us, and that none of it is the record's fault.
//! Layer: test

use std::{
    sync::{Arc, atomic::Ordering::SeqCst},
    time::{Duration, Instant},
};

use penstock_processor::sinks::{Reply, Sink, SinkError, redis::Redis};
use tokio::task::JoinSet;

use crate::{
    effects::{at, count, open, open_at, settings},
    proxy::{Answers, Proxy},
    server::{Server, far},
    target::Target,
};

fn unavailable(outcome: Result<Reply, SinkError>) -> String {
    match outcome {
        Err(SinkError::Unavailable { reason }) => reason,
        Err(SinkError::Elsewhere { sink, reason }) => format!("{sink}: {reason}"),
        other => unreachable!("an outage is not poison: {other:?}"),
    }
}

async fn add(sink: &Redis, offset: i64, deadline: Instant) -> Result<Reply, SinkError> {
    sink.submit(count(at(0, offset, 0), "p", &[("views", 1)]), deadline)
        .await
}

/// Until the operation succeeds: what it costs to recover is a failure or two, never more.
async fn recovers(sink: &Redis, offset: i64) -> Reply {
    for _ in 0..3 {
        if let Ok(reply) = add(sink, offset, far()).await {
            return reply;
        }
    }
    unreachable!("it did not recover")
}

/// The answer is late, cut short or nonsense: the effect is there, the connection is replaced, and
/// the repeat is known.
#[tokio::test]
async fn an_answer_that_does_not_come_back_whole_counts_once() {
    let Some(server) = Server::get().await else {
        return;
    };
    let (target, proxy) = (Target::new(), Proxy::start(&server.address).await);
    let sink = open_at(&server, proxy.address.clone(), Arc::clone(&target) as _);
    assert_eq!(
        add(&sink, 0, far()).await.expect("all is well"),
        Reply::Applied
    );
    for (offset, answers) in (1..).zip([Answers::Keep, Answers::Cut, Answers::Garble]) {
        proxy.set(answers);
        let soon = Instant::now() + Duration::from_millis(500);
        let reason = unavailable(add(&sink, offset, soon).await);
        proxy.set(Answers::Pass);
        assert_eq!(
            recovers(&sink, offset).await,
            Reply::Redelivered,
            "{answers:?}: {reason}"
        );
        assert_eq!(
            recovers(&sink, offset).await,
            Reply::Redelivered,
            "{answers:?}: {reason}"
        );
    }
    sink.flush(far()).await.expect("all is well");
    assert_eq!(target.documents()["products/p"]["views"], 4);
}

/// No cross-talk: answers of many operations at once, some given up, go to those who asked.
#[tokio::test]
async fn operations_that_are_given_up_leave_no_answer_to_others() {
    let Some(server) = Server::get().await else {
        return;
    };
    let target = Target::new();
    let sink = Arc::new(open(&server, Arc::clone(&target) as _));
    let mut tasks = JoinSet::new();
    for offset in 0..2_000_i64 {
        let sink = Arc::clone(&sink);
        tasks.spawn(async move {
            let given_up = async {
                if offset % 3 != 0 {
                    std::future::pending::<()>().await;
                }
                tokio::task::yield_now().await;
            };
            // A record whose future was dropped is asked again, as a parked key does.
            tokio::select! {
                reply = add(&sink, offset, far()) => reply.expect("counted"),
                () = given_up => add(&sink, offset, far()).await.expect("counted"),
            }
        });
    }
    while let Some(task) = tasks.join_next().await {
        let reply = task.expect("no panic");
        assert!(
            matches!(reply, Reply::Applied | Reply::Redelivered),
            "{reply:?}"
        );
    }
    sink.flush(far()).await.expect("all is well");
    assert_eq!(target.documents()["products/p"]["views"], 2_000);
}

#[tokio::test]
async fn scripts_are_loaded_once_in_a_servers_life_however_many_miss_them() {
    let Some(mut server) = Server::get().await else {
        return;
    };
    let target = Target::new();
    let sink = Arc::new(open(&server, Arc::clone(&target) as _));
    for round in 0..3_i64 {
        let mut tasks = JoinSet::new();
        for task in 0..200 {
            let sink = Arc::clone(&sink);
            tasks.spawn(async move { add(&sink, round * 200 + task, far()).await });
        }
        while let Some(task) = tasks.join_next().await {
            assert_eq!(task.expect("no panic").expect("counted"), Reply::Applied);
        }
        sink.flush(far()).await.expect("all is well");
        assert_eq!(
            sink.script_loads(),
            u64::try_from(round).expect("small") + 1
        );
        server.run("SCRIPT", &["FLUSH"]).await;
    }
    assert_eq!(target.documents()["products/p"]["views"], 600);
}

#[tokio::test]
async fn a_full_or_read_only_or_busy_server_is_waited_for() {
    let Some(mut server) = Server::get().await else {
        return;
    };
    let target = Target::new();
    let sink = open(&server, Arc::clone(&target) as _);
    assert_eq!(
        add(&sink, 0, far()).await.expect("all is well"),
        Reply::Applied
    );

    server.set("maxmemory", "1").await;
    let reason = unavailable(add(&sink, 1, far()).await);
    assert!(reason.contains("maxmemory"), "{reason}");
    server.set("maxmemory", "0").await;
    assert_eq!(recovers(&sink, 1).await, Reply::Applied);

    server.run("REPLICAOF", &["127.0.0.1", "1"]).await;
    let reason = unavailable(add(&sink, 2, far()).await);
    assert!(reason.contains("READONLY"), "{reason}");
    server.run("REPLICAOF", &["NO", "ONE"]).await;
    assert_eq!(recovers(&sink, 2).await, Reply::Applied);

    server.set("busy-reply-threshold", "1").await;
    let client = redis::Client::open(format!(
        "redis://{}:{}",
        server.address.host, server.address.port
    ));
    let mut other = client
        .expect("an address")
        .get_multiplexed_async_connection()
        .await
        .expect("up");
    let endless = tokio::spawn(async move {
        let mut endless = redis::cmd("EVAL");
        endless.arg("while true do end").arg(0);
        endless.exec_async(&mut other).await
    });
    let reason = loop {
        if let Err(SinkError::Unavailable { reason }) = add(&sink, 3, far()).await {
            break reason;
        }
    };
    assert!(reason.contains("BUSY"), "{reason}");
    server.run("SCRIPT", &["KILL"]).await;
    endless.await.expect("no panic").expect_err("killed");
    recovers(&sink, 3).await;
    sink.flush(far()).await.expect("all is well");
    assert_eq!(target.documents()["products/p"]["views"], 4);
}

#[tokio::test]
async fn a_server_that_may_evict_counters_is_refused() {
    let Some(mut server) = Server::get().await else {
        return;
    };
    server.set("maxmemory-policy", "allkeys-lru").await;
    server.set("maxmemory", "1gb").await;
    let sink = open(&server, Target::new());
    let reason = unavailable(add(&sink, 0, far()).await);
    assert!(
        reason.contains("allkeys-lru") && reason.contains("noeviction"),
        "{reason}"
    );
    let found = Redis::probe(&server.address).await.expect("it answers");
    let settings: Vec<_> = found
        .iter()
        .map(|weakness| weakness.setting.as_str())
        .collect();
    assert!(settings.contains(&"maxmemory-policy"), "{settings:?}");
    server.set("maxmemory-policy", "noeviction").await;
    assert_eq!(recovers(&sink, 0).await, Reply::Applied);
}

#[tokio::test]
async fn wrong_credentials_say_so_and_are_read_again() {
    let Some(mut server) = Server::get().await else {
        return;
    };
    server
        .run(
            "ACL",
            &["SETUSER", "penstock", "on", ">right", "~*", "+@all"],
        )
        .await;
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("username"), "penstock\n").expect("written");
    std::fs::write(folder.path().join("password"), "wrong\n").expect("written");
    let mut settings = settings(&server, Target::new());
    settings.server.credentials = Some(folder.path().to_owned());
    let address = settings.server.clone();
    let sink = Redis::open(settings);
    let reason = unavailable(add(&sink, 0, far()).await);
    assert!(
        reason.contains("password") && !reason.contains("wrong"),
        "{reason}"
    );
    Redis::probe(&address).await.expect_err("refused");
    std::fs::write(folder.path().join("password"), "right\n").expect("written");
    Redis::probe(&address).await.expect("let in");
    assert_eq!(recovers(&sink, 0).await, Reply::Applied);
    server.run("ACL", &["DELUSER", "penstock"]).await;
}

/// The document is looked up once, however many records wait for it; the target's outage is told
/// apart from the server's.
#[tokio::test]
async fn a_missing_counter_is_seeded_by_one_look_up() {
    let Some(server) = Server::get().await else {
        return;
    };
    let target = Target::gated();
    let sink = Arc::new(open(&server, Arc::clone(&target) as _));
    let mut tasks = JoinSet::new();
    for offset in 0..300 {
        let sink = Arc::clone(&sink);
        tasks.spawn(async move { add(&sink, offset, far()).await });
    }
    let deadline = far();
    while target.reads.load(SeqCst) == 0 {
        assert!(Instant::now() < deadline, "nobody looks up");
        tokio::task::yield_now().await;
    }
    target.down.store(true, SeqCst);
    target.gate.as_ref().expect("closed").add_permits(1);
    let first = tasks.join_next().await.expect("a task").expect("no panic");
    let reason = unavailable(first);
    assert!(reason.contains("store"), "{reason}");
    target.down.store(false, SeqCst);
    target.gate.as_ref().expect("closed").add_permits(300);
    while tasks.join_next().await.is_some() {}
    let before = target.reads.load(SeqCst);
    assert!(before < 300, "{before} look-ups of one document");
}

/// A server that lost its data goes on from the documents, and says so.
#[tokio::test]
async fn lost_data_is_noticed_and_counters_go_on_from_their_documents() {
    let Some(mut server) = Server::get().await else {
        return;
    };
    let target = Target::new();
    let sink = open(&server, Arc::clone(&target) as _);
    for offset in 0..10 {
        add(&sink, offset, far()).await.expect("counted");
    }
    sink.flush(far()).await.expect("all is well");
    assert_eq!((sink.trouble(), sink.incarnation()), (None, 0));
    server.run("FLUSHALL", &[]).await;
    let next = count(at(0, 10, 10), "p", &[("views", 1)]);
    assert_eq!(
        sink.submit(next, far()).await.expect("counted"),
        Reply::Applied
    );
    assert_eq!(sink.incarnation(), 1);
    let trouble = sink.trouble().expect("a person should know");
    assert!(trouble.contains("lost its data"), "{trouble}");
    let old = count(at(0, 9, 10), "p", &[("views", 1)]);
    assert_eq!(
        sink.submit(old, far()).await.expect("known"),
        Reply::Redelivered
    );
    sink.flush(far()).await.expect("all is well");
    assert_eq!(target.documents()["products/p"]["views"], 11);
}

/// The server came back with an older state: the document knows more, and is believed.
#[tokio::test]
async fn an_older_state_of_the_server_gives_way_to_the_document() {
    let Some(mut server) = Server::get().await else {
        return;
    };
    let target = Target::new();
    let sink = open(&server, Arc::clone(&target) as _);
    add(&sink, 0, far()).await.expect("counted");
    let key = server.keyspace.counter("store", "products:p");
    let dump: Vec<u8> = server.ask("DUMP", &[&key]).await;
    for offset in 1..5 {
        add(&sink, offset, far()).await.expect("counted");
    }
    sink.flush(far()).await.expect("all is well");
    server.restore(&key, &dump).await;
    add(&sink, 5, far())
        .await
        .expect("counted on the older state");
    sink.flush(far()).await.expect("the document is newer");
    assert_eq!(sink.incarnation(), 1, "it is noticed");
    add(&sink, 6, far()).await.expect("counted");
    sink.flush(far()).await.expect("all is well");
    assert_eq!(
        target.documents()["products/p"]["views"],
        6,
        "5 of the document and the last"
    );
}

#[tokio::test]
async fn marks_stay_while_the_target_is_down() {
    let Some(mut server) = Server::get().await else {
        return;
    };
    let target = Target::new();
    let sink = open(&server, Arc::clone(&target) as _);
    for offset in 0..30 {
        let effect = count(at(0, offset, 0), &format!("p{offset}"), &[("views", 1)]);
        sink.submit(effect, far()).await.expect("counted");
    }
    target.down.store(true, SeqCst);
    sink.flush(far()).await.expect_err("the target is down");
    let trouble = sink.trouble().expect("a person should know");
    assert!(trouble.contains("store"), "{trouble}");
    assert_eq!(
        server.expire_counters().await,
        0,
        "what is not flushed does not expire"
    );
    target.down.store(false, SeqCst);
    sink.flush(far()).await.expect("all is well");
    assert_eq!((sink.trouble(), target.documents().len()), (None, 30));
    let dirty = server.keyspace.dirty("store");
    assert_eq!(server.ask::<u64>("SCARD", &[&dirty]).await, 0);
    assert_eq!(server.expire_counters().await, 30);
}

/// At load, an operation is one command, and many travel in one write.
#[tokio::test]
async fn many_records_share_a_write_and_each_is_one_command() {
    let Some(mut server) = Server::get().await else {
        return;
    };
    let (target, proxy) = (Target::new(), Proxy::start(&server.address).await);
    let sink = Arc::new(open_at(
        &server,
        proxy.address.clone(),
        Arc::clone(&target) as _,
    ));
    let (tasks, each) = (64, 50);
    let mut running = JoinSet::new();
    for task in 0..tasks {
        let sink = Arc::clone(&sink);
        running.spawn(async move {
            for offset in 0..each {
                let effect = count(at(task, offset, 0), &format!("p{task}"), &[("views", 1)]);
                sink.submit(effect, far()).await.expect("counted");
            }
        });
    }
    while let Some(task) = running.join_next().await {
        task.expect("no panic");
    }
    let records = u64::try_from(i64::from(tasks) * each).expect("small");
    let commands = server.calls("evalsha").await + server.calls("eval").await;
    assert!(
        commands * 10 <= records * 11,
        "{commands} commands for {records} records"
    );
    let writes = proxy.writes();
    assert!(
        writes * 2 <= records,
        "{writes} writes for {records} records"
    );
}
