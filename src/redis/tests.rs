#![allow(clippy::unwrap_used)]

use super::*;
use crate::data::Layout;

/// Level-triggered wait, bounded.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "{what} did not come true in time");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn plan(folder: &tempfile::TempDir) -> Plan {
    Plan::new(&Layout::new(folder.path()), "redis-server").unwrap()
}

#[tokio::test]
async fn a_server_that_is_killed_comes_back_and_stops_when_told() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(&folder);
    let server = Server::start(plan.clone()).await.unwrap();
    let first = ask::process_id(&plan.socket).unwrap();
    let (stop, stopped) = watch::channel(false);
    let watching = tokio::spawn(server.watch_over(stopped));
    kill_process(pid(first).unwrap(), Signal::KILL).unwrap();
    until("a new server", || ask::process_id(&plan.socket).is_ok_and(|now| now != first)).await;
    stop.send(true).unwrap();
    watching.await.unwrap();
    assert!(ask::dir(&plan.socket).is_err() && !plan.socket.exists() && !plan.pid.exists());
}

#[tokio::test]
async fn one_left_behind_is_replaced_even_when_it_is_frozen() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(&folder);
    plan.write().unwrap();
    // Started as by a program that was killed: nobody's child to tell it.
    let orphan = Plan { setpriv: None, ..plan.clone() };
    for frozen in [false, true] {
        let mut left = spawn(&orphan).unwrap();
        until("the first server", || ask::answers(&plan.socket) && plan.pid.exists()).await;
        let old = left.id().unwrap();
        if frozen {
            kill_process(pid(old).unwrap(), Signal::STOP).unwrap();
        }
        let (server, _) = tokio::join!(Server::start(plan.clone()), left.wait());
        assert_ne!(ask::process_id(&plan.socket).unwrap(), old);
        let (stop, stopped) = watch::channel(false);
        drop(stop);
        server.unwrap().watch_over(stopped).await;
    }
}
