//! Hints on a real server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use domain::SaleId;
use lua::hints::{self, HintKind, Hints, Seen};
use lua::server::TestRedis;
use tokio::sync::watch::Receiver;
use tokio::time::{Instant, timeout};

/// Publishes until the receiver shows one more hint of this kind: a hint may be lost, the next one is not.
async fn arrives(server: &TestRedis, sale: &SaleId, kind: HintKind, receiver: &mut Receiver<Seen>) {
    let redis = server.redis();
    let count = |seen: &Seen| match kind {
        HintKind::Line => seen.line,
        HintKind::Acts => seen.acts,
        HintKind::Owner => seen.owner,
    };
    let deadline = Instant::now() + Duration::from_secs(20);
    let before = count(&receiver.borrow_and_update());
    while count(&receiver.borrow_and_update()) == before {
        assert!(Instant::now() < deadline, "no hint arrives");
        let _ = hints::publish(&redis, sale, kind).await;
        let _ = timeout(Duration::from_millis(50), receiver.changed()).await;
    }
}

/// Waits until a published hint is really received, not only the waking after a reconnect: a quiet time first.
async fn quiet(receiver: &mut Receiver<Seen>) {
    while timeout(Duration::from_millis(1_200), receiver.changed()).await.is_ok() {}
}

#[tokio::test]
async fn a_hint_arrives_and_arrives_again_after_a_kill_and_a_freeze() {
    let mut server = TestRedis::start().unwrap();
    let sale: SaleId = "test".parse().unwrap();
    let hints = Hints::listen(server.target());
    let mut receiver = hints.subscribe(&sale);
    for kind in [HintKind::Line, HintKind::Acts, HintKind::Owner] {
        arrives(&server, &sale, kind, &mut receiver).await;
    }
    server.kill().unwrap();
    server.restart().unwrap();
    arrives(&server, &sale, HintKind::Line, &mut receiver).await;
    quiet(&mut receiver).await;
    arrives(&server, &sale, HintKind::Line, &mut receiver).await;
    server.freeze().unwrap();
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    server.thaw().unwrap();
    quiet(&mut receiver).await;
    arrives(&server, &sale, HintKind::Acts, &mut receiver).await;
}

#[tokio::test]
async fn a_hint_wakes_only_its_own_sale() {
    let server = TestRedis::start().unwrap();
    let hints = Hints::listen(server.target());
    let (one, two): (SaleId, SaleId) = ("one".parse().unwrap(), "two".parse().unwrap());
    let (mut first, mut second) = (hints.subscribe(&one), hints.subscribe(&two));
    arrives(&server, &one, HintKind::Line, &mut first).await;
    quiet(&mut second).await;
    let before = second.borrow_and_update().line;
    arrives(&server, &one, HintKind::Line, &mut first).await;
    assert_eq!(second.borrow().line, before);
}

#[tokio::test]
async fn listening_begins_before_the_server_and_ends_with_the_last_handle() {
    let mut server = TestRedis::start().unwrap();
    server.kill().unwrap();
    let sale: SaleId = "test".parse().unwrap();
    let hints = Hints::listen(server.target());
    let mut receiver = hints.subscribe(&sale);
    server.restart().unwrap();
    arrives(&server, &sale, HintKind::Line, &mut receiver).await;
    let listeners = async || {
        let value = server.redis().raw(&[b"PUBSUB", b"NUMSUB", b"h1:hints"]).await.unwrap();
        redis::from_redis_value::<(String, u64)>(value).unwrap().1
    };
    assert_eq!(listeners().await, 1);
    drop(hints);
    let deadline = Instant::now() + Duration::from_secs(5);
    while listeners().await > 0 {
        assert!(Instant::now() < deadline, "it listens on");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
