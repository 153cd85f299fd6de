//! The course of a sale as a picture: one SVG file, no script, readable in any browser.

use std::fmt::Write as _;

use super::figures::{Outcome, Second};

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 200.0;
const LEFT: f64 = 70.0;
const GAP: f64 = 50.0;
const COLOURS: [&str; 3] = ["#0b6e4f", "#c8553d", "#3d5a98"];

/// A title and what is drawn below it.
type Panel = (&'static str, fn(&Second) -> u64);

/// Three curves per policy over time: units sold, passes alive, people waiting.
#[must_use]
pub fn chart(outcomes: &[Outcome]) -> String {
    let panels: [Panel; 3] =
        [("units sold", |s| s.sold), ("passes alive", |s| s.active), ("people waiting", |s| s.waiting)];
    let all = || outcomes.iter().flat_map(|outcome| &outcome.curve);
    let end = all().map(|second| second.at_ms).max().unwrap_or(1).max(1);
    let (width, height) = (LEFT + WIDTH + 20.0, (HEIGHT + GAP) * 3.0 + 40.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    for (n, (outcome, colour)) in outcomes.iter().zip(COLOURS).enumerate() {
        let x = LEFT + 140.0 * real(n as u64);
        let _ = writeln!(svg, "<text x=\"{x}\" y=\"18\" fill=\"{colour}\">{}</text>", outcome.policy);
    }
    for (n, (title, of)) in panels.into_iter().enumerate() {
        let top = 40.0 + (HEIGHT + GAP) * real(n as u64);
        let most = all().map(of).max().unwrap_or(1).max(1);
        panel(&mut svg, title, top, most, end);
        for (outcome, colour) in outcomes.iter().zip(COLOURS) {
            let points: Vec<String> =
                outcome.curve.iter().map(|second| point(second.at_ms, of(second), top, most, end)).collect();
            let _ = writeln!(
                svg,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/>",
                points.join(" ")
            );
        }
    }
    svg.push_str("</svg>\n");
    svg
}

fn panel(svg: &mut String, title: &str, top: f64, most: u64, end: u64) {
    let bottom = top + HEIGHT;
    let _ = writeln!(
        svg,
        "<text x=\"{LEFT}\" y=\"{}\">{title}</text>\n\
         <rect x=\"{LEFT}\" y=\"{top}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"none\" stroke=\"#bbb\"/>\n\
         <text x=\"{}\" y=\"{}\" text-anchor=\"end\">{most}</text>\n\
         <text x=\"{}\" y=\"{bottom}\" text-anchor=\"end\">0</text>\n\
         <text x=\"{}\" y=\"{}\" text-anchor=\"end\">{} s</text>",
        top - 6.0,
        LEFT - 6.0,
        top + 12.0,
        LEFT - 6.0,
        LEFT + WIDTH,
        bottom + 16.0,
        end / 1_000,
    );
}

fn point(at_ms: u64, value: u64, top: f64, most: u64, end: u64) -> String {
    let x = LEFT + WIDTH * real(at_ms) / real(end);
    let y = top + HEIGHT - HEIGHT * real(value) / real(most);
    format!("{x:.1},{y:.1}")
}

#[allow(clippy::cast_precision_loss, reason = "a picture")]
const fn real(value: u64) -> f64 {
    value as f64
}
