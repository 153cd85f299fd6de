//! What a hold asks for: reading and checking its lines.

use domain::limits::{MAX_LINES, MAX_QUANTITY};
use domain::outcome::Outcome;
use domain::table::Mistake;
use domain::{ItemId, Lines, SaleDoc};
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::call::Object;
use crate::problem::{Name, Problem};

/// What to hold.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Order {
    /// At least one line, each for another item.
    #[schema(value_type = Vec<OrderLine>, min_items = 1, max_items = 20)]
    lines: Vec<Object<OrderLine>>,
}

/// Units of one item.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OrderLine {
    /// The item's id.
    #[schema(min_length = 1, max_length = 63)]
    item: String,
    /// How many.
    #[schema(value_type = u32, minimum = 1, maximum = 1000)]
    quantity: Box<RawValue>,
}

/// The lines, if all of them can be held in this sale. All mistakes are told together; an unknown item only when there is
/// no other.
pub(crate) fn read(order: &Order, doc: &SaleDoc) -> Result<Lines, Problem> {
    let mut mistakes = Vec::new();
    if order.lines.is_empty() || order.lines.len() > MAX_LINES {
        let found = format!("{} lines", order.lines.len());
        mistakes.push(Mistake::new("lines", found, format!("must be 1 to {MAX_LINES}")));
    }
    let (mut lines, mut unknown) = (Lines::none(), None);
    for (n, Object(line)) in order.lines.iter().take(MAX_LINES).enumerate() {
        let quantity = quantity(line.quantity.get());
        if quantity.is_none() {
            let rule = format!("must be a whole number from 1 to {MAX_QUANTITY}");
            mistakes.push(Mistake::new(format!("lines[{n}].quantity"), line.quantity.get(), rule));
        }
        let item: Option<ItemId> = line.item.parse().ok();
        match item.filter(|item| doc.item(item).is_some()) {
            None => unknown = unknown.or(Some(line.item.as_str())),
            Some(item) => {
                if !lines.add(item, quantity.unwrap_or(1)) {
                    let rule = "stands in another line already: one line per item";
                    mistakes.push(Mistake::new(format!("lines[{n}].item"), &line.item, rule));
                }
            }
        }
    }
    match (mistakes.first(), unknown) {
        (Some(first), _) => Err(Problem::new(Name::BadRequest, first.to_string()).errors(mistakes)),
        (None, Some(item)) => {
            let mistake = Mistake::new("item", item, "is not sold here");
            Err(Problem::new(Name::NotFound, mistake.to_string()).outcome(Outcome::Refused))
        }
        (None, None) => Ok(lines),
    }
}

/// A whole number in range, written as one: neither `2.0` nor `"2"` nor `2e0`.
fn quantity(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|n| digits && (1..=MAX_QUANTITY).contains(n))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn doc() -> SaleDoc {
        let text =
            "id = \"s\"\nadmission = \"none\"\n[[items]]\nid = \"a\"\nunits = 5\n[[items]]\nid = \"b\"\nunits = 5\n";
        SaleDoc::from_toml(text).unwrap()
    }

    fn order(text: &str) -> Result<Lines, String> {
        let order: Order = crate::call::parse(text.as_bytes()).map_err(|problem| format!("{problem:?}"))?;
        read(&order, &doc()).map_err(|problem| format!("{problem:?}"))
    }

    #[test]
    fn lines_are_read_whatever_their_order() {
        let one = order(r#"{"lines":[{"item":"b","quantity":1},{"item":"a","quantity":1000}]}"#).unwrap();
        let two = order(r#"{"lines":[{"quantity":1000,"item":"a"},{"item":"b","quantity":1}]}"#).unwrap();
        assert_eq!(one, two);
        assert_eq!(one.units(), 1_001);
    }

    #[test]
    fn quantities_are_whole_numbers_in_range() {
        for bad in ["0", "-1", "1001", "99999999999999999999", "1.5", "2.0", "1e1", "\"2\"", "null", "[1]", "true"] {
            let refused = order(&format!(r#"{{"lines":[{{"item":"a","quantity":{bad}}}]}}"#)).unwrap_err();
            assert!(refused.contains("lines[0].quantity") && refused.contains("1 to 1000"), "{bad}: {refused}");
        }
    }

    #[test]
    fn an_item_stands_in_one_line() {
        let refused = order(r#"{"lines":[{"item":"a","quantity":1},{"item":"a","quantity":2}]}"#).unwrap_err();
        assert!(refused.contains("lines[1].item"), "{refused}");
    }

    #[test]
    fn an_item_that_is_not_sold_is_not_found() {
        for item in ["c", "", "A b", "../x"] {
            let refused = order(&format!(r#"{{"lines":[{{"item":"{item}","quantity":1}}]}}"#)).unwrap_err();
            assert!(refused.contains("NotFound"), "{item}: {refused}");
        }
    }

    #[test]
    fn there_is_at_least_one_line_and_not_too_many() {
        assert!(order(r#"{"lines":[]}"#).unwrap_err().contains("1 to 20"));
        let many = vec![r#"{"item":"a","quantity":1}"#; 21].join(",");
        assert!(order(&format!(r#"{{"lines":[{many}]}}"#)).unwrap_err().contains("21 lines"));
    }

    #[test]
    fn unknown_fields_and_broken_json_say_where() {
        assert!(order(r#"{"lines":[],"coupon":"x"}"#).unwrap_err().contains("coupon"));
        assert!(order(r#"{"lines":[{"item":"a","quantity":1,"price":3}]}"#).unwrap_err().contains("price"));
        assert!(order("{\"lines\":[\n{").unwrap_err().contains("line 2"));
        assert!(order("[]").unwrap_err().contains("BadRequest"));
    }

    #[test]
    fn lists_are_no_objects_and_nobody_is_told_our_types() {
        for text in ["[[]]", "[]", "3", r#"{"lines":[["a",1]]}"#, r#"{"lines":[3]}"#, r#"{"lines":["a"]}"#] {
            let refused = order(text).unwrap_err();
            assert!(refused.contains("expected an object") && !refused.contains("struct"), "{text}: {refused}");
        }
    }
}
