//! `holdfast serve` on a Redis Cluster.

use std::path::Path;
use std::process::Command;

use lua::server::TestCluster;

use crate::http::Client;
use crate::process::{beside, holdfast, refused, run, until};
use crate::serve::{FREE, Serving, apply};

const WORD: &str = "open-sesame";

fn serve(folder: &Path, redis: &str, password: &str) -> Command {
    let mut command = holdfast();
    command.args(["serve", "--json", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--data"]);
    command.arg(folder.join("d")).env("HOLDFAST_REDIS", redis).env("HOLDFAST_MODE", "production");
    command.env("HOLDFAST_REDIS_PASSWORD", password);
    command
}

#[test]
fn serve_books_on_a_cluster_before_and_after_the_lane_s_master_dies() {
    let folder = tempfile::tempdir().unwrap();
    let mut cluster = TestCluster::start_with(&[("requirepass", WORD), ("masterauth", WORD)]).unwrap();
    let redis = cluster.access().to_string();
    let serving = Serving::start(serve(folder.path(), &redis, WORD), &folder.path().join("log"));
    assert_eq!(serving.banner["redis"], redis);
    assert_eq!(apply(folder.path(), FREE).0, 0);
    assert_eq!(beside(&folder.path().join("d"), &["sale", "open", "free"]).0, 0);

    let public = serving.banner["public"].as_str().unwrap().to_owned();
    let mut client = Client::default();
    let mut post = |path: &str, visitor: &str, body: &str| {
        let headers = [("holdfast-visitor", visitor), ("idempotency-key", "k")];
        client.call(&public, "POST", path, if visitor.is_empty() { &[] } else { &headers }, Some(body)).unwrap()
    };
    for round in 0..2 {
        let visitor = post("/v1/visitors", "", "{}").text("visitor");
        let mut hold = String::new();
        until("a hold", || {
            let held = post("/v1/sales/free/holds", &visitor, r#"{"lines":[{"item":"seat","quantity":1}]}"#);
            assert!([200, 201, 503].contains(&held.status), "{}", held.body);
            hold = if held.status == 503 { String::new() } else { held.text("hold_id") };
            !hold.is_empty()
        });
        until("a booking", || {
            let confirmed = post(&format!("/v1/holds/{hold}/confirm"), &visitor, "{}");
            assert!([201, 202, 503].contains(&confirmed.status), "{}", confirmed.body);
            confirmed.status == 201
        });
        if round == 0 {
            let slot = TestCluster::slot_of("{free:0}");
            let master = cluster.master_of(slot).unwrap();
            // What is lost in a failover is another test's: here the replica has everything.
            cluster.settled().unwrap();
            cluster.kill(master).unwrap();
            cluster.elected(slot, master).unwrap();
        }
    }
    until("the audit passes", || {
        let mut audit = holdfast();
        audit.args(["audit", "free", "--data"]).arg(folder.path().join("d"));
        audit.env("HOLDFAST_REDIS", &redis).env("HOLDFAST_REDIS_PASSWORD", WORD);
        let (code, out, _) = run(&mut audit);
        code == 0 && !out.contains("left out")
    });
}

#[test]
fn what_is_wrong_with_a_cluster_is_one_line_with_the_fix() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = TestCluster::start_with(&[("requirepass", WORD), ("masterauth", WORD)]).unwrap();
    let redis = cluster.access().to_string();
    let answer = run(&mut serve(folder.path(), &redis, "wrong-word"));
    assert!(!answer.2.contains("wrong-word"), "{}", answer.2);
    refused(answer, 2, &["redis cluster:", "refuses user and password", "HOLDFAST_REDIS_PASSWORD"]);

    let replica = cluster.replica_of(cluster.master_of(0).unwrap()).unwrap();
    cluster.ask::<String>(replica, &["CONFIG", "SET", "appendonly", "no"]).unwrap();
    let name = format!("redis {}", cluster.address(replica).unwrap());
    refused(run(&mut serve(folder.path(), &redis, WORD)), 2, &[&name, "appendonly is no", "set appendonly yes"]);
    let mut doctor = holdfast();
    doctor.args(["doctor", "--data"]).arg(folder.path().join("d"));
    doctor.env("HOLDFAST_REDIS", &redis).env("HOLDFAST_REDIS_PASSWORD", WORD);
    let (code, out, err) = run(&mut doctor);
    assert!(code == 3 && out.contains(&format!("warning: redis: {name}: appendonly is no")), "{out}{err}");
    cluster.ask::<String>(replica, &["CONFIG", "SET", "appendonly", "yes"]).unwrap();

    for n in 0..cluster.size() {
        cluster.ask::<String>(n, &["CLUSTER", "DELSLOTS", "7"]).unwrap();
    }
    let impatient = |redis: &str| {
        let mut command = serve(folder.path(), redis, WORD);
        command.env("HOLDFAST_START_WAIT", "2s");
        run(&mut command)
    };
    refused(impatient(&redis), 2, &["1 slots of the cluster belong to no master", "--cluster fix"]);

    let alone = cluster.address(0).unwrap().to_string();
    refused(run(&mut serve(folder.path(), &alone, WORD)), 2, &["it is part of a cluster", "cluster:127.0.0.1"]);
    refused(impatient("cluster:127.0.0.1:1"), 1, &["redis cluster:127.0.0.1:1", "does not answer", "start it"]);
}
