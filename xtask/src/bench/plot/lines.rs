//! A line chart as SVG: logarithmic axes, time upwards, a line with marks for each series, the names beside the data and not
//! over it. Readable on light and dark pages, and without telling colours apart: each series has a mark of its own.

use std::fmt::Write as _;

use super::super::report::duration;

/// A chart, before it is drawn.
pub(super) struct Chart<'a> {
    pub(super) title: &'a str,
    pub(super) x_title: &'a str,
    pub(super) y_title: &'a str,
    /// The first is drawn to be seen first.
    pub(super) series: Vec<Series<'a>>,
}

/// One line: its points from left to right.
pub(super) struct Series<'a> {
    pub(super) name: &'a str,
    pub(super) points: Vec<Point>,
}

pub(super) struct Point {
    pub(super) x: f64,
    /// Nanoseconds.
    pub(super) y: f64,
    /// How far it may be off, as a part of it.
    pub(super) spread: f64,
}

/// The picture and the place of the data in it, in pixels.
const WIDTH: f64 = 880.0;
const HEIGHT: f64 = 440.0;
const LEFT: f64 = 84.0;
const RIGHT: f64 = 620.0;
const TOP: f64 = 68.0;
const BOTTOM: f64 = 380.0;
/// Where the names of the series begin.
const NAMES: f64 = 648.0;

/// The colours of a page and of what is drawn on it.
struct Palette {
    page: &'static str,
    ink: &'static str,
    soft: &'static str,
    grid: &'static str,
    /// Of each series in turn. Most eyes tell them apart; marks do for all.
    series: [&'static str; 9],
}

const LIGHT: Palette = Palette {
    page: "#ffffff",
    ink: "#1c1e21",
    soft: "#5b6068",
    grid: "#e3e5e8",
    series: [
        "#0b57d0", "#b3470b", "#1b7f3b", "#8c2f9c", "#7a6200", "#0a7c86", "#ad1f4f", "#555555", "#5a3fc0",
    ],
};

const DARK: Palette = Palette {
    page: "#15181c",
    ink: "#e8eaed",
    soft: "#a2a8b0",
    grid: "#2d3238",
    series: [
        "#7cb3ff", "#ff9e64", "#6fd08c", "#dc8ff0", "#e3c34b", "#5fd3dc", "#ff8fb0", "#b8b8b8", "#a99bff",
    ],
};

impl Chart<'_> {
    /// The picture; `None` if there is nothing to show.
    pub(super) fn to_svg(&self) -> Option<String> {
        let x = Scale::new(self.points().map(|point| point.x), 0.04, LEFT, RIGHT)?;
        let y = Scale::new(self.points().map(|point| point.y), 0.08, BOTTOM, TOP)?;
        let mut svg = String::new();
        self.head(&mut svg);
        y_axis(&y, &mut svg);
        self.x_axis(&x, &mut svg);
        // The first one last, so that it lies above the others.
        for (number, series) in self.series.iter().enumerate().rev() {
            draw_series(number, series, &x, &y, &mut svg);
        }
        self.names(&mut svg);
        put(&mut svg, format_args!("</svg>"));
        Some(svg)
    }

    fn points(&self) -> impl Iterator<Item = &Point> {
        self.series.iter().flat_map(|series| &series.points)
    }

    fn head(&self, svg: &mut String) {
        let title = escaped(self.title);
        put(
            svg,
            format_args!(
                r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img" aria-label="{title}">"#
            ),
        );
        put(
            svg,
            format_args!(
                "<style>text{{font-family:system-ui,-apple-system,'Segoe UI',sans-serif;font-size:13px}}\
                 .title{{font-size:17px;font-weight:600}}.line{{fill:none;stroke-width:1.6}}.bar{{opacity:.55}}\
                 .hole{{stroke-width:1.6}}.s0 .line{{stroke-width:3}}.s0 text{{font-weight:600}}\n{}\
                 @media (prefers-color-scheme:dark){{\n{}}}</style>",
                rules(&LIGHT),
                rules(&DARK)
            ),
        );
        put(svg, format_args!(r#"<rect class="page" width="{WIDTH}" height="{HEIGHT}" rx="6"/>"#));
        put(svg, format_args!(r#"<text class="title" x="24" y="30">{title}</text>"#));
        put(
            svg,
            format_args!(
                r#"<text class="soft" x="24" y="51">{}; lower is better; logarithmic scales</text>"#,
                escaped(self.y_title)
            ),
        );
    }

    /// Its ticks are the places where something was measured.
    fn x_axis(&self, x: &Scale, svg: &mut String) {
        let mut values: Vec<f64> = self.points().map(|point| point.x).collect();
        values.sort_by(f64::total_cmp);
        values.dedup();
        for value in values {
            let at = x.place(value);
            put(
                svg,
                format_args!(
                    r#"<line class="grid" x1="{at:.1}" x2="{at:.1}" y1="{TOP}" y2="{:.1}"/>"#,
                    BOTTOM + 5.0
                ),
            );
            put(
                svg,
                format_args!(
                    r#"<text class="soft" x="{at:.1}" y="{:.1}" text-anchor="middle">{}</text>"#,
                    BOTTOM + 22.0,
                    grouped(value)
                ),
            );
        }
        let middle = f64::midpoint(LEFT, RIGHT);
        put(
            svg,
            format_args!(
                r#"<text class="soft" x="{middle:.1}" y="{:.1}" text-anchor="middle">{}</text>"#,
                BOTTOM + 44.0,
                escaped(self.x_title)
            ),
        );
    }

    /// The names in the order in which the lines end, from above.
    fn names(&self, svg: &mut String) {
        let mut order: Vec<(usize, f64)> = (self.series.iter().enumerate())
            .map(|(number, series)| (number, series.points.last().map_or(0.0, |point| point.y)))
            .collect();
        order.sort_by(|(_, one), (_, other)| other.total_cmp(one));
        let mut at = TOP + 12.0;
        for (number, _) in order {
            let Some(series) = self.series.get(number) else { continue };
            put(svg, format_args!(r#"<g class="s{}">"#, number % LIGHT.series.len()));
            put(
                svg,
                format_args!(
                    r#"<line class="line" x1="{:.1}" x2="{:.1}" y1="{at:.1}" y2="{at:.1}"/>"#,
                    NAMES,
                    NAMES + 26.0
                ),
            );
            put(svg, format_args!("{}", mark(number, NAMES + 13.0, at)));
            put(
                svg,
                format_args!(
                    r#"<text x="{:.1}" y="{:.1}">{}</text></g>"#,
                    NAMES + 36.0,
                    at + 4.5,
                    escaped(series.name)
                ),
            );
            at += 25.0;
        }
    }
}

fn y_axis(y: &Scale, svg: &mut String) {
    for value in y.ticks() {
        let at = y.place(value);
        put(svg, format_args!(r#"<line class="grid" x1="{LEFT}" x2="{RIGHT}" y1="{at:.1}" y2="{at:.1}"/>"#));
        let text = duration(value).replace(".00 ", " ").replace(".0 ", " ");
        put(
            svg,
            format_args!(
                r#"<text class="soft" x="{:.1}" y="{:.1}" text-anchor="end">{text}</text>"#,
                LEFT - 10.0,
                at + 4.5
            ),
        );
    }
}

fn draw_series(number: usize, series: &Series<'_>, x: &Scale, y: &Scale, svg: &mut String) {
    put(svg, format_args!(r#"<g class="s{}">"#, number % LIGHT.series.len()));
    let mut line = String::new();
    for point in &series.points {
        let _ = write!(line, "{:.1},{:.1} ", x.place(point.x), y.place(point.y));
    }
    put(svg, format_args!(r#"<polyline class="line" points="{}"/>"#, line.trim_end()));
    for point in &series.points {
        let (at, middle) = (x.place(point.x), y.place(point.y));
        let ends = [1.0 - point.spread, 1.0 + point.spread].map(|part| y.place(point.y * part.max(0.01)));
        let [low, high] = ends.map(|end| end.clamp(TOP, BOTTOM));
        put(
            svg,
            format_args!(r#"<line class="bar" x1="{at:.1}" x2="{at:.1}" y1="{low:.1}" y2="{high:.1}"/>"#),
        );
        put(svg, format_args!("{}", mark(number, at, middle)));
    }
    put(svg, format_args!("</g>"));
}

/// The colours as rules of CSS. No variables: not all that shows SVG knows them.
fn rules(palette: &Palette) -> String {
    let Palette { page, ink, soft, grid, series } = palette;
    let mut rules = String::new();
    put(
        &mut rules,
        format_args!(
            ".page{{fill:{page}}}text{{fill:{ink}}}.soft{{fill:{soft}}}.grid{{stroke:{grid}}}.hole{{fill:{page}}}"
        ),
    );
    for (number, colour) in series.iter().enumerate() {
        put(
            &mut rules,
            format_args!(
                ".s{number} .line,.s{number} .bar,.s{number} .hole{{stroke:{colour}}}.s{number} .mark{{fill:{colour}}}"
            ),
        );
    }
    rules
}

/// A shape of its own for each series.
fn mark(number: usize, x: f64, y: f64) -> String {
    let class = if number < 5 { "mark" } else { "hole" };
    let polygon = |corners: &[(f64, f64)]| {
        let corners: Vec<String> =
            corners.iter().map(|(right, down)| format!("{:.1},{:.1}", x + right, y + down)).collect();
        format!(r#"<polygon class="{class}" points="{}"/>"#, corners.join(" "))
    };
    match number % 5 {
        0 => format!(r#"<circle class="{class}" cx="{x:.1}" cy="{y:.1}" r="4.5"/>"#),
        1 => polygon(&[(-4.0, -4.0), (4.0, -4.0), (4.0, 4.0), (-4.0, 4.0)]),
        2 => polygon(&[(0.0, -5.5), (5.0, 4.0), (-5.0, 4.0)]),
        3 => polygon(&[(0.0, -5.5), (5.5, 0.0), (0.0, 5.5), (-5.5, 0.0)]),
        _ => polygon(&[(0.0, 5.5), (5.0, -4.0), (-5.0, -4.0)]),
    }
}

/// From values to pixels, logarithmically: times and sizes here span several powers of ten.
struct Scale {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Scale {
    /// Around all values, with some room at both ends; `None` without values.
    fn new(values: impl Iterator<Item = f64>, room: f64, from: f64, to: f64) -> Option<Scale> {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.map(logarithm) {
            low = low.min(value);
            high = high.max(value);
        }
        if low > high {
            return None;
        }
        let margin = ((high - low) * room).max(0.02);
        Some(Scale { low: low - margin, high: high + margin, from, to })
    }

    fn place(&self, value: f64) -> f64 {
        self.from + (logarithm(value) - self.low) / (self.high - self.low) * (self.to - self.from)
    }

    /// Round values between the ends: powers of ten, and 2 and 5 between them if there are few.
    fn ticks(&self) -> Vec<f64> {
        let steps: &[f64] = if self.high - self.low > 3.0 { &[1.0] } else { &[1.0, 2.0, 5.0] };
        let mut ticks = Vec::new();
        let mut power = self.low.floor();
        while power <= self.high {
            ticks.extend(steps.iter().map(|step| step * 10_f64.powf(power)));
            power += 1.0;
        }
        ticks.retain(|tick| (self.low..=self.high).contains(&tick.log10()));
        ticks
    }
}

/// Of what is not positive, as if it were next to nothing.
fn logarithm(value: f64) -> f64 {
    value.max(f64::MIN_POSITIVE).log10()
}

/// A number as it stands at an axis.
fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    match digits.len().checked_sub(3).filter(|first| *first > 0) {
        Some(first) => {
            format!("{},{}", digits.get(..first).unwrap_or_default(), digits.get(first..).unwrap_or_default())
        }
        None => digits,
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Writing to a string does not fail.
fn put(svg: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = writeln!(svg, "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_puts_the_least_at_one_end_and_the_most_at_the_other() {
        let scale = Scale::new([100.0, 10_000.0].into_iter(), 0.0, 0.0, 100.0).unwrap();
        assert!(scale.place(100.0) < 2.0 && scale.place(10_000.0) > 98.0);
        assert!((scale.place(1000.0) - 50.0).abs() < 1e-9);
        assert_eq!(scale.ticks(), [100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, 10_000.0]);
    }

    #[test]
    fn one_point_is_drawn_and_no_point_is_not() {
        let chart = |points| Chart {
            title: "a title",
            x_title: "x",
            y_title: "y",
            series: vec![Series { name: "ours", points }],
        };
        let svg = chart(vec![Point { x: 5.0, y: 7.0, spread: 0.1 }]).to_svg().unwrap();
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        assert!(chart(Vec::new()).to_svg().is_none());
    }
}
