//! What is measured: latencies at the crowd, memory and descriptors of the hub; and where figures go.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What the crowd says of one part, as one line.
#[derive(Debug)]
pub(crate) struct Latency {
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    /// The same within one second, as it was in half of the seconds: what else a machine does comes in bursts.
    pub(crate) typical_p99: Duration,
    pub(crate) max: Duration,
    pub(crate) sent: u64,
    pub(crate) lost: u64,
    pub(crate) damaged: u64,
    /// The slowest of those who connected meanwhile.
    pub(crate) newcomer: Duration,
    pub(crate) refused_newcomers: u64,
}

impl Latency {
    /// Of the line that [`Latency::line`] makes.
    pub(crate) fn read(line: &str) -> Latency {
        let numbers: Vec<u64> = line.split(' ').map(|word| word.parse().expect("a number")).collect();
        let time = |index: usize| Duration::from_nanos(numbers[index]);
        Latency {
            p50: time(0),
            p99: time(1),
            max: time(2),
            sent: numbers[3],
            lost: numbers[4],
            damaged: numbers[5],
            newcomer: time(6),
            refused_newcomers: numbers[7],
            typical_p99: time(8),
        }
    }

    /// For the other process.
    pub(crate) fn line(&self) -> String {
        let time = |time: Duration| time.as_nanos().to_string();
        [
            time(self.p50),
            time(self.p99),
            time(self.max),
            self.sent.to_string(),
            self.lost.to_string(),
            self.damaged.to_string(),
            time(self.newcomer),
            self.refused_newcomers.to_string(),
            time(self.typical_p99),
        ]
        .join(" ")
    }

    /// Median, 99th percentile, the longest, and the 99th percentile of a typical second.
    pub(crate) fn times(&self) -> String {
        let millis = |time: Duration| time.as_secs_f64() * 1_000.0;
        let [p50, p99, max, typical] = [self.p50, self.p99, self.max, self.typical_p99].map(millis);
        format!("median {p50:.2}, 99 % {p99:.2}, longest {max:.2}, 99 % of a typical second {typical:.2} ms")
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}; {} sent, {} lost, slowest newcomer {} ms",
            self.times(),
            self.sent,
            self.lost,
            self.newcomer.as_millis()
        )
    }
}

/// A running process, seen from outside.
#[derive(Debug)]
pub(crate) struct Process {
    directory: PathBuf,
}

impl Process {
    pub(crate) fn of(id: u32) -> Process {
        Process { directory: Path::new("/proc").join(id.to_string()) }
    }

    /// Memory that lies in the machine's, in bytes.
    pub(crate) fn resident(&self) -> u64 {
        self.status("VmRSS:")
    }

    /// The most that it ever was.
    pub(crate) fn peak_resident(&self) -> u64 {
        self.status("VmHWM:")
    }

    /// Open files and sockets.
    pub(crate) fn descriptors(&self) -> usize {
        fs::read_dir(self.directory.join("fd")).expect("the process lives").count()
    }

    /// Time on a processor, in user and system mode.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(self.directory.join("stat")).expect("the process lives");
        // The second field is the program's name, in parentheses and with whatever in it. From the third on: 14 and 15.
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
        let ticks: u64 = fields[11..=12].iter().map(|field| field.parse::<u64>().expect("a number")).sum();
        // Linux counts them in hundredths of a second, whatever the kernel's own clock does.
        Duration::from_millis(ticks * 10)
    }

    fn status(&self, name: &str) -> u64 {
        let status = fs::read_to_string(self.directory.join("status")).expect("the process lives");
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a line about it");
        let kib: u64 = line.trim().trim_end_matches(" kB").trim().parse().expect("a number");
        kib * 1024
    }
}

/// Names the directory that figures are written to.
const FIGURES: &str = "ODDWIRE_FIGURES";

/// The figures of a proof: what was counted, and how much it was.
#[derive(Debug)]
pub(crate) struct Figures {
    name: &'static str,
    lines: Vec<(String, String)>,
}

impl Figures {
    pub(crate) fn new(name: &'static str) -> Figures {
        Figures { name, lines: Vec::new() }
    }

    pub(crate) fn add(&mut self, what: &str, value: impl fmt::Display) {
        self.lines.push((what.to_owned(), value.to_string()));
    }

    /// Into the directory that is asked for, if one is.
    pub(crate) fn write(&self) {
        let Some(directory) = std::env::var_os(FIGURES) else { return };
        let lines: Vec<String> = self.lines.iter().map(|(what, value)| format!("{what}\t{value}")).collect();
        let path = Path::new(&directory).join(format!("{}.tsv", self.name));
        fs::write(&path, lines.join("\n") + "\n")
            .unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.lines.iter().map(|(what, _)| what.len()).max().unwrap_or_default();
        self.lines.iter().try_for_each(|(what, value)| writeln!(f, "  {what:<width$}  {value}"))
    }
}
