#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use lua::server::{TestCluster, TestRedis};

use super::*;

async fn judged(access: &Access) -> Vec<Found> {
    judge_redis(access, &facts::gather(access, Duration::from_secs(5)).await.unwrap())
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
    assert!(found[0].weight == Weight::Never && found[0].fix.contains("cluster:127.0.0.1"), "{found:?}");

    for n in 0..cluster.size() {
        cluster.ask::<String>(n, &["CLUSTER", "DELSLOTS", "7"]).unwrap();
    }
    let found = judged(&access).await;
    assert!(found[0].weight == Weight::Never && found[0].why.contains("1 slots"), "{found:?}");

    let master = cluster.master_of(16_000).unwrap();
    let dead = name(master);
    cluster.kill(master).unwrap();
    let found = judged(&access).await;
    assert!(found.iter().any(|one| one.weight == Weight::Remark && one.what == dead), "{found:?}");
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
        let failure = redis_facts(&access).await.unwrap_err().to_string();
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
