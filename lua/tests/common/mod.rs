//! Short words for lanes in tests.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::fault::{KnownFaults, Life};
use domain::state::HoldState;
use domain::{Fingerprint, HoldId, Lines, Millis, VisitorHash};
use lua::lane::{
    self, ConfirmReply, ConfirmRequest, HoldGroup, HoldReplies, HoldReply, HoldRequest, LaneMeta, LoadBegin, LoadEnd,
    Look, PassRef, Record, ReleaseReply, ReleaseRequest, Settle, SettleReply, Settling, Undecided,
};
use lua::server::TestRedis;
use lua::{LaneKeys, Redis};

/// The nth hold id.
pub(crate) fn item(n: u8) -> HoldId {
    let mut bytes = [n; 16];
    bytes[6] = 0x80;
    bytes[8] = 0x80;
    HoldId::from_bytes(bytes).unwrap()
}

pub(crate) fn visitor(n: u8) -> VisitorHash {
    VisitorHash([n; 16])
}

pub(crate) fn lines(text: &str) -> Lines {
    let line = |line: &str| line.split_once('=').map(|(item, units)| (item.parse().unwrap(), units.parse().unwrap()));
    text.split(',').filter_map(line).collect()
}

pub(crate) fn fp(text: &str) -> Fingerprint {
    Fingerprint::of(&lines(text))
}

pub(crate) fn request(id: u8, who: u8, text: &str) -> HoldRequest {
    HoldRequest { id: item(id), visitor: visitor(who), fp: fp(text), lines: lines(text), pass: None }
}

pub(crate) fn pass(request: HoldRequest, number: u64, expires: Millis) -> HoldRequest {
    let life = Life { given: Millis(expires.0.saturating_sub(60_000)), expires };
    HoldRequest { pass: Some(PassRef { number, life }), ..request }
}

pub(crate) fn group(ttl_ms: u64, limit: Option<u32>, requests: Vec<HoldRequest>) -> HoldGroup {
    let faults = Arc::new(KnownFaults::none());
    HoldGroup { ttl_ms, limit, most: domain::limits::MAX_HOLDS_PER_PASS, faults, requests }
}

pub(crate) fn booked(id: u8, who: u8, text: &str, pass: Option<u64>) -> Settling {
    Settling::Booked { id: item(id), visitor: visitor(who), fp: fp(text), pass, lines: lines(text), at: Millis(5) }
}

pub(crate) fn record(state: HoldState, who: u8, text: &str, seq: u64) -> Record {
    Record {
        state,
        visitor: visitor(who),
        deadline: Millis(0),
        fp: fp(text),
        pass: None,
        lines: lines(text),
        seq,
        at: Millis(5),
        why: None,
    }
}

pub(crate) fn name(reply: &HoldReply) -> String {
    match reply {
        HoldReply::Held(_) => "held".to_owned(),
        HoldReply::Exists(_) => "exists".to_owned(),
        other => format!("{other:?}"),
    }
}

/// A lane on a server of its own.
pub(crate) struct Lane {
    pub(crate) server: TestRedis,
    pub(crate) redis: Redis,
    pub(crate) keys: LaneKeys,
}

impl Lane {
    pub(crate) fn empty() -> Self {
        let server = TestRedis::start().unwrap();
        let redis = server.redis();
        Self { server, redis, keys: LaneKeys::new(&"test".parse().unwrap(), 0) }
    }

    /// Loaded under epoch 1, settled at 1.
    pub(crate) async fn loaded(free: &[(&str, i64)]) -> Self {
        let lane = Self::empty();
        lane.load(1, 1, free).await;
        lane
    }

    pub(crate) async fn load(&self, epoch: u64, head: u64, free: &[(&str, i64)]) {
        let free: BTreeMap<_, _> = free.iter().map(|(item, units)| (item.parse().unwrap(), *units)).collect();
        let begin = LoadBegin { epoch, head, free, moved: BTreeMap::new() };
        assert_eq!(lane::load_begin(&self.redis, &self.keys, &begin).await.unwrap(), lane::LoadReply::Done);
        let end = LoadEnd { epoch, head, n: 0 };
        assert_eq!(lane::load_end(&self.redis, &self.keys, &end).await.unwrap(), lane::LoadReply::Done);
    }

    pub(crate) async fn hold(&self, group: &HoldGroup) -> HoldReplies {
        lane::hold(&self.redis, &self.keys, group).await.unwrap()
    }

    pub(crate) async fn confirm(&self, requests: &[(u8, u8)]) -> Vec<ConfirmReply> {
        let request = |(id, who): &(u8, u8)| ConfirmRequest { id: item(*id), visitor: visitor(*who), pass: None };
        let requests: Vec<_> = requests.iter().map(request).collect();
        lane::confirm(&self.redis, &self.keys, &requests).await.unwrap().replies
    }

    pub(crate) async fn release(&self, id: u8, who: u8) -> ReleaseReply {
        let request = ReleaseRequest { id: item(id), visitor: visitor(who) };
        lane::release(&self.redis, &self.keys, &[request]).await.unwrap().remove(0)
    }

    pub(crate) async fn settle(&self, settle: &Settle) -> SettleReply {
        lane::settle(&self.redis, &self.keys, settle).await.unwrap()
    }

    pub(crate) async fn look(&self, ids: &[u8], visitors: &[u8]) -> Look {
        let ids: Vec<_> = ids.iter().map(|n| item(*n)).collect();
        let visitors: Vec<_> = visitors.iter().map(|n| visitor(*n)).collect();
        lane::look(&self.redis, &self.keys, &ids, &visitors).await.unwrap()
    }

    pub(crate) async fn meta(&self) -> LaneMeta {
        lane::meta(&self.redis, &self.keys).await.unwrap()
    }

    pub(crate) async fn undecided(&self) -> Vec<Undecided> {
        lane::undecided_all(&self.redis, &self.keys).await.unwrap()
    }

    /// Free and live units of an item.
    pub(crate) async fn stock(&self, item: &str) -> (i64, i64) {
        let stock = lane::stock(&self.redis, &self.keys).await.unwrap();
        let (_, units) = stock.items.iter().find(|(name, _)| name.as_str() == item).unwrap();
        (units.free, units.live)
    }

    /// Waits until Redis' clock has moved on.
    pub(crate) async fn wait_past(&self, ms: u64) {
        let until = self.meta().await.now.plus(ms);
        while self.meta().await.now <= until {
            tokio::task::yield_now().await;
        }
    }
}
