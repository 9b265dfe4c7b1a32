//! Every accepted message arrives or is told as unsent, to the byte.
//!
//! Between two nodes stands a relay that counts what the one writes, and stops reading at some point, so that messages pile up.
//! Then it forges a frame, and the writer ends the connection at once. The relay reads on until the end of the stream, so it sees all that
//! the system was given: frames have a known length, and how many of them are whole is how many messages were sent. These, and
//! no others, arrive; all others must have been told.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use serde_json::{Value, json};

use crate::chance::Chance;
use crate::figures::record;
use crate::kills::{Node, assert_counts, number_of, numbers_of};
use crate::running::{Process, follow, oddwire_cli, wait_for};

const ROUNDS: u64 = 8;
/// Bytes that a frame has besides the message (BOLT 8: length, its tag, the body's tag).
const OVERHEAD: u64 = 2 + 16 + 16;

#[test]
fn what_was_accepted_was_written_or_is_told_as_unsent() {
    let mut chance = Chance::new(13);
    let (mut writer, mut reader) = (Node::new(), Node::new());
    // What a person would look at.
    let mut shown =
        Process::spawn(oddwire_cli(&writer.daemon.dir).args(["listen", "--unsent"]).stderr(Stdio::piped()));
    wait_for(&follow(shown.child.stderr.take().unwrap()), "# listening");
    let (mut accepted, mut written, mut unsent) = (0, 0, 0);
    for round in 0..ROUNDS {
        let relay = Relay::start(&writer, chance.below(2_000_000));
        reader.daemon.call(&["connect", &writer.daemon.id, "127.0.0.1", &relay.port.to_string()]);
        let before = relay.count.load(Ordering::Acquire);
        // More than the system's buffers hold; what the queue does not take is refused.
        let lengths: Vec<u64> = (0..300).map(|_| 20_000 + chance.below(40_000)).collect();
        let mut client = writer.client();
        let mut frames = Vec::new();
        for length in lengths {
            let start = format!("8001{round:016x}{:016x}", frames.len());
            let message = start + &"00".repeat(usize::try_from(length).unwrap());
            if client.try_call("sendcustommsg", &json!([reader.daemon.id, message])).unwrap().is_ok() {
                frames.push(message.len() as u64 / 2 + OVERHEAD);
            }
        }
        (&relay.to_writer).write_all(&[7; 64]).unwrap();
        while client.call("listpeers", &json!({}))["peers"] != json!([]) {
            thread::yield_now();
        }
        // It may not have come as far as that.
        let _ = relay.go_on.send(());
        let mut rest = relay.end.join().unwrap() - before;
        let whole = frames.iter().take_while(|frame| {
            let is_whole = **frame <= rest;
            rest -= if is_whole { **frame } else { 0 };
            is_whole
        });
        let whole = whole.count() as u64;

        // The reader comes to the end of the stream as well.
        while reader.client().call("listpeers", &json!({}))["peers"] != json!([]) {
            thread::yield_now();
        }
        // A mark in each direction stands behind all of this round.
        reader.daemon.connect(&writer.daemon);
        let arrived = numbers_of(until_mark(&mut writer, &mut reader).into_iter());
        assert_counts(&arrived);
        let all = frames.len() as u64;
        assert_eq!(arrived.len() as u64, whole, "round {round}: {all} accepted");
        let told = until_mark(&mut reader, &mut writer);
        assert_eq!(told.len() as u64, all - whole, "round {round}: {all} accepted, {whole} written");
        for (number, message) in (whole..).zip(&told) {
            assert_eq!(message["method"], "custommsg_unsent");
            assert_eq!(message["params"]["length"], frames[usize::try_from(number).unwrap()] - OVERHEAD);
            let line: Value = serde_json::from_str(&shown.wait_for_line("unsent")).unwrap();
            for member in ["length", "payload", "reason"] {
                assert_eq!(line["unsent"].get(member), message["params"].get(member));
            }
            assert!(message["params"].get("payload").is_none() || number_of(message) == number, "{message}");
        }
        reader.daemon.call(&["disconnect", &writer.daemon.id, "true"]);
        accepted += all;
        written += whole;
        unsent += all - whole;
    }
    assert!(written > 0 && unsent > 0);
    record("messages accepted while the way to the peer was blocked", accepted);
    record("of these, written in whole and arrived", written);
    record("of these, told as unsent when the connection was ended", unsent);
    record("messages lost without word", accepted - written - unsent);
}

/// What the one has to tell until a last message of the other has come.
fn until_mark(from: &mut Node, to: &mut Node) -> Vec<Value> {
    from.client().call("sendcustommsg", &json!([to.daemon.id, "8003"]));
    let messages = std::iter::from_fn(|| to.subscriber.next());
    messages.take_while(|message| message["params"]["payload"] != "8003").collect()
}

/// Takes one connection and passes it on to the writer.
struct Relay {
    port: u16,
    to_writer: TcpStream,
    /// Bytes that the writer has written so far.
    count: Arc<AtomicU64>,
    /// Lets it read on.
    go_on: Sender<()>,
    /// All that it has written, when it has closed.
    end: JoinHandle<u64>,
}

impl Relay {
    /// Reads so many bytes from the writer, and no more until it is told to.
    fn start(writer: &Node, stop_after: u64) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let writer_port = writer.daemon.call(&["getinfo"])["binding"][0]["port"].to_string();
        let count = Arc::new(AtomicU64::new(0));
        let (go_on, stopped) = channel();
        let counted = Arc::clone(&count);
        let writer = TcpStream::connect(format!("127.0.0.1:{writer_port}")).unwrap();
        let to_writer = writer.try_clone().unwrap();
        let end = thread::spawn(move || {
            let (reader, _) = listener.accept().unwrap();
            let (from_reader, passed) = (reader.try_clone().unwrap(), writer.try_clone().unwrap());
            thread::spawn(move || pass_back(from_reader, passed));
            count_and_pass(writer, reader, &counted, stop_after, &stopped)
        });
        Relay { port, to_writer, count, go_on, end }
    }
}

/// Until the reader is gone; the writer sees it as the end of the stream.
fn pass_back(mut from: TcpStream, mut to: TcpStream) {
    // An error of either side is its end.
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}

fn count_and_pass(
    mut from: TcpStream,
    mut to: TcpStream,
    counted: &AtomicU64,
    stop_after: u64,
    stopped: &Receiver<()>,
) -> u64 {
    let mut buffer = vec![0; 64 * 1024];
    let (mut count, mut is_stopped) = (0, false);
    loop {
        if count >= stop_after && !is_stopped {
            is_stopped = true;
            stopped.recv().unwrap();
        }
        let read = from.read(&mut buffer).unwrap();
        count += read as u64;
        counted.store(count, Ordering::Release);
        // The reader may be gone.
        let _ = if read == 0 { to.shutdown(Shutdown::Write) } else { to.write_all(&buffer[..read]) };
        if read == 0 {
            return count;
        }
    }
}
