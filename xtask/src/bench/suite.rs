//! The benchmarks: what each compares, and what its reader must know to judge it. How they measure stands at the top of the
//! files in `benches/benches/`.

use anyhow::{Context, Result};

/// One benchmark.
pub(super) struct Bench {
    /// Its file in `benches/benches/`, without the ending.
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    /// For the page: what is compared, and where the comparison is not quite even.
    pub(super) about: &'static str,
    /// Whether the reader thinks of it as so many in a second.
    pub(super) is_rate: bool,
}

pub(super) const SUITE: &[Bench] = &[
    Bench {
        name: "frame",
        title: "Sealing and opening a message",
        about: "Time per message. Length and body are sealed in place with a nonce each (BOLT 8), in runs of 64 messages or \
                64 KiB. The others use one key for good; Oddwire also replaces keys as the protocol wants.",
        is_rate: false,
    },
    Bench {
        name: "send_queue",
        title: "From many threads to one",
        about: "Time per message from the first one sent until the last one is taken. Every producer copies its message from \
                a slice, the consumer looks at one byte of it and frees it; 1,024 messages at most wait. Who finds a queue \
                full or empty yields the processor. The other queues carry `bytes::Bytes`; they leave no room for header and \
                tags, bound no bytes and hand nothing back when they close. With more producers than processors the \
                scheduler takes part in the figure.",
        is_rate: false,
    },
    Bench {
        name: "two_processes",
        title: "From one process to another over loopback TCP",
        about: "Time per message until the receiver's user has it, one thread in each process, up to 512 messages queued \
                at a time (8 of the longest), at most 8,192 messages and 8 MiB under way. LDK is `PeerManager` with `lightning-net-tokio`, its log thrown away and \
                `TCP_NODELAY` set on its sockets as on ours. \"Sealed beforehand\" is a bare socket that writes the same frames, as \
                many bytes at a time as Oddwire does, to one that only reads: nobody seals, opens or looks.",
        is_rate: false,
    },
    Bench {
        name: "rpc",
        title: "Requests over the unix socket",
        about: "Time per `sendcustommsg` of 64 bytes, 64 requests in a write when pipelined. The daemon also looks up the peer, \
                seals and sends, and the peer, in the client's process, reads and opens; the echo server finds the ends of \
                requests and sends back as many bytes, and has a processor for itself. The echo server's figure is a ceiling and \
                no alternative.",
        is_rate: true,
    },
    Bench {
        name: "handshake",
        title: "Handshakes",
        about: "Time per handshake, both sides on one thread, beside the six ECDHs that it cannot do without. \"Keys made\": the two \
                ephemeral keys are computed on either side of the comparison. The handshake reads four points from bytes, \
                which takes a square root each; the ECDHs have theirs ready.",
        is_rate: true,
    },
    Bench {
        name: "onion",
        title: "Onion messages",
        about: "Time per message of 32 bytes: made by its sender for a route, and taken in by one hop that hands it on, up to the \
                next onion and its path key. LDK makes and peels the same onions; its sender also draws the random keys, \
                which Oddwire is given.",
        is_rate: true,
    },
    Bench {
        name: "peers",
        title: "Many connected peers in one process",
        about: "A hub and, in a second process, its peers: Oddwire nodes for either hub. Memory is `VmRSS` after connecting, \
                growth from 10 peers on per peer that came; what the kernel holds for sockets is not in it. A message is \
                timed until the peer has it, one call each, 256 under way. LDK's `process_events`, which each message needs, \
                looks at all peers.",
        is_rate: false,
    },
];

/// The benchmark of this name.
pub(super) fn find(name: &str) -> Result<&'static Bench> {
    SUITE.iter().find(|bench| bench.name == name).with_context(|| {
        let names: Vec<&str> = SUITE.iter().map(|bench| bench.name).collect();
        format!("there is no benchmark {name}; there are {}", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_benchmark_is_known_and_every_known_one_is_there() {
        let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../benches/benches");
        let mut files: Vec<String> = std::fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
            .collect();
        files.sort();
        let mut names: Vec<&str> = SUITE.iter().map(|bench| bench.name).collect();
        names.sort_unstable();
        assert_eq!(files, names);
    }
}
