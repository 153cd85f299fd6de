#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use lua::server::{TestCluster, TestRedis};

use super::*;

async fn judged(access: &Access) -> Vec<Found> {
    judge(access, &facts::gather(access, Duration::from_secs(5)).await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_is_judged_by_every_node_and_by_its_slots() {
    let mut cluster = TestCluster::start().unwrap();
    let access = cluster.access();
    assert_eq!(judged(&access).await, []);

    let name = |n| format!("redis {}", cluster.address(n).unwrap());
    for (n, setting, value) in [(1, "appendonly", "no"), (5, "maxmemory-policy", "allkeys-lru")] {
        cluster.ask::<String>(n, &["CONFIG", "SET", setting, value]).unwrap();
        let found = judged(&access).await;
        assert!(matches!(&found[..], [one] if one.weight == Weight::Unsafe && one.what == name(n)), "{found:?}");
        assert!(found[0].why.contains(setting) && found[0].fix.contains(setting), "{found:?}");
        cluster.ask::<String>(n, &["CONFIG", "SET", setting, if n == 1 { "yes" } else { "noeviction" }]).unwrap();
    }
    cluster.ask::<String>(2, &["CONFIG", "SET", "cluster-require-full-coverage", "yes"]).unwrap();
    let found = judged(&access).await;
    assert!(matches!(&found[..], [one] if one.weight == Weight::Remark && one.what == name(2)), "{found:?}");
    cluster.ask::<String>(2, &["CONFIG", "SET", "cluster-require-full-coverage", "no"]).unwrap();

    let alone: Access = Target::Tcp("127.0.0.1".to_owned(), cluster.address(0).unwrap().port).into();
    let found = judged(&alone).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].weight == Weight::Never && found[0].fix.contains("cluster:127.0.0.1"), "{found:?}");

    for n in 0..cluster.size() {
        cluster.ask::<String>(n, &["CLUSTER", "DELSLOTS", "7"]).unwrap();
    }
    let found = judged(&access).await;
    assert!(found[0].weight == Weight::Never && found[0].why.contains("1 slots"), "{found:?}");
    let facts = facts::gather(&access, Duration::from_secs(5)).await;
    assert!(matches!(ready(&access, facts), Err(Missing::Yet(_))), "a cluster that is being made is waited for");

    let master = cluster.master_of(16_000).unwrap();
    let dead = name(master);
    cluster.kill(master).unwrap();
    let found = judged(&access).await;
    assert!(found.iter().any(|one| one.weight == Weight::Remark && one.what == dead), "{found:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_does_not_follow_leaves_its_master_alone() {
    let mut cluster = TestCluster::start().unwrap();
    let (access, master) = (cluster.access(), cluster.master_of(0).unwrap());
    let replica = cluster.replica_of(master).unwrap();
    let name = |n| format!("redis {}", cluster.address(n).unwrap());
    let (alone, lost) = (name(master), name(replica));
    cluster.cut_off(replica).unwrap();
    let says = |found: &[Found], what: &str, why: &str| {
        found.iter().any(|one| one.weight == Weight::Remark && one.what == what && one.why.contains(why))
    };
    let found = judged(&access).await;
    assert!(says(&found, &lost, "lost its master") && says(&found, &alone, "no replica follows"), "{found:?}");
    cluster.kill(replica).unwrap();
    let found = judged(&access).await;
    assert!(says(&found, &lost, "does not answer") && says(&found, &alone, "no replica follows"), "{found:?}");
}

/// A master with nothing to say against it.
fn good() -> Server {
    let mut server = Server::default();
    (server.name, server.version) = ("10.0.0.1:7001".to_owned(), "7.0.15".to_owned());
    (server.master, server.clustered, server.replicas) = (true, true, 1);
    (server.keeps_file, server.file_written) = (true, true);
    server.eviction = "noeviction".to_owned();
    server
}

fn of(servers: Vec<Server>) -> Facts {
    Facts { servers, ..Facts::default() }
}

fn cluster() -> Access {
    "cluster:10.0.0.1:7001".parse::<Target>().unwrap().into()
}

/// The one thing found about a server that was good before.
fn one(spoil: impl FnOnce(&mut Server)) -> Found {
    let mut server = good();
    spoil(&mut server);
    let mut found = judge(&cluster(), &of(vec![server]));
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

#[test]
fn nothing_is_found_about_a_good_master_and_its_replica() {
    let mut replica = good();
    (replica.master, replica.follows, replica.replicas) = (false, true, 0);
    assert_eq!(judge(&cluster(), &of(vec![good(), replica])), []);
}

#[test]
fn what_forgets_is_unsafe_and_its_fix_is_a_command_for_this_server() {
    for (found, command) in [
        (one(|server| server.keeps_file = false), "redis-cli -h 10.0.0.1 -p 7001 config set appendonly yes"),
        (one(|server| server.eviction = "allkeys-lru".to_owned()), "config set maxmemory-policy noeviction"),
        (one(|server| server.file_written = false), "free some space"),
    ] {
        assert!(found.weight == Weight::Unsafe && found.fix.contains(command), "{found:?}");
    }
    let found = one(|server| {
        (server.name, server.clustered) = ("unix:/run/r.sock".to_owned(), true);
        server.keeps_file = false;
    });
    assert!(found.fix.starts_with("redis-cli -s /run/r.sock config set"), "{found:?}");
}

#[test]
fn an_old_version_can_never_work() {
    let found = one(|server| server.version = "6.2.14".to_owned());
    assert!(found.weight == Weight::Never && found.why.contains("6.2.14"), "{found:?}");
}

#[test]
fn a_clock_is_wrong_beyond_what_passes_allow_for() {
    let skew = i64::try_from(PASS_SKEW_MS).unwrap();
    for (ms, side) in [(skew + 1, "ahead of"), (-skew - 1, "behind")] {
        let found = one(|server| server.ahead_ms = ms);
        assert!(
            found.weight == Weight::Remark && found.why.contains(side) && found.fix.contains("chrony"),
            "{found:?}"
        );
    }
    let mut server = good();
    server.ahead_ms = -skew;
    assert_eq!(judge(&cluster(), &of(vec![server])), []);
}

#[test]
fn a_server_that_is_nearly_full_is_worth_a_word_and_one_without_a_bound_is_not() {
    let found = one(|server| (server.memory, server.most_memory) = (81 << 20, 100 << 20));
    assert!(found.weight == Weight::Remark && found.why.contains("81 of the 100 MiB"), "{found:?}");
    for (memory, most) in [(80, 100), (1 << 40, 0)] {
        let mut server = good();
        (server.memory, server.most_memory) = (memory, most);
        assert_eq!(judge(&cluster(), &of(vec![server])), []);
    }
}

#[test]
fn settings_that_are_kept_back_are_a_remark_because_info_tells_what_matters() {
    let found = one(|server| server.settings_refused = Some("NOPERM".to_owned()));
    assert!(found.weight == Weight::Remark && found.fix.contains("config|get"), "{found:?}");
}

#[test]
fn a_single_server_needs_no_replica_and_a_master_that_reads_its_files_is_waited_for() {
    let single: Access = "10.0.0.1:7001".parse::<Target>().unwrap().into();
    let mut server = good();
    (server.clustered, server.replicas) = (false, 0);
    assert_eq!(judge(&single, &of(vec![server.clone()])), []);
    server.loading = true;
    assert!(matches!(ready(&single, Ok(of(vec![server.clone()]))), Err(Missing::Yet(_))));
    server.master = false;
    assert!(ready(&single, Ok(of(vec![server]))).is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_credentials_a_single_server_named_as_a_cluster_and_nobody_are_told_apart() {
    let cluster = TestCluster::start_with(&[("requirepass", "sesame"), ("masterauth", "sesame")]).unwrap();
    assert_eq!(judged(&cluster.access()).await, []);
    let wrong = lua::Credentials { user: String::new(), password: "wrong".to_owned() };
    for credentials in [None, Some(wrong)] {
        let access = Access { credentials, ..cluster.access() };
        let error = facts::gather(&access, Duration::from_secs(5)).await.unwrap_err();
        assert!(matches!(error, NoFacts::Credentials { .. }), "{error}");
        let failure = ready(&access, Err(error)).unwrap_err();
        let Missing::Wrong(failure) = failure else { panic!("waited for") };
        let failure = failure.to_string();
        assert!(failure.contains("HOLDFAST_REDIS_PASSWORD") && !failure.contains("wrong"), "{failure}");
    }
    let single = TestRedis::start().unwrap();
    let port = cluster.free_port().unwrap();
    single.redis().raw(&[b"CONFIG", b"SET", b"port", port.to_string().as_bytes()]).await.unwrap();
    let named: Access = format!("cluster:127.0.0.1:{port}").parse::<Target>().unwrap().into();
    let error = facts::gather(&named, Duration::from_secs(5)).await.unwrap_err();
    assert!(matches!(error, NoFacts::NoCluster { .. }), "{error}");
    let nobody: Access = "cluster:127.0.0.1:1".parse::<Target>().unwrap().into();
    let error = facts::gather(&nobody, Duration::from_secs(5)).await.unwrap_err();
    assert!(matches!(error, NoFacts::Unreachable { .. }), "{error}");
}
