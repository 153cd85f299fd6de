//! A load as a TOML file. All mistakes come together, each with key, value and what would be right.

use std::time::Duration;

use domain::limits::{MAX_QUANTITY, MAX_TITLE_CHARS};
use domain::table::{Mistake, Reader, parse_toml};
use domain::{ItemId, SaleId};

use super::{Action, Chance, Load, Model, Open, Pause, Rate, Scenario, Transaction};
use crate::arrivals::{Point, Shape};
use crate::limits::{
    MAX_DURATION, MAX_LOAD_BYTES, MAX_POINTS, MAX_SCENARIOS, MAX_STEPS, MAX_THRESHOLDS, MAX_TIMES, MAX_VISITORS,
    MAX_WEIGHT,
};

/// Milliseconds.
const LONGEST: u64 = MAX_DURATION.as_secs() * 1_000;

impl Load {
    /// Reads a load. A trace of single arrivals is given by [`Shape::times`], not by the text.
    ///
    /// # Errors
    /// All mistakes together, each with key, value and what would be right.
    pub fn from_toml(text: &str) -> Result<Self, Vec<Mistake>> {
        if text.len() > MAX_LOAD_BYTES {
            let problem = format!("must be at most {MAX_LOAD_BYTES} bytes");
            return Err(vec![Mistake::new("", format!("{} bytes", text.len()), problem)]);
        }
        let table = parse_toml(text).map_err(|mistake| vec![mistake])?;
        let mut mistakes = Vec::new();
        let mut reader = Reader::new(&table, &mut mistakes);
        let load = read(&mut reader);
        reader.finish();
        match load {
            Some(load) if mistakes.is_empty() => Ok(load),
            // A load that does not come about has a mistake; this one is for a defect here.
            _ if mistakes.is_empty() => Err(vec![Mistake::new("", "", "the load cannot be read")]),
            _ => Err(mistakes),
        }
    }
}

fn read(t: &mut Reader<'_>) -> Option<Load> {
    let name = t.text("name", MAX_TITLE_CHARS);
    let name = t.need("name", name);
    let about = t.text("about", 1_000).unwrap_or_default();
    let sale: Option<SaleId> = t.parsed("sale");
    let duration = t.duration_ms("duration", 1..=LONGEST).map(Duration::from_millis);
    let finish_within = t.duration_ms("finish_within", 0..=LONGEST).map(Duration::from_millis);
    let warm_up = t.duration_ms("warm_up", 0..=LONGEST).map(Duration::from_millis);
    let quantity = t.number_u32("quantity", 1..=MAX_QUANTITY);
    let per_visitor = t.number_u32("per_visitor", 1..=u32::MAX);
    let lose_answers: Option<Chance> = t.parsed("lose_answers");
    let thresholds = t.list("thresholds", MAX_THRESHOLDS).unwrap_or_default();
    let open = t.table("open", read_open);
    let closed = t.table("closed", |t| {
        let visitors = t.number_u32("visitors", 1..=MAX_VISITORS);
        t.need("visitors", visitors)
    });
    if !t.has("open") && !t.has("closed") {
        t.wrong(
            "open",
            "",
            "is missing: a load has visitors who come at their own times (open), or again and again (closed), or both",
        );
    }
    let scenarios = t.tables("scenarios", MAX_SCENARIOS, read_scenario);
    let scenarios = t.need("scenarios", scenarios);
    if let Some(scenarios) = &scenarios {
        for (model, key) in [(Model::Open, "open"), (Model::Closed, "closed")] {
            let any = scenarios.iter().any(|s| s.weight > 0 && s.model.is_none_or(|only| only == model));
            if t.has(key) && !any {
                t.wrong("scenarios", "", format!("none of a weight above 0 is for {key} visitors"));
            }
        }
    }
    Some(Load {
        name: name?,
        about,
        sale: sale.map(|sale| sale.to_string()),
        scenarios: scenarios?,
        open,
        closed,
        duration,
        finish_within,
        warm_up,
        quantity,
        per_visitor,
        lose_answers: lose_answers.unwrap_or(Chance::NEVER),
        thresholds,
    })
}

fn read_open(t: &mut Reader<'_>) -> Option<Open> {
    let most = t.number_u32("most", 1..=MAX_VISITORS).unwrap_or(MAX_VISITORS / 10);
    let model = t.choice("model", &["poisson", "wave", "trace"]);
    let shape = match t.need("model", model)? {
        "poisson" => {
            let rate: Option<Rate> = t.parsed("rate");
            let Rate(rate) = t.need("rate", rate)?;
            if rate <= 0.0 {
                t.wrong("rate", rate, "must be above 0");
            }
            Shape::steady(rate)
        }
        "wave" => {
            let visitors = t.number_u32("visitors", 1..=100_000_000);
            let rise = t.duration_ms("rise", 0..=LONGEST);
            let fall = t.duration_ms("fall", 1..=LONGEST);
            let (visitors, rise, fall) = (t.need("visitors", visitors), t.need("rise", rise), t.need("fall", fall));
            Shape::wave(visitors?, Duration::from_millis(rise?), Duration::from_millis(fall?))
        }
        _ => {
            let points = t.tables("points", MAX_POINTS, |t| {
                let at = t.duration_ms("at", 0..=LONGEST);
                let rate: Option<Rate> = t.parsed("rate");
                let (at, rate) = (t.need("at", at), t.need("rate", rate));
                Some(Point { at: Duration::from_millis(at?), rate: rate?.0 })
            });
            let points = t.need("points", points)?;
            if !points.is_sorted_by(|a, b| a.at < b.at) {
                t.wrong("points", "", "must be in order of their times, each later than the one before");
            }
            if points.iter().all(|point| point.rate <= 0.0) {
                t.wrong("points", "", "one of them must have a rate above 0");
            }
            Shape::Rates(points)
        }
    };
    Some(Open { shape, most })
}

fn read_scenario(t: &mut Reader<'_>) -> Option<Scenario> {
    // Names stand in reports: the form of an item's id is plain enough.
    let name: Option<ItemId> = t.parsed("name");
    let name = t.need("name", name);
    let weight = t.number_u32("weight", 0..=MAX_WEIGHT).unwrap_or(1);
    let model = t.choice("model", &["open", "closed"]);
    let think: Pause = t.parsed("think").unwrap_or(Pause::NONE);
    let transactions = t.tables("transactions", MAX_STEPS, |t| read_transaction(t, think));
    let transactions = t.need("transactions", transactions);
    let scenario = Scenario {
        name: name?.to_string(),
        weight,
        model: model.map(|model| if model == "open" { Model::Open } else { Model::Closed }),
        transactions: transactions?,
    };
    if let Some((n, what)) = scenario.disorder() {
        let action = scenario.transactions.get(n).map_or("", |step| step.action.as_str());
        t.wrong(&format!("transactions[{n}].do"), action, what);
    }
    Some(scenario)
}

fn read_transaction(t: &mut Reader<'_>, think: Pause) -> Option<Transaction> {
    let action = t.choice("do", &Action::ALL.map(Action::as_str));
    let action = t.need("do", action);
    let think = t.parsed("think").unwrap_or(think);
    let chance = t.parsed("chance").unwrap_or(Chance::SURE);
    let times = t.number_u32("times", 1..=MAX_TIMES).unwrap_or(1);
    let action = action?;
    let action = Action::ALL.into_iter().find(|known| known.as_str() == action)?;
    Some(Transaction { action, think, chance, times })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    const GOOD: &str = r#"
        name = "evening"
        sale = "summer-night"
        duration = "2m"
        lose_answers = "1%"
        thresholds = ["confirm.p99 < 50ms"]
        open = { model = "wave", visitors = 5000, rise = "5s", fall = "60s", most = 4000 }
        closed = { visitors = 100 }
        [[scenarios]]
        name = "buyer"
        weight = 9
        think = "1s..3s"
        transactions = [
            { do = "join", think = "0s" }, { do = "wait", think = "0s" }, { do = "enter", chance = "85%" },
            { do = "hold" }, { do = "confirm", chance = "90%" },
        ]
        [[scenarios]]
        name = "watcher"
        model = "closed"
        transactions = [{ do = "poll", think = "1s", times = 20 }]
    "#;

    fn mistakes(text: &str) -> Vec<String> {
        Load::from_toml(text).map_or_else(|all| all.iter().map(ToString::to_string).collect(), |_| Vec::new())
    }

    #[test]
    fn a_file_reads_as_the_same_load_as_written_in_rust() {
        let load = Load::from_toml(GOOD).unwrap();
        let seconds = Duration::from_secs;
        let (from, to) = (seconds(1), seconds(3));
        let buyer = Scenario::named("buyer")
            .weighing(9)
            .then(Transaction::new(Action::Join))
            .then(Transaction::new(Action::Wait))
            .then(Transaction::new(Action::Enter).thinking(from, to).by(0.85))
            .then(Transaction::new(Action::Hold).thinking(from, to))
            .then(Transaction::new(Action::Confirm).thinking(from, to).by(0.9));
        assert_eq!(load.scenarios[0], buyer);
        assert_eq!(load.scenarios[1].model, Some(Model::Closed));
        assert_eq!((load.closed, load.open.as_ref().unwrap().most), (Some(100), 4_000));
        assert_eq!(load.open.unwrap().shape, Shape::wave(5_000, seconds(5), seconds(60)));
    }

    #[test]
    fn all_mistakes_come_together_with_key_value_and_range() {
        let bad = GOOD
            .replace("\"2m\"", "\"2 minutes\"")
            .replace("\"85%\"", "\"850%\"")
            .replace("\"confirm.p99 < 50ms\"", "\"confirm.p99 < fast\"")
            .replace("visitors = 5000", "visiters = 5000")
            .replace("do = \"poll\"", "do = \"pole\"")
            .replace("weight = 9", "weight = -1");
        let found = mistakes(&bad);
        for part in [
            "duration = \"2 minutes\": must be a duration from",
            "open.visitors: is missing",
            "open.visiters = 5000: unknown key, did you mean \"visitors\"?",
            "scenarios[0].weight = -1: must be 0 to",
            "scenarios[0].transactions[2].chance = \"850%\": must be a share from \"0%\" to \"100%\"",
            "scenarios[1].transactions[0].do = \"pole\": must be one of poll, join",
            "thresholds[0] = \"confirm.p99 < fast\": must be",
        ] {
            assert!(found.iter().any(|mistake| mistake.contains(part)), "{part} is not in {found:#?}");
        }
        assert_eq!(found.len(), 7, "{found:#?}");
    }

    #[test]
    fn steps_out_of_order_and_visitors_without_a_scenario_are_told() {
        let order = mistakes(&GOOD.replace("{ do = \"join\", think = \"0s\" }, ", ""));
        assert_eq!(order, ["scenarios[0].transactions[0].do = wait: needs join before it"]);
        let idle = mistakes(&GOOD.replace("weight = 9", "weight = 9\nmodel = \"closed\""));
        assert_eq!(idle, ["scenarios: none of a weight above 0 is for open visitors"]);
        let nobody = mistakes(&GOOD.replace("open = {", "opens = {").replace("closed = { visitors = 100 }", ""));
        assert!(nobody.iter().any(|mistake| mistake.starts_with("open: is missing")), "{nobody:#?}");
    }

    #[test]
    fn a_trace_goes_forward_in_time() {
        let trace = |points: &str| {
            let text = format!(
                "name = \"t\"\nopen = {{ model = \"trace\", points = [{points}] }}\n\
                 [[scenarios]]\nname = \"p\"\ntransactions = [{{ do = \"poll\" }}]"
            );
            mistakes(&text)
        };
        let (early, late) = ("{ at = \"0ms\", rate = \"10/s\" }", "{ at = \"5s\", rate = \"0/s\" }");
        assert_eq!(trace(&format!("{early}, {late}")), Vec::<String>::new());
        assert_eq!(
            trace(&format!("{late}, {early}")),
            ["open.points: must be in order of their times, each later than the one before"]
        );
        assert_eq!(trace(late), ["open.points: one of them must have a rate above 0"]);
    }
}
