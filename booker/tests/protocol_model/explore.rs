//! Breadth-first search with shortest counterexamples, and random deep walks.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt::Write as _;
use std::time::Instant;

use crate::faults::Label;
use crate::world::World;

/// How much further than usual to go.
pub(crate) fn factor() -> usize {
    std::env::var("HOLDFAST_MODEL").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// Explores until everything was seen or `most` states were; every state is checked and drained. The shortest counterexample,
/// if there is one.
pub(crate) fn explore(name: &str, first: World, most: usize) -> Option<String> {
    let (begin, most) = (Instant::now(), most * factor());
    let mut came: HashMap<u64, (u64, Label)> = HashMap::new();
    let (mut rested, mut queue) = (HashSet::new(), VecDeque::new());
    let root = first.fingerprint();
    came.insert(root, (root, ("", 0, 0)));
    queue.push_back((first, root, 0usize));
    let (mut depth, mut complete) = (0, true);
    while let Some((world, print, at)) = queue.pop_front() {
        depth = at;
        if let Err(error) = world.check().and_then(|()| world.drain(&mut rested)) {
            println!("{name}: broken after {} states, depth {depth}, {:.1?}", came.len(), begin.elapsed());
            return Some(trace(&came, root, print, &error, &world));
        }
        for (label, next) in world.next() {
            let found = next.fingerprint();
            if let std::collections::hash_map::Entry::Vacant(place) = came.entry(found) {
                place.insert((print, label));
                queue.push_back((next, found, at + 1));
            }
        }
        if came.len() >= most {
            complete = false;
            break;
        }
    }
    let end = if complete { "complete" } else { "bounded" };
    println!("{name}: {} states, depth {depth}, {end}, holds, {:.1?}", came.len(), begin.elapsed());
    None
}

fn trace(came: &HashMap<u64, (u64, Label)>, root: u64, print: u64, error: &str, world: &World) -> String {
    let (mut steps, mut at) = (vec![], print);
    while at != root {
        let (before, label) = came[&at];
        steps.push(label);
        at = before;
    }
    describe(error, steps.iter().rev(), world)
}

fn describe<'a>(error: &str, steps: impl Iterator<Item = &'a Label>, world: &World) -> String {
    let mut text = format!("{error}\n");
    for (n, (step, a, b)) in steps.enumerate() {
        let _ = writeln!(text, "{:3}. {step} {a} {b}", n + 1);
    }
    for logged in world.log.iter() {
        let _ = writeln!(text, "log   {:?}", logged.event);
    }
    let redis = &world.redis;
    let _ = writeln!(text, "redis {:?} {:?} {:?}", redis.state, redis.items, redis.confirming);
    for (id, record) in &redis.holds {
        let _ = writeln!(text, "hold  {} {:?} {:?}", world.number(id), record.state, record.lines);
    }
    for (n, seen) in world.seen.iter().enumerate() {
        let _ = writeln!(text, "told  {n} {seen:?}");
    }
    text
}

/// Random walks of at most `steps` steps; every state on the way is checked and drained.
pub(crate) fn walk(name: &str, first: &World, walks: usize, steps: usize) {
    let (begin, walks) = (Instant::now(), walks * factor());
    let mut random = 0x1234_5678_8765_4321u64;
    let mut draw = |most: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random % most as u64).unwrap()
    };
    let (mut rested, mut checked, mut deepest) = (HashSet::new(), 0usize, 0);
    for _ in 0..walks {
        let (mut world, mut path) = (first.clone(), vec![]);
        for depth in 0..steps {
            let before = world.fingerprint();
            let mut choices: Vec<(Label, World)> =
                world.next().into_iter().filter(|(_, next)| next.fingerprint() != before).collect();
            if choices.is_empty() {
                break;
            }
            let (label, next) = choices.swap_remove(draw(choices.len()));
            path.push(label);
            world = next;
            checked += 1;
            deepest = deepest.max(depth + 1);
            if let Err(error) = world.check().and_then(|()| world.drain(&mut rested)) {
                panic!("{name}: {}", describe(&error, path.iter(), &world));
            }
        }
    }
    println!("{name}: {walks} walks, {checked} checked steps, deepest {deepest}, hold, {:.1?}", begin.elapsed());
}
