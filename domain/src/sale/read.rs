//! The outer form of a sale document: TOML or JSON in, JSON out.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::read_price::{coupon_value, price_value, read_coupon, read_price};
use super::terms::{put_terms, read_terms};
use super::{Admission, HoldTimes, Item, ProofOfWork, PublicValue, Room, SaleDoc, Standby};
use crate::id::{ItemId, SaleId};
use crate::limits::{
    MAX_ACTIVE_PASSES, MAX_ITEMS, MAX_LANES, MAX_PACE_PER_MINUTE, MAX_PUBLIC_VALUE_CHARS, MAX_SALE_DOC_BYTES,
    MAX_STANDBY_PLACES, MAX_TITLE_CHARS, MAX_TTL_MS, MAX_UNITS, MAX_UNITS_PER_VISITOR, MIN_TTL_MS, PROOF_HASHES,
    PROOF_HASHES_RANGE,
};
use crate::money::Currency;
use crate::table::{Mistake, Reader, parse_json, parse_toml};
use crate::time::duration_text;

const PASS_TTL_MS: u64 = 5 * 60_000;
const CLAIM_GRACE_MS: u64 = 60_000;
const HOLD_TTL_MS: u64 = 5 * 60_000;
const STANDBY_CLAIM_MS: u64 = 20_000;
const STANDBY_PLACES: u32 = 1_000;
const PAYING_TTL_MS: u64 = 10 * 60_000;

impl SaleDoc {
    /// Reads a document of TOML.
    ///
    /// # Errors
    /// All mistakes together, each with key, value and what would be right.
    pub fn from_toml(text: &str) -> Result<Self, Vec<Mistake>> {
        Self::from_table(text.len(), parse_toml(text))
    }

    /// Reads a document of JSON, the same keys as in TOML.
    ///
    /// # Errors
    /// All mistakes together, each with key, value and what would be right.
    pub fn from_json(text: &str) -> Result<Self, Vec<Mistake>> {
        Self::from_table(text.len(), parse_json(text))
    }

    /// The document as JSON: [`SaleDoc::from_json`] reads it back as an equal one.
    #[must_use]
    pub fn to_json(&self) -> String {
        self.to_value().to_string()
    }

    /// Like [`SaleDoc::to_json`], to be put into a larger answer.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut doc = Map::new();
        doc.insert("id".to_owned(), json!(self.id));
        put(&mut doc, "title", self.title.as_ref().map(|title| json!(title)));
        put(&mut doc, "opens_at", self.opens_at.map(|at| json!(at.to_string())));
        put(&mut doc, "closes_at", self.closes_at.map(|at| json!(at.to_string())));
        let admission = match &self.admission {
            Admission::None => json!("none"),
            Admission::Room(room) => room_value(room),
        };
        doc.insert("admission".to_owned(), admission);
        let hold =
            json!({ "ttl": duration_text(self.hold.ttl_ms), "paying_ttl": duration_text(self.hold.paying_ttl_ms) });
        doc.insert("hold".to_owned(), hold);
        put(&mut doc, "limits", self.units_per_visitor.map(|units| json!({ "units_per_visitor": units })));
        doc.insert("lanes".to_owned(), json!(self.lanes));
        put_terms(&mut doc, &self.terms, self.currency());
        doc.insert("items".to_owned(), self.items.iter().map(item_value).collect());
        Value::Object(doc)
    }

    fn from_table(bytes: usize, table: Result<toml::Table, Mistake>) -> Result<Self, Vec<Mistake>> {
        if bytes > MAX_SALE_DOC_BYTES {
            return Err(vec![too_large(bytes)]);
        }
        let table = table.map_err(|mistake| vec![mistake])?;
        let mut mistakes = Vec::new();
        let mut reader = Reader::new(&table, &mut mistakes);
        let doc = read_doc(&mut reader);
        reader.finish();
        match doc {
            Some(doc) if mistakes.is_empty() => {
                let stored = serde_json::to_string(&doc).map_or(usize::MAX, |text| text.len());
                if stored > MAX_SALE_DOC_BYTES { Err(vec![too_large(stored)]) } else { Ok(doc) }
            }
            // A document that does not come about has a mistake; this one is for a defect here.
            _ if mistakes.is_empty() => Err(vec![Mistake::new("", "", "the document cannot be read")]),
            _ => Err(mistakes),
        }
    }
}

pub(super) fn put(doc: &mut Map<String, Value>, key: &str, value: Option<Value>) {
    if let Some(value) = value {
        doc.insert(key.to_owned(), value);
    }
}

fn room_value(room: &Room) -> Value {
    let mut value = Map::new();
    value.insert("pace_per_minute".to_owned(), json!(room.pace_per_minute));
    value.insert("active_passes".to_owned(), json!(room.active_passes));
    value.insert("pass_ttl".to_owned(), json!(duration_text(room.pass_ttl_ms)));
    value.insert("claim_grace".to_owned(), json!(duration_text(room.claim_grace_ms)));
    put(&mut value, "public_value", room.public_value.as_ref().map(|public| json!(public)));
    put(&mut value, "proof_of_work", room.proof_of_work.map(|price| json!(price)));
    let standby = |standby: &Standby| json!({ "claim": duration_text(standby.claim_ms), "places": standby.places });
    put(&mut value, "standby", room.standby.as_ref().map(standby));
    let classes = (!room.classes.is_empty()).then(|| room.classes.iter().map(super::class::value).collect());
    put(&mut value, "classes", classes);
    Value::Object(value)
}

fn item_value(item: &Item) -> Value {
    let mut value = Map::new();
    value.insert("id".to_owned(), json!(item.id));
    put(&mut value, "title", item.title.as_ref().map(|title| json!(title)));
    value.insert("units".to_owned(), json!(item.units));
    put(&mut value, "price", item.price.as_ref().map(price_value));
    put(&mut value, "coupon", item.coupon.as_ref().map(coupon_value));
    Value::Object(value)
}

fn too_large(bytes: usize) -> Mistake {
    Mistake::new("", format!("{bytes} bytes"), format!("must be at most {MAX_SALE_DOC_BYTES} bytes"))
}

fn read_doc(t: &mut Reader<'_>) -> Option<SaleDoc> {
    let id: Option<SaleId> = t.parsed("id");
    let id = t.need("id", id);
    let title = t.text("title", MAX_TITLE_CHARS);
    let (opens_at, closes_at) = (t.time("opens_at"), t.time("closes_at"));
    if let (Some(opens), Some(closes)) = (opens_at, closes_at)
        && closes <= opens
    {
        t.wrong("closes_at", closes, format!("must be later than opens_at ({opens})"));
    }
    let admission = read_admission(t);
    let hold = if t.has("hold") {
        t.table("hold", |t| {
            let ttl_ms = t.duration_ms("ttl", MIN_TTL_MS..=MAX_TTL_MS).unwrap_or(HOLD_TTL_MS);
            let paying_ttl_ms = t.duration_ms("paying_ttl", MIN_TTL_MS..=MAX_TTL_MS).unwrap_or(PAYING_TTL_MS);
            Some(HoldTimes { ttl_ms, paying_ttl_ms })
        })
    } else {
        Some(HoldTimes { ttl_ms: HOLD_TTL_MS, paying_ttl_ms: PAYING_TTL_MS })
    };
    let units_per_visitor = t.table("limits", |t| t.number_u32("units_per_visitor", 1..=MAX_UNITS_PER_VISITOR));
    let lanes = t.number_u16("lanes", 1..=MAX_LANES).unwrap_or(1);
    let items = read_items(t);
    let terms = read_terms(t, items.as_deref().unwrap_or_default());
    Some(SaleDoc {
        id: id?,
        title,
        opens_at,
        closes_at,
        admission: admission?,
        hold: hold?,
        units_per_visitor,
        lanes,
        terms,
        items: items?,
    })
}

fn read_admission(t: &mut Reader<'_>) -> Option<Admission> {
    let value = t.take("admission");
    t.need("admission", value)?;
    match value {
        Some(toml::Value::String(text)) if text == "none" => Some(Admission::None),
        Some(toml::Value::Table(_)) => t.table("admission", read_room).map(Admission::Room),
        Some(other) => {
            t.wrong("admission", other, "must be \"none\" or a table with pace_per_minute and active_passes");
            None
        }
        None => None,
    }
}

fn read_room(t: &mut Reader<'_>) -> Option<Room> {
    let pace = t.number_u32("pace_per_minute", 1..=MAX_PACE_PER_MINUTE);
    let pace = t.need("pace_per_minute", pace);
    let active = t.number_u32("active_passes", 1..=MAX_ACTIVE_PASSES);
    let active = t.need("active_passes", active);
    let pass_ttl_ms = t.duration_ms("pass_ttl", MIN_TTL_MS..=MAX_TTL_MS).unwrap_or(PASS_TTL_MS);
    let claim_grace_ms = t.duration_ms("claim_grace", MIN_TTL_MS..=MAX_TTL_MS).unwrap_or(CLAIM_GRACE_MS);
    let public_value = t.table("public_value", |t| {
        let named = t.text("named", MAX_TITLE_CHARS);
        let named = t.need("named", named);
        let value = t.text("value", MAX_PUBLIC_VALUE_CHARS);
        Some(PublicValue { named: named?, value })
    });
    let proof_of_work = t.table("proof_of_work", read_proof_of_work);
    let standby = t.table("standby", |t| read_standby(t, claim_grace_ms));
    let classes = super::class::read(t);
    Some(Room {
        pace_per_minute: pace?,
        active_passes: active?,
        pass_ttl_ms,
        claim_grace_ms,
        public_value,
        proof_of_work,
        standby,
        classes,
    })
}

fn read_proof_of_work(t: &mut Reader<'_>) -> Option<ProofOfWork> {
    let (least, most) = PROOF_HASHES_RANGE;
    let (low, high) = (t.number_u32("least", least..=most), t.number_u32("most", least..=most));
    let low = low.unwrap_or_else(|| PROOF_HASHES.0.min(high.unwrap_or(PROOF_HASHES.0)));
    let high = high.unwrap_or_else(|| PROOF_HASHES.1.max(low));
    if low > high {
        t.wrong("most", high, format!("must be at least {low}, as least is"));
        return None;
    }
    Some(ProofOfWork { least: low, most: high })
}

/// A turn that is no shorter than others would keep units from those who wait for them.
fn read_standby(t: &mut Reader<'_>, claim_grace_ms: u64) -> Option<Standby> {
    let claim_ms = t.duration_ms("claim", MIN_TTL_MS..=MAX_TTL_MS).unwrap_or(STANDBY_CLAIM_MS.min(claim_grace_ms));
    if claim_ms > claim_grace_ms {
        let most = duration_text(claim_grace_ms);
        t.wrong("claim", duration_text(claim_ms), format!("must be at most claim_grace ({most})"));
    }
    let places = t.number_u32("places", 1..=MAX_STANDBY_PLACES).unwrap_or(STANDBY_PLACES);
    Some(Standby { claim_ms, places })
}

fn read_items(t: &mut Reader<'_>) -> Option<Vec<Item>> {
    let mut seen = BTreeSet::new();
    let mut currency: Option<Currency> = None;
    let items = t.tables("items", MAX_ITEMS, |t| {
        let id: Option<ItemId> = t.parsed("id");
        let id = t.need("id", id);
        if let Some(id) = &id
            && !seen.insert(id.clone())
        {
            t.wrong("id", id, "must be the only item of this id");
        }
        let title = t.text("title", MAX_TITLE_CHARS);
        let units = t.number("units", 0..=MAX_UNITS);
        let units = t.need("units", units);
        let price = read_price(t, &mut currency);
        let coupon = read_coupon(t);
        Some(Item { id: id?, title, units: units?, price, coupon })
    });
    t.need("items", items)
}
