//! The plots of a run: which figures go into which picture. How a picture is drawn is the business of [`lines`].

mod lines;

use self::lines::{Chart, Point, Series};
use super::measurements::{Measurement, Results};

/// One picture.
pub(super) struct Plot {
    pub(super) file: &'static str,
    /// The benchmark that it belongs to.
    pub(super) bench: &'static str,
    pub(super) title: &'static str,
    pub(super) svg: String,
}

/// Candidates that are in the tables only: lanes that a machine has and does not choose. The pictures are for those who
/// choose between libraries.
const FORCED: &str = "Oddwire, lanes:";

/// What each plot shows.
struct Subject {
    file: &'static str,
    bench: &'static str,
    group: &'static str,
    title: &'static str,
    /// Which cases, and where on the x axis each of them stands.
    place: fn(&str) -> Option<f64>,
    x: &'static str,
    y: &'static str,
}

const SUBJECTS: &[Subject] = &[
    Subject {
        file: "seal.svg",
        bench: "frame",
        group: "frame/seal",
        title: "Sealing a message",
        place: first_number,
        x: "bytes of the message",
        y: "time per message",
    },
    Subject {
        file: "open.svg",
        bench: "frame",
        group: "frame/open",
        title: "Opening a message",
        place: first_number,
        x: "bytes of the message",
        y: "time per message",
    },
    Subject {
        file: "queue-64.svg",
        bench: "send_queue",
        group: "send_queue/64 B",
        title: "From many threads to one, 64 bytes",
        place: producers,
        x: "producers",
        y: "time per message",
    },
    Subject {
        file: "queue-1024.svg",
        bench: "send_queue",
        group: "send_queue/1024 B",
        title: "From many threads to one, 1 KiB",
        place: producers,
        x: "producers",
        y: "time per message",
    },
    Subject {
        file: "two-processes.svg",
        bench: "two_processes",
        group: "two_processes",
        title: "From one process to another over loopback TCP",
        place: first_number,
        x: "bytes of the message",
        y: "time per message",
    },
    Subject {
        file: "peers.svg",
        bench: "peers",
        group: "peers",
        title: "A message to one of many connected peers",
        place: peers,
        x: "connected peers",
        y: "time per message of 64 bytes",
    },
];

/// The plots for which there are figures.
pub(super) fn plots(results: &Results) -> Vec<Plot> {
    SUBJECTS.iter().filter_map(|subject| draw(subject, results)).collect()
}

fn draw(subject: &Subject, results: &Results) -> Option<Plot> {
    let Subject { file, bench, group, title, place, .. } = *subject;
    let of_group: Vec<(&Measurement, f64)> = (results.measurements.iter())
        .filter(|one| one.group == group && one.unit.is_none())
        .filter_map(|one| Some((one, place(&one.case)?)))
        .collect();
    let series: Vec<Series<'_>> = (results.names(group).into_iter())
        .filter(|name| !name.starts_with(FORCED))
        .map(|name| {
            let mut points: Vec<Point> = (of_group.iter())
                .filter(|(one, _)| one.name == name)
                .map(|(one, x)| Point { x: *x, y: one.value, spread: one.noise.unwrap_or_default() })
                .collect();
            points.sort_by(|one, other| one.x.total_cmp(&other.x));
            Series { name, points }
        })
        .filter(|series| !series.points.is_empty())
        .collect();
    let svg = Chart { title, x_title: subject.x, y_title: subject.y, series }.to_svg()?;
    Some(Plot { file, bench, title, svg })
}

/// `64 B` is at 64.
fn first_number(case: &str) -> Option<f64> {
    case.split(' ').next()?.parse().ok()
}

/// `2 producers` is at 2; what has no producer of its own is not shown.
fn producers(case: &str) -> Option<f64> {
    case.contains("producer").then(|| first_number(case)).flatten()
}

/// `message to one of 1000` is at 1000.
fn peers(case: &str) -> Option<f64> {
    case.strip_prefix("message to one of ")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::measurements::measured;
    use super::*;

    #[test]
    fn a_plot_shows_its_group_and_nothing_else() {
        let measurements = vec![
            measured("peers", "message to one of 10", "Oddwire", 700.0),
            measured("peers", "message to one of 10000", "Oddwire", 710.0),
            measured("peers", "message to one of 10", "LDK <&>", 1500.0),
            measured("peers", "time to connect all", "nobody", 1.0),
        ];
        let plots = plots(&Results { measurements, notes: Vec::new() });
        let [plot] = &plots[..] else { panic!("{} plots", plots.len()) };
        assert_eq!((plot.file, plot.bench), ("peers.svg", "peers"));
        assert!(plot.svg.contains("LDK &lt;&amp;&gt;") && !plot.svg.contains("nobody"));
    }
}
