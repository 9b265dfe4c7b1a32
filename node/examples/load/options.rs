//! What the command line says.

use std::env;
use std::str::FromStr;

/// The size of the proof.
#[derive(Debug)]
pub(crate) struct Options {
    /// Honest peers.
    pub(crate) peers: u32,
    /// Wolves of each of the three kinds.
    pub(crate) hostile: u32,
    /// How long each part is measured.
    pub(crate) seconds: u64,
    /// How often all attacks are played.
    pub(crate) rounds: u32,
    /// Messages of all honest peers together, in a second.
    pub(crate) rate: u32,
    /// How many times the quiet 99th percentile the worst one may be.
    pub(crate) ratio: Option<f64>,
}

impl Options {
    /// Reads `--NAME VALUE` pairs.
    pub(crate) fn read() -> Options {
        let mut options =
            Options { peers: 1_000, hostile: 100, seconds: 5, rounds: 1, rate: 1_000, ratio: None };
        let mut words = env::args().skip(1);
        while let Some(name) = words.next() {
            let value = words.next().unwrap_or_default();
            match name.as_str() {
                "--peers" => options.peers = number(&name, &value),
                "--hostile" => options.hostile = number(&name, &value),
                "--seconds" => options.seconds = number(&name, &value),
                "--rounds" => options.rounds = number(&name, &value),
                "--rate" => options.rate = number(&name, &value),
                "--ratio" => options.ratio = Some(number(&name, &value)),
                _ => panic!(
                    "there is no option {name}; there are --peers, --hostile, --seconds, --rounds, --rate and --ratio"
                ),
            }
        }
        assert!(
            options.peers > 0 && options.rate > 0 && options.seconds > 0 && options.rounds > 0,
            "nothing can be measured without"
        );
        options
    }
}

fn number<T: FromStr>(name: &str, value: &str) -> T {
    value.parse().unwrap_or_else(|_| panic!("{name} wants a number, not {value:?}"))
}
