//! Draws a trial as SVG: working set and anonymous part against the limit, the rate below.
//! Layer: core

use std::fmt::Write as _;

use super::sample::Sample;

const WIDTH: u64 = 960;
const HEIGHT: u64 = 420;
const LEFT: u64 = 70;
const TOP: u64 = 40;
/// Height of the memory panel; the rest is the rate's.
const PANEL: u64 = 260;
const GAP: u64 = 30;

/// The picture; empty samples give an empty panel.
pub(crate) fn draw(title: &str, samples: &[Sample]) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n\
         <text x=\"{LEFT}\" y=\"20\" font-size=\"14\">{title}</text>\n"
    );
    let highest = |of: fn(&Sample) -> u64| samples.iter().map(of).max().unwrap_or(0);
    let span = highest(|s| s.millis).max(1);
    let top = highest(|s| s.limit.max(s.peak)).max(1);
    let memory = Panel {
        top: TOP,
        height: PANEL,
        span,
        most: top,
    };
    memory.frame(&mut svg, "MiB", top >> 20);
    memory.line(&mut svg, samples, "#999", |s| Some(s.limit));
    memory.line(&mut svg, samples, "#e0b000", |s| Some(s.limit / 100 * 85));
    memory.line(&mut svg, samples, "#c0392b", |s| Some(s.peak));
    memory.line(&mut svg, samples, "#2060c0", |s| Some(s.anonymous));
    memory.line(&mut svg, samples, "#208040", |s| Some(s.told?.dispatcher));
    legend(&mut svg);
    rate(&mut svg, samples, span);
    svg.push_str("</svg>\n");
    svg
}

fn legend(svg: &mut String) {
    let entries = [
        ("#999", "limit"),
        ("#e0b000", "85 %"),
        ("#c0392b", "working set, peak of the second"),
        ("#2060c0", "anonymous"),
        ("#208040", "dispatcher's ledger"),
    ];
    let mut x = LEFT + 250;
    for (colour, name) in entries {
        put(
            svg,
            &format!("<text x=\"{x}\" y=\"20\" fill=\"{colour}\">{name}</text>"),
        );
        x += 40 + 7 * name.len() as u64;
    }
}

/// Records a second, from what the processor says it has finished.
fn rate(svg: &mut String, samples: &[Sample], span: u64) {
    let rates: Vec<Sample> = samples
        .windows(2)
        .filter_map(|pair| {
            let (before, after) = (pair[0].told?.finished, pair[1].told?.finished);
            let millis = (pair[1].millis - pair[0].millis).max(1);
            Some(Sample {
                millis: pair[1].millis,
                usage: after.saturating_sub(before) * 1000 / millis,
                ..Sample::default()
            })
        })
        .collect();
    let most = rates.iter().map(|s| s.usage).max().unwrap_or(0).max(1);
    let panel = Panel {
        top: TOP + PANEL + GAP,
        height: HEIGHT - TOP - PANEL - GAP - 25,
        span,
        most,
    };
    panel.frame(svg, "records/s", most);
    panel.line(svg, &rates, "#555", |s| Some(s.usage));
    let y = HEIGHT - 8;
    put(svg, &format!("<text x=\"{LEFT}\" y=\"{y}\">0 s</text>"));
    let (x, seconds) = (WIDTH - 60, span / 1000);
    put(
        svg,
        &format!("<text x=\"{x}\" y=\"{y}\">{seconds} s</text>"),
    );
}

/// A rectangle with a scale.
#[derive(Clone, Copy)]
struct Panel {
    top: u64,
    height: u64,
    span: u64,
    most: u64,
}

impl Panel {
    fn frame(&self, svg: &mut String, unit: &str, most: u64) {
        let Self { top, height, .. } = *self;
        let (width, base) = (WIDTH - LEFT - 20, top + height);
        put(
            svg,
            &format!(
                "<rect x=\"{LEFT}\" y=\"{top}\" width=\"{width}\" height=\"{height}\" \
                 fill=\"none\" stroke=\"#ccc\"/>\n\
                 <text x=\"5\" y=\"{y}\">{most} {unit}</text>\n<text x=\"5\" y=\"{base}\">0</text>",
                y = top + 12
            ),
        );
    }

    fn line(
        &self,
        svg: &mut String,
        samples: &[Sample],
        colour: &str,
        value: fn(&Sample) -> Option<u64>,
    ) {
        let mut points = String::new();
        for sample in samples {
            let Some(value) = value(sample) else { continue };
            let x = LEFT + sample.millis * (WIDTH - LEFT - 20) / self.span;
            let y = self.top + self.height - (value.min(self.most) * self.height / self.most);
            write!(points, "{x},{y} ").expect("a string takes every write");
        }
        put(
            svg,
            &format!("<polyline fill=\"none\" stroke=\"{colour}\" points=\"{points}\"/>"),
        );
    }
}

fn put(svg: &mut String, element: &str) {
    svg.push_str(element);
    svg.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::sample::Told;

    #[test]
    fn the_limit_is_at_the_top_and_half_of_it_in_the_middle() {
        let sample = |millis| Sample {
            millis,
            limit: 100 << 20,
            peak: 50 << 20,
            told: Some(Told::default()),
            ..Sample::default()
        };
        let svg = draw("a trial", &[sample(0), sample(1000)]);
        assert!(
            svg.contains("stroke=\"#999\" points=\"70,40 940,40 \""),
            "{svg}"
        );
        assert!(
            svg.contains("stroke=\"#c0392b\" points=\"70,170 940,170 \""),
            "{svg}"
        );
    }
}
