//! One run: visitors buy while a plan of faults is carried out, then everything is bought and judged.

use std::path::PathBuf;
use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::history::{History, Seen, Tenure, Told};
use crate::inflict::inflict;
use crate::judge::{self, Room};
use crate::ledger::On;
use crate::plan::{Kind, OWNER, Step};
use crate::visitors::{self, Place, Visitor};
use crate::world::{Sale, World, service, watch};

/// How soon visitors have to be able to book again after a fault is over.
const RESUMES_IN: Duration = Duration::from_secs(30);
/// How soon another owner has to have a lane. A lease ends after a second, then another claims, folds and settles; the machine may be
/// busy with something else.
pub(crate) const TAKEN_OVER_IN: Duration = Duration::from_secs(8);
/// Between two looks at who writes a lane.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// How long what is left may take to be sold.
const SELL_OUT: Duration = Duration::from_secs(90);
/// Visitors of each kind at once: enough that every step of a booking is under way whenever something happens.
const SHOPPERS: u64 = 14;
const GRABBERS: u64 = 4;
const QUEUERS: u64 = 14;
/// Lanes of the busy sales: each process owns one of two, and units move between processes.
const LANES: u16 = 2;
/// The waiting room of the run.
const ROOM: Room = Room { pace: 6_000, cap: 10, pass_ttl_ms: 2_000 };

/// What a run came to.
pub(crate) struct Outcome {
    pub(crate) violations: Vec<String>,
    pub(crate) booked: u64,
    pub(crate) passes: usize,
    pub(crate) glances: usize,
    /// What visitors saw from the beginning of each step until they could book again.
    pub(crate) seen: Vec<Seen>,
    /// What the processes logged last.
    pub(crate) said: String,
}

fn sales(faults: usize) -> Vec<Sale> {
    let hold = "hold = { ttl = \"2s\", paying_ttl = \"2s\" }\n";
    let sale = |id: &'static str, lanes: u16, units: u64, rules: &str| Sale {
        id,
        lanes,
        units,
        document: format!(
            "id = \"{id}\"\nlanes = {lanes}\n{rules}\n{hold}\n[[items]]\nid = \"seat\"\nunits = {units}\n"
        ),
    };
    let room = format!(
        "admission = {{ pace_per_minute = {}, active_passes = {}, pass_ttl = \"{}ms\", claim_grace = \"2s\" }}",
        ROOM.pace, ROOM.cap, ROOM.pass_ttl_ms
    );
    vec![
        sale("hot", LANES, 6_000 + 1_000 * faults as u64, "admission = \"none\""),
        // Few units: it is sold out while Redis is lied to about it.
        sale("few", LANES, 300, "admission = \"none\"\nlimits = { units_per_visitor = 4 }"),
        sale("line", 1, 300 + 60 * faults as u64, &room),
    ]
}

/// Carries out the plan in a world of `processes` processes of the program at `path`. None where the ledger cannot be had.
pub(crate) fn run(path: PathBuf, processes: usize, on: On, planted: Option<&str>, plan: &[Step]) -> Option<Outcome> {
    let mut world = World::start(path, processes, on, planted)?;
    let (history, sales) = (&History::new(), &sales(plan.len())[..]);
    sales.iter().for_each(|sale| world.sell(sale));
    let place = &world.place();
    let redis = &RwLock::new(world.redis.address());
    let watched = &AtomicBool::new(false);
    let mut seen = vec![];
    std::thread::scope(|scope| {
        let _unwatch = Raise(watched);
        scope.spawn(move || watch(history, sales, redis, watched));
        std::thread::scope(|scope| {
            let _stop = Raise(&history.stop);
            for n in 0..SHOPPERS {
                scope.spawn(move || visitors::shop(history, place, "hot", n));
            }
            for n in 0..GRABBERS {
                scope.spawn(move || visitors::grab(history, place, "few", n));
            }
            for n in 0..QUEUERS {
                scope.spawn(move || visitors::queue(history, place, "line", n));
            }
            seen = harm(&mut world, plan, sales, history, redis);
        });
        if history.lies().is_empty() || planted.is_none() {
            std::thread::scope(|scope| {
                for (sale, most) in [("hot", 1_000), ("hot", 1_000), ("hot", 1_000), ("few", 4)] {
                    scope.spawn(move || visitors::buy_the_rest(history, place, sale, most, SELL_OUT));
                }
                visitors::queue_for_the_rest(history, place, "line", 50, SELL_OUT);
            });
        }
    });
    Some(judge_all(&world, sales, history, place, seen))
}

/// Raises a flag when it goes, so that threads end also when the test panics.
struct Raise<'a>(&'a AtomicBool);

impl Drop for Raise<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn judge_all(world: &World, sales: &[Sale], history: &History, place: &Place, seen: Vec<Seen>) -> Outcome {
    for sale in sales {
        judge::sale(sale.id, &world.lane_logs(sale), sale.units, history);
        world.audit(sale, history);
    }
    let line = world.log("line/line");
    judge::line(&line, ROOM, history);
    lists_agree(history, place);
    let violations = history.lies();
    let passes = line.iter().filter_map(|event| Some(event["granted"].as_array()?.len())).sum();
    let glances = history.glances.lock().unwrap().len();
    Outcome { violations, booked: history.booked(), passes, glances, seen, said: world.said() }
}

fn harm(
    world: &mut World,
    plan: &[Step],
    sales: &[Sale],
    history: &History,
    redis: &RwLock<std::net::SocketAddr>,
) -> Vec<Seen> {
    let lanes: Vec<(&str, u16)> = sales.iter().flat_map(|sale| (0..sale.lanes).map(|lane| (sale.id, lane))).collect();
    if !service(history, RESUMES_IN) {
        history.lie("nobody could buy before anything was done".to_owned());
        return vec![];
    }
    let (sale, lane) = lanes[0];
    let (mut seen, mut before) = (vec![], world.tenure(sale, lane));
    for (n, step) in plan.iter().enumerate() {
        std::thread::sleep(step.after);
        let whom = match step.whom {
            OWNER => {
                let (owner, tenure) = world.owner(sale, lane);
                before = tenure;
                owner
            }
            whom => usize::try_from(whom).unwrap() % world.processes.len(),
        };
        let begun = Instant::now();
        inflict(world, step, whom, &lanes, history, |world| *redis.write().unwrap() = world.redis.address());
        let inflicted = begun.elapsed();
        let resumed = service(history, RESUMES_IN);
        eprintln!(
            "{n:3} {step}: took {inflicted:.1?}, booked again after {:.1?}",
            begun.elapsed().saturating_sub(inflicted)
        );
        if !resumed {
            history.lie(format!("nobody could book within {RESUMES_IN:?} after {step}"));
        }
        if !history.lies().is_empty() {
            break;
        }
        let after = tenure_after(world, step, (sale, lane), before);
        seen.push(history.since(begun, before, after));
        before = after;
    }
    seen
}

/// Who writes the lane after a step. Where another has to, waits for it: other lanes sell on meanwhile, so that a booking says nothing.
fn tenure_after(world: &World, step: &Step, (sale, lane): (&str, u16), before: Tenure) -> Tenure {
    let by_now = Instant::now() + TAKEN_OVER_IN;
    loop {
        let after = world.tenure(sale, lane);
        let done = match step.kind {
            Kind::FlushAsleep if step.whom == OWNER => after.epoch > before.fence,
            _ => after.fence > before.fence || !step.ends_a_tenure(),
        };
        if done || Instant::now() > by_now {
            return after;
        }
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// A sample of visitors finds what it was told of, from the logs.
fn lists_agree(history: &History, place: &Place) {
    let purchases = history.purchases.lock().unwrap().clone();
    let booked: Vec<_> = purchases.iter().filter(|p| matches!(p.told, Told::Booked { .. })).collect();
    for purchase in booked.iter().step_by(booked.len() / 60 + 1) {
        let mut visitor = Visitor::known(history, place, &purchase.visitor);
        let path = format!("/v1/bookings/{}", purchase.hold);
        let Some(found) = visitor.insist("GET", &path, "", None, |a| a.status == 200) else { return };
        if found.body["booking_id"] != *purchase.hold {
            history.lie(format!("I3: {} is answered with {}", purchase.hold, found.body));
        }
    }
}
