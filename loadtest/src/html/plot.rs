//! Lines over time as SVG.

use std::fmt::Write as _;

use super::{escaped, figure};

/// Colours that differ in brightness as well as in hue, on a light and on a dark ground.
const COLOURS: [&str; 8] = ["#3b7dd8", "#e07b00", "#2a9d5c", "#c2386f", "#7d5bd0", "#8a7a1f", "#1aa3b0", "#8c8c8c"];

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 220.0;
/// Room for the numbers on the left and below.
const LEFT: f64 = 56.0;
const BELOW: f64 = 22.0;
const ABOVE: f64 = 8.0;

/// One line: (seconds, value). No value is a gap.
pub(super) struct Line {
    pub(super) name: String,
    pub(super) points: Vec<(f64, Option<f64>)>,
}

/// A plot of several lines on one scale from 0.
pub(super) struct Plot<'t> {
    pub(super) title: &'t str,
    pub(super) unit: &'t str,
    pub(super) lines: Vec<Line>,
}

/// The next of 1, 2, 5, 10, 20, ... that is not below.
fn round_up(value: f64) -> f64 {
    let power = 10_f64.powf(value.max(1e-9).log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * power);
    steps.into_iter().find(|step| *step >= value * 0.999_999).unwrap_or(value)
}

impl Plot<'_> {
    /// The figure; nothing at all when there is no line.
    pub(super) fn svg(&self) -> String {
        let mut out = String::new();
        if self.lines.is_empty() {
            return out;
        }
        let values = || self.lines.iter().flat_map(|line| &line.points);
        let most = round_up(values().filter_map(|(_, value)| *value).fold(0.0, f64::max));
        let last = values().map(|(at, _)| *at).fold(1.0, f64::max);
        // Writing into a String does not fail.
        let unit = if self.unit.is_empty() { String::new() } else { format!(", {}", self.unit) };
        let title = escaped(&format!("{}{unit}", self.title));
        let _ = write!(
            out,
            "<figure><figcaption>{title}</figcaption><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">"
        );
        let (right, bottom) = (WIDTH - 4.0, HEIGHT - BELOW);
        let x = |at: f64| LEFT + (right - LEFT) * at / last;
        let y = |value: f64| bottom - (bottom - ABOVE) * value / most;
        for part in 0..=4 {
            let share = f64::from(part) / 4.0;
            let (at, value) = (y(most * share), figure(most * share));
            let _ = write!(out, "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>");
            let _ =
                write!(out, "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{value}</text>", LEFT - 6.0, at + 4.0);
            let (place, seconds) = (x(last * share), figure((last * share).round()));
            let _ = write!(
                out,
                "<text x=\"{place:.1}\" y=\"{:.1}\" text-anchor=\"{}\">{seconds} s</text>",
                HEIGHT - 6.0,
                if part == 4 { "end" } else { "middle" }
            );
        }
        for (line, colour) in self.lines.iter().zip(COLOURS.iter().cycle()) {
            let _ = write!(out, "<path stroke=\"{colour}\" d=\"");
            let mut pen_down = false;
            for (at, value) in &line.points {
                if let Some(value) = value {
                    let _ = write!(out, "{}{:.1} {:.1}", if pen_down { 'L' } else { 'M' }, x(*at), y(*value));
                    // A point between two gaps is a dot.
                    if !pen_down {
                        out.push_str("h.5");
                    }
                }
                pen_down = value.is_some();
            }
            let _ = write!(out, "\"><title>{}</title></path>", escaped(&line.name));
        }
        out.push_str("</svg>");
        for (line, colour) in self.lines.iter().zip(COLOURS.iter().cycle()) {
            let name = escaped(&line.name);
            let _ = write!(out, "<span class=\"key\"><i style=\"background:{colour}\"></i>{name}</span>");
        }
        out.push_str("</figure>\n");
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_end_at_round_numbers() {
        let all = [0.3, 1.0, 1.1, 7.0, 4_999.0, 5_001.0].map(round_up);
        assert_eq!(all, [0.5, 1.0, 2.0, 10.0, 5_000.0, 10_000.0]);
    }

    #[test]
    fn a_gap_lifts_the_pen_and_nothing_draws_nothing() {
        let points = vec![(0.0, Some(1.0)), (1.0, None), (2.0, Some(2.0)), (3.0, Some(1.0))];
        let svg = Plot { title: "a<b", unit: "ms", lines: vec![Line { name: "x".to_owned(), points }] }.svg();
        assert_eq!((svg.matches('M').count(), svg.matches('L').count()), (2, 1), "{svg}");
        assert!(svg.contains("a&lt;b, ms"));
        assert_eq!(Plot { title: "", unit: "", lines: Vec::new() }.svg(), "");
    }
}
