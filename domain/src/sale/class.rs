//! Classes in the outer form of a sale document.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::LineClass;
use crate::code::ListedCode;
use crate::id::ItemId;
use crate::limits::{MAX_CLASSES, MAX_CODE_USES, MAX_LISTED_CODES, MAX_REDEEMED, MAX_TITLE_CHARS, MIN_SHARE};
use crate::table::Reader;

pub(super) fn value(class: &LineClass) -> Value {
    let mut value = Map::new();
    value.insert("id".to_owned(), json!(class.id));
    if let Some(title) = &class.title {
        value.insert("title".to_owned(), json!(title));
    }
    value.insert("share".to_owned(), json!(class.share));
    value.insert("places".to_owned(), json!(class.places));
    if !class.codes.is_empty() {
        value.insert("codes".to_owned(), json!(class.codes));
    }
    value.insert("uses".to_owned(), json!(class.uses));
    Value::Object(value)
}

/// Absent: there are none. A code lets into one class only.
pub(super) fn read(t: &mut Reader<'_>) -> Vec<LineClass> {
    let (mut ids, mut codes) = (BTreeSet::new(), BTreeSet::new());
    let classes = t.tables("classes", MAX_CLASSES, |t| read_one(t, &mut ids, &mut codes)).unwrap_or_default();
    let most = 100 - MIN_SHARE;
    let shares: u32 = classes.iter().map(|class| class.share).sum();
    if shares > most {
        let problem = format!("shares must be {most} together at most: everybody else gets the rest");
        t.wrong("classes", format!("{shares} together"), problem);
    }
    if codes.len() > MAX_LISTED_CODES {
        let problem = format!(
            "must list at most {MAX_LISTED_CODES} codes together; more are better signed (holdfast sale codes)"
        );
        t.wrong("classes", format!("{} codes", codes.len()), problem);
    }
    classes
}

fn read_one(t: &mut Reader<'_>, ids: &mut BTreeSet<ItemId>, codes: &mut BTreeSet<ListedCode>) -> Option<LineClass> {
    let id: Option<ItemId> = t.parsed("id");
    let id = t.need("id", id);
    if let Some(id) = &id
        && !ids.insert(id.clone())
    {
        t.wrong("id", id, "must be the only class of this id");
    }
    let title = t.text("title", MAX_TITLE_CHARS);
    let share = t.number_u32("share", 1..=100 - MIN_SHARE);
    let share = t.need("share", share);
    let most = u32::try_from(MAX_REDEEMED).unwrap_or(u32::MAX);
    let places = t.number_u32("places", 1..=most);
    let places = t.need("places", places);
    let listed: Vec<ListedCode> = t.list("codes", MAX_LISTED_CODES).unwrap_or_default();
    for (n, code) in listed.iter().enumerate() {
        if !codes.insert(code.clone()) {
            t.wrong("codes", format!("number {}", n + 1), "is listed twice: a code lets into one class, once");
        }
    }
    let uses = t.number_u32("uses", 1..=MAX_CODE_USES).unwrap_or(1);
    Some(LineClass { id: id?, title, share: share?, places: places?, codes: listed, uses })
}
