//! The whole state of a lane or line, as a server has it.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, HashMap};

use domain::{HoldId, ItemId, VisitorHash};
use lua::lane::{ItemStock, LaneState, Record, VisitorCounts};
use lua::line::LineState;
use lua::model::{Intent, LaneModel, LineModel};
use lua::{LaneKeys, LineKeys, Redis};
use redis::{FromRedisValue, from_redis_value};

type Bytes = Vec<u8>;

async fn get<T: FromRedisValue>(redis: &Redis, words: &[&[u8]]) -> T {
    from_redis_value(redis.raw(words).await.unwrap()).unwrap()
}

fn id(bytes: &[u8]) -> HoldId {
    HoldId::from_bytes(bytes.try_into().unwrap()).unwrap()
}

fn visitor(bytes: &[u8]) -> VisitorHash {
    VisitorHash(bytes.try_into().unwrap())
}

fn number(fields: &HashMap<String, String>, name: &str) -> Option<u64> {
    fields.get(name).map(|text| text.parse().unwrap())
}

pub(crate) async fn lane(redis: &Redis, keys: &LaneKeys) -> LaneModel {
    let meta: HashMap<String, String> = get(redis, &[b"HGETALL", keys.lane().as_bytes()]).await;
    let holds: HashMap<Bytes, Bytes> = get(redis, &[b"HGETALL", keys.holds().as_bytes()]).await;
    let visitors: HashMap<Bytes, Bytes> = get(redis, &[b"HGETALL", keys.visitors().as_bytes()]).await;
    let due: Vec<Bytes> = get(redis, &[b"ZRANGE", keys.due().as_bytes(), b"0", b"-1", b"WITHSCORES"]).await;
    let confirming: Vec<Bytes> = get(redis, &[b"SMEMBERS", keys.confirming().as_bytes()]).await;
    let (epoch, seq) = (number(&meta, "epoch").unwrap_or(0), number(&meta, "settled").unwrap_or(0));
    let state = match meta.get("loaded").map(String::as_str) {
        None => LaneState::Empty,
        Some("0") => LaneState::Loading { epoch, head: seq, chunks: number(&meta, "chunks").unwrap() },
        Some(_) => LaneState::Loaded { epoch, settled: seq },
    };
    let mut items: BTreeMap<ItemId, ItemStock> = BTreeMap::new();
    for (field, value) in &meta {
        if let Some((kind, item)) = field.split_once(':') {
            let stock = items.entry(item.parse().unwrap()).or_default();
            let value: i64 = value.parse().unwrap();
            let count = || u64::try_from(value).unwrap();
            match kind {
                "f" => stock.free = value,
                "l" => stock.live = value,
                "g" => stock.moved.given = count(),
                "r" => stock.moved.received = count(),
                other => panic!("a lane has no field {other}"),
            }
        }
    }
    let intent = |member: &Bytes| match member.as_slice() {
        [b'x', rest @ ..] if rest.len() == 16 => Intent::Cancel(id(rest)),
        member => Intent::Confirm(id(member)),
    };
    let when = |score: &Bytes| std::str::from_utf8(score).unwrap().parse().unwrap();
    LaneModel {
        state,
        items,
        holds: holds.iter().map(|(key, record)| (id(key), Record::decode(record).unwrap())).collect(),
        due: due.chunks(2).map(|pair| (id(&pair[0]), when(&pair[1]))).collect(),
        visitors: visitors.iter().map(|(key, text)| (visitor(key), VisitorCounts::decode(text).unwrap())).collect(),
        confirming: confirming.iter().map(intent).collect(),
    }
}

pub(crate) async fn line(redis: &Redis, keys: &LineKeys) -> LineModel {
    let meta: HashMap<String, String> = get(redis, &[b"HGETALL", keys.line().as_bytes()]).await;
    let tickets: HashMap<Bytes, u64> = get(redis, &[b"HGETALL", keys.tickets().as_bytes()]).await;
    let state = meta.contains_key("loaded").then(|| LineState {
        epoch: number(&meta, "epoch").unwrap(),
        settled: number(&meta, "settled").unwrap(),
        frontier: number(&meta, "frontier").unwrap(),
        numbers_to: number(&meta, "numbers_to").unwrap(),
        doc: meta["doc"].clone(),
    });
    LineModel { state, tickets: tickets.iter().map(|(key, number)| (visitor(key), *number)).collect() }
}
