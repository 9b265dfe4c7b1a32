//! What the project wants to reach, and whether one run has reached it.
//!
//! An aim is a ratio of two figures of the same run, or a figure itself. Where it is "not slower than" or "the same as",
//! the noise of the two figures is granted, up to a twentieth, for two equal things differ by it; a factor gets nothing.

use super::machine::has_feature;
use super::measurements::{Measurement, Results};

const OURS: &str = "Oddwire";

/// The most noise that is granted: a run that is noisier proves nothing by it.
const MOST_NOISE: f64 = 0.05;

/// One aim.
#[derive(Debug)]
pub(super) struct Aim {
    /// What is wanted, in words.
    pub(super) wanted: String,
    /// What came out, in words.
    pub(super) measured: String,
    pub(super) is_met: bool,
    /// The measurement, as criterion names it, whose profile shows why the aim is missed.
    pub(super) id: String,
    /// Where the time goes, if the aim is missed.
    pub(super) profile: Option<String>,
}

/// The aims for which there are figures.
pub(super) fn aims(results: &Results) -> Vec<Aim> {
    [frame, send_queue, two_processes, rpc, handshake, peers].iter().flat_map(|aims| aims(results)).collect()
}

fn frame(results: &Results) -> Vec<Aim> {
    let mut aims = Vec::new();
    let factor = match (has_feature("avx512f"), has_feature("avx2")) {
        (true, _) => Some((4.0, "AVX-512")),
        (_, true) => Some((2.5, "AVX2")),
        _ => None,
    };
    for (group, word) in [("frame/seal", "seal"), ("frame/open", "open")] {
        if let Some((factor, lanes)) = factor
            && let Some((ours, ring)) = pair(results, group, "64 B", "ring")
        {
            let wanted = format!("{word} 64 B: {factor} × as fast as `ring`, with {lanes}");
            aims.push(at_least(wanted, factor, ring.value / ours.value, ours));
        }
        if let Some((ours, best)) = best_other(results, group, "65535 B") {
            let wanted = format!("{word} 65,535 B: not slower than the best (`{}`)", best.name);
            aims.push(at_least(wanted, 1.0 - noise(ours, best), best.value / ours.value, ours));
        }
    }
    aims
}

fn send_queue(results: &Results) -> Vec<Aim> {
    let mut cases = Vec::new();
    for group in results.groups("send_queue") {
        for case in results.cases(group).into_iter().filter(|case| case.contains("producer")) {
            if let Some((ours, tokio)) = pair(results, group, case, "tokio::sync::mpsc")
                && let Some((_, best)) = best_other(results, group, case)
            {
                cases.push((ours, tokio.value / ours.value, best.value / ours.value));
            }
        }
    }
    let all = "64 B and 1 KiB, 1 to 8 producers";
    let over_tokio = cases.iter().map(|(ours, tokio, _)| (*ours, *tokio));
    let over_best = cases.iter().map(|(ours, _, best)| (*ours, *best));
    let aims = [
        worst(format!("queue, {all}: 3 × as fast as tokio's, everywhere"), 3.0, over_tokio.collect()),
        worst(format!("queue, {all}: 1.5 × as fast as the best, everywhere"), 1.5, over_best.collect()),
    ];
    aims.into_iter().flatten().collect()
}

/// An aim for many cases: the worst decides, and the one in the middle is told.
fn worst(wanted: String, least: f64, mut ratios: Vec<(&Measurement, f64)>) -> Option<Aim> {
    ratios.sort_by(|(_, one), (_, other)| one.total_cmp(other));
    let (ours, ratio) = *ratios.first()?;
    let (_, median) = ratios.get(ratios.len() / 2)?;
    let mut aim = at_least(wanted, least, ratio, ours);
    let (size, case) = (size_of(&ours.group), &ours.case);
    aim.measured =
        format!("{} at worst ({size}, {case}), {} in the median case", aim.measured, times(*median));
    Some(aim)
}

fn two_processes(results: &Results) -> Vec<Aim> {
    let group = "two_processes";
    let mut aims = Vec::new();
    for (case, factor) in [("64 B", 10.0), ("65535 B", 3.0)] {
        if let Some((ours, ldk)) = pair(results, group, case, "LDK") {
            let wanted = format!("two processes, {case}: {factor} × as fast as LDK");
            aims.push(at_least(wanted, factor, ldk.value / ours.value, ours));
        }
    }
    for case in results.cases(group) {
        if let Some((ours, sealed)) = pair(results, group, case, "sealed beforehand") {
            let wanted = format!("two processes, {case}: within 20 % of the same bytes, sealed beforehand");
            aims.push(at_most(wanted, 1.2, ours.value / sealed.value, ours));
        }
    }
    aims
}

fn rpc(results: &Results) -> Vec<Aim> {
    pair(results, "rpc", "requests, pipelined", "echo server")
        .map(|(ours, echo)| {
            let wanted = "requests, pipelined: 70 % of a bare echo server's".to_owned();
            percent(wanted, 0.70, echo.value / ours.value, ours)
        })
        .into_iter()
        .collect()
}

fn handshake(results: &Results) -> Vec<Aim> {
    pair(results, "handshake", "ephemeral keys ready", "six ECDHs")
        .map(|(ours, ecdhs)| {
            let wanted = "handshakes: 85 % of what the ECDHs allow".to_owned();
            percent(wanted, 0.85, ecdhs.value / ours.value, ours)
        })
        .into_iter()
        .collect()
}

fn peers(results: &Results) -> Vec<Aim> {
    let group = "peers";
    let mut aims = Vec::new();
    let costs: Vec<&Measurement> = (results.measurements.iter())
        .filter(|one| one.group == group && one.name == OURS && one.case.starts_with("message to one of"))
        .collect();
    for memory in &results.measurements {
        if memory.name == OURS && memory.case.starts_with("resident memory per idle peer") {
            let peers = memory.case.split(", ").last().unwrap_or_default();
            let id = costs.last().map_or_else(|| group.to_owned(), |cost| id(cost));
            aims.push(Aim {
                wanted: format!("{peers}: at most 12 KiB of resident memory per idle peer"),
                measured: format!("{:.1} KiB", memory.value),
                is_met: memory.value <= 12.0,
                id,
                profile: None,
            });
        }
    }
    if let [few, .., many] = costs[..] {
        let wanted = format!("a {} costs the same as to one of 10", many.case);
        let granted = 1.0 + noise(few, many);
        aims.push(at_most(wanted, granted, many.value / few.value, many));
    }
    aims
}

/// Ours and one other in a case.
fn pair<'a>(
    results: &'a Results,
    group: &str,
    case: &str,
    other: &str,
) -> Option<(&'a Measurement, &'a Measurement)> {
    results.get(group, case, OURS).zip(results.get(group, case, other))
}

/// Ours and the fastest of those that are not ours.
fn best_other<'a>(
    results: &'a Results,
    group: &str,
    case: &str,
) -> Option<(&'a Measurement, &'a Measurement)> {
    let ours = results.get(group, case, OURS)?;
    let best = (results.measurements.iter())
        .filter(|one| one.group == group && one.case == case)
        .filter(|one| !one.name.starts_with(OURS))
        .min_by(|one, other| one.value.total_cmp(&other.value))?;
    Some((ours, best))
}

fn at_least(wanted: String, least: f64, ratio: f64, ours: &Measurement) -> Aim {
    Aim { wanted, measured: times(ratio), is_met: ratio >= least, id: id(ours), profile: None }
}

fn at_most(wanted: String, most: f64, ratio: f64, ours: &Measurement) -> Aim {
    Aim {
        wanted,
        measured: format!("{} the time", times(ratio)),
        is_met: ratio <= most,
        id: id(ours),
        profile: None,
    }
}

fn percent(wanted: String, least: f64, ratio: f64, ours: &Measurement) -> Aim {
    let measured = format!("{:.0} %", ratio * 100.0);
    Aim { wanted, measured, is_met: ratio >= least, id: id(ours), profile: None }
}

/// A ratio with the digits that mean something.
pub(super) fn times(ratio: f64) -> String {
    if ratio >= 100.0 {
        format!("{ratio:.0} ×")
    } else if ratio >= 10.0 {
        format!("{ratio:.1} ×")
    } else {
        format!("{ratio:.2} ×")
    }
}

/// How far the ratio of these two may be off when they are equal.
fn noise(one: &Measurement, other: &Measurement) -> f64 {
    (one.noise.unwrap_or_default() + other.noise.unwrap_or_default()).min(MOST_NOISE)
}

/// The message's size in the name of a group of the queue.
fn size_of(group: &str) -> &str {
    group.split('/').next_back().unwrap_or(group)
}

/// As criterion names it.
fn id(one: &Measurement) -> String {
    format!("{}/{}/{}", one.group, one.name, one.case)
}

#[cfg(test)]
mod tests {
    use super::super::measurements::measured;
    use super::*;

    fn results(figures: &[(&str, &str, &str, f64)]) -> Results {
        let measurements =
            figures.iter().map(|(group, case, name, value)| measured(group, case, name, *value)).collect();
        Results { measurements, notes: Vec::new() }
    }

    #[test]
    fn the_worst_case_of_the_queue_decides() {
        let aims = aims(&results(&[
            ("send_queue/64 B", "same thread, 32 at a time", OURS, 900.0),
            ("send_queue/64 B", "same thread, 32 at a time", "tokio::sync::mpsc", 9.0),
            ("send_queue/64 B", "1 producer", OURS, 100.0),
            ("send_queue/64 B", "1 producer", "tokio::sync::mpsc", 400.0),
            ("send_queue/64 B", "1 producer", "flume", 140.0),
            ("send_queue/64 B", "2 producers", OURS, 100.0),
            ("send_queue/64 B", "2 producers", "tokio::sync::mpsc", 300.0),
            ("send_queue/64 B", "2 producers", "flume", 160.0),
        ]));
        let [tokio, best] = &aims[..] else { panic!("{aims:?}") };
        assert_eq!(
            (tokio.measured.as_str(), tokio.is_met),
            ("3.00 × at worst (64 B, 2 producers), 4.00 × in the median case", true)
        );
        assert_eq!(
            (best.measured.as_str(), best.is_met),
            ("1.40 × at worst (64 B, 1 producer), 1.60 × in the median case", false)
        );
        assert_eq!(best.id, "send_queue/64 B/Oddwire/1 producer");
    }

    #[test]
    fn noise_is_granted_to_the_same_and_not_to_a_factor() {
        let case = "message to one of";
        let aims = aims(&results(&[
            ("two_processes", "64 B", OURS, 100.1),
            ("two_processes", "64 B", "LDK", 1000.0),
            ("peers", &format!("{case} 10"), OURS, 100.0),
            ("peers", &format!("{case} 1000"), OURS, 180.0),
            ("peers", &format!("{case} 10000"), OURS, 103.0),
        ]));
        let met: Vec<bool> = aims.iter().map(|aim| aim.is_met).collect();
        assert_eq!(met, [false, true], "{aims:?}");
    }

    #[test]
    fn without_figures_there_are_no_aims() {
        assert!(aims(&Results::default()).is_empty());
    }
}
