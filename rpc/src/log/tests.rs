//! Tests of the filter and of the line's form.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use tracing_subscriber::layer::SubscriberExt as _;

use super::line::{LineLayer, format_line, printable};
use super::place::{Place, Sink};
use super::{Filter, Head, Level, LevelRule, Log, LogBook, LogNews, LogRecord, Timestamps};
use crate::limits::{MAX_LOG_BACKLOG, MAX_LOG_FEED, MAX_LOG_MEMORY, MAX_LOG_TEXT};

fn head(prefix: &str) -> Head {
    Head { prefix: prefix.to_owned(), timestamps: Timestamps::Shown }
}

fn filter(rules: &[&str]) -> Filter {
    Filter::new(&rules.iter().map(|rule| rule.parse::<LevelRule>().unwrap()).collect::<Vec<_>>())
}

#[test]
fn a_line_has_the_form_that_tools_parse() {
    let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_222_923_004);
    let line = |level, text| format_line(&head("l1 "), time, level, "connectd", text);
    assert_eq!(line(Level::Info, "hello"), "l1 2026-11-21T01:02:03.004Z INFO    connectd: hello\n");
    assert_eq!(line(Level::Unusual, "hello"), "l1 2026-11-21T01:02:03.004Z UNUSUAL connectd: hello\n");
    assert_eq!(line(Level::Broken, "hello"), "l1 2026-11-21T01:02:03.004Z **BROKEN** connectd: hello\n");
    assert_eq!(line(Level::Io, "[IN] 0010"), "l1 2026-11-21T01:02:03.004Z connectd: [IN] 0010\n");
}

#[test]
fn text_from_outside_cannot_start_a_line_or_steer_a_terminal() {
    assert_eq!(printable("a\nb\x1b[31m\u{e9}\x7f"), "a?b?[31m??");
}

#[test]
fn a_source_cannot_start_a_line_either() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("log");
    let log = Log::open(std::slice::from_ref(&file), &head("")).unwrap();
    let layer = LineLayer::new(filter(&[]), head(""), log.clone());
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        tracing::info!(source = "plugin-a\nb", "hello");
    });
    log.flush();
    let written = std::fs::read_to_string(file).unwrap();
    assert!(written.ends_with(" INFO    plugin-a?b: hello\n"), "{written}");
    assert_eq!(written.lines().count(), 1);
}

#[test]
fn a_line_of_megabytes_is_cut_off() {
    let text = "a".repeat(MAX_LOG_TEXT);
    assert_eq!(printable(&text), text);
    assert_eq!(printable(&(text.clone() + "b")), text + "...");
}

#[test]
fn lines_without_a_time_begin_with_their_level() {
    let head = Head { prefix: "l1 ".to_owned(), timestamps: Timestamps::Left };
    let line = format_line(&head, SystemTime::UNIX_EPOCH, Level::Debug, "connectd", "hello");
    assert_eq!(line, "l1 DEBUG   connectd: hello\n");
}

fn record(level: Level, text: &str) -> LogRecord {
    LogRecord {
        level,
        time: SystemTime::UNIX_EPOCH,
        source: "connectd".to_owned(),
        peer: None,
        text: text.to_owned(),
    }
}

fn listed(book: &LogBook, level: Level) -> serde_json::Value {
    serde_json::from_str(&book.listing(level)).unwrap()
}

#[test]
fn the_newest_lines_are_kept_and_the_others_counted() {
    let book = LogBook::default();
    for number in 0..20_000 {
        book.write(record(Level::Debug, &format!("{number} {}", "x".repeat(100))), true);
    }
    let log = listed(&book, Level::Debug);
    assert!(log["bytes_used"].as_u64().unwrap() <= u64::try_from(MAX_LOG_MEMORY).unwrap());
    let lines = log["log"].as_array().unwrap();
    let (skipped, shown) = (lines[0]["num_skipped"].as_u64().unwrap(), lines.len() as u64 - 1);
    assert!(skipped > 0 && skipped + shown == 20_000, "{skipped} {shown}");
    assert!(lines.last().unwrap()["log"].as_str().unwrap().starts_with("19999 "));
}

#[test]
fn lines_of_lower_levels_are_skipped_and_messages_shown_in_parts() {
    let book = LogBook::default();
    book.write(record(Level::Info, "hello"), true);
    book.write(record(Level::Debug, "step"), false);
    book.write(LogRecord { peer: Some("02ab".to_owned()), ..record(Level::Io, "[OUT] 0012") }, true);
    book.write(record(Level::Io, "\"cli:help#5\"[IN] "), true);
    let all = listed(&book, Level::Io);
    let kinds: Vec<&str> =
        all["log"].as_array().unwrap().iter().map(|line| line["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["INFO", "DEBUG", "IO_OUT", "IO_IN"]);
    assert_eq!((&all["log"][2]["data"], &all["log"][2]["node_id"]), (&"0012".into(), &"02ab".into()));
    assert_eq!((&all["log"][3]["log"], all["log"][3].get("data")), (&"\"cli:help#5\"".into(), None));
    let info = listed(&book, Level::Info);
    assert_eq!(info["log"][0]["log"], "hello");
    assert_eq!(info["log"][1]["num_skipped"], 3);
}

#[tokio::test]
async fn a_listener_hears_what_is_printed_and_what_it_missed() {
    let book = LogBook::default();
    book.write(record(Level::Info, "before"), true);
    let mut feed = book.feed();
    book.write(record(Level::Io, "[IN] 00"), true);
    book.write(record(Level::Debug, "not printed"), false);
    book.write(record(Level::Info, "after"), true);
    let Some(LogNews::Line(line)) = feed.next().await else { panic!("no line") };
    let shown: serde_json::Value = serde_json::from_str(&line.notification()).unwrap();
    assert_eq!((&shown["level"], &shown["log"]), (&"info".into(), &"after".into()));
    for number in 0..MAX_LOG_FEED + 7 {
        book.write(record(Level::Info, &number.to_string()), true);
    }
    assert_eq!(feed.next().await, Some(LogNews::Missed(7)));
    let Some(LogNews::Line(line)) = feed.next().await else { panic!("no line") };
    assert_eq!(line.text, "7");
}

#[test]
fn the_default_level_is_info_and_the_last_one_given_counts() {
    assert!(filter(&[]).passes(Level::Info, "lightningd"));
    assert!(!filter(&[]).passes(Level::Debug, "lightningd"));
    assert!(filter(&["broken", "trace"]).passes(Level::Trace, "lightningd"));
    assert!(!filter(&["broken", "trace"]).passes(Level::Io, "lightningd"));
}

#[test]
fn a_subsystem_has_its_own_level_above_or_below_the_default() {
    let filter = filter(&["info", "io:02ab", "broken:jsonrpc"]);
    assert!(filter.passes(Level::Io, "02ab34-connectd"));
    assert!(!filter.passes(Level::Debug, "03cd56-connectd"));
    assert!(!filter.passes(Level::Unusual, "jsonrpc#7"));
    assert_eq!(filter.lowest(), Level::Io);
}

#[test]
fn an_unknown_level_is_refused() {
    assert!("loud".parse::<LevelRule>().is_err());
    assert!("".parse::<LevelRule>().is_err());
    assert_eq!("WARN".parse::<Level>(), Ok(Level::Unusual));
}

#[test]
fn a_renamed_log_file_is_let_go_when_the_log_is_reopened() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let log = Log::open(std::slice::from_ref(&path), &head("")).unwrap();
    log.append(b"one\n");
    std::fs::rename(&path, dir.path().join("log.1")).unwrap();
    log.append(b"two\n");
    log.reopen().unwrap();
    log.append(b"three\n");
    log.flush();
    assert_eq!(std::fs::read_to_string(dir.path().join("log.1")).unwrap(), "one\ntwo\n");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "three\n");
}

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// A place whose every write waits for the test's leave, and shows what was written.
struct Stalling {
    began: Sender<()>,
    leave: Receiver<io::Result<()>>,
    written: Sender<Vec<u8>>,
}

impl Write for Stalling {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.began.send(());
        // Without a test there is nothing to wait for.
        self.leave.recv().unwrap_or(Ok(()))?;
        let _ = self.written.send(bytes.to_vec());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Stalled {
    place: Place,
    began: Receiver<()>,
    leave: Sender<io::Result<()>>,
    written: Receiver<Vec<u8>>,
}

impl Stalled {
    fn new() -> Stalled {
        let (entry, began) = channel();
        let (leave, leaves) = channel();
        let (write, written) = channel();
        let sink: Sink = Box::new(Stalling { began: entry, leave: leaves, written: write });
        Stalled { place: Place::start(None, sink, &head("l1 ")).unwrap(), began, leave, written }
    }

    /// What the next write brings.
    fn next(&self) -> String {
        self.leave.send(Ok(())).unwrap();
        String::from_utf8(self.written.recv_timeout(PATIENCE).unwrap()).unwrap()
    }
}

#[test]
fn a_reader_that_stalls_stops_nobody_and_is_told_what_it_missed() {
    let stalled = Stalled::new();
    stalled.place.append(b"first\n");
    stalled.began.recv_timeout(PATIENCE).unwrap();
    let line = [vec![b'a'; 1023], b"\n".to_vec()].concat();
    let fitting = MAX_LOG_BACKLOG / line.len();
    let offered = 10 * fitting;
    for _ in 0..offered {
        stalled.place.append(&line);
    }
    // Nor does the end of the process wait for it.
    stalled.place.flush(Instant::now());
    assert_eq!(stalled.next(), "first\n");
    assert_eq!(stalled.next().lines().count(), fitting);
    let told = stalled.next();
    assert!(told.starts_with("l1 ") && told.contains(" UNUSUAL lightningd: "), "{told}");
    assert!(told.contains(&format!(": {} lines of the log are missing here", offered - fitting)), "{told}");
    // And it goes on.
    stalled.place.append(b"last\n");
    assert_eq!(stalled.next(), "last\n");
}

#[test]
fn what_a_full_disk_refused_is_told_when_there_is_room_again() {
    let stalled = Stalled::new();
    for line in ["one\n", "two\n"] {
        stalled.place.append(line.as_bytes());
        // The line, then the attempt to tell of it.
        for _ in 0..2 {
            stalled.leave.send(Err(io::ErrorKind::StorageFull.into())).unwrap();
        }
        if line == "two\n" {
            // Before the second line it is tried, too.
            stalled.leave.send(Err(io::ErrorKind::StorageFull.into())).unwrap();
        }
        stalled.place.flush(Instant::now() + PATIENCE);
    }
    stalled.place.append(b"three\n");
    assert!(stalled.next().contains(" 2 lines of the log are missing here"));
    assert_eq!(stalled.next(), "three\n");
}

/// A disk with room for so many bytes, and what is on it.
#[derive(Clone)]
struct Filling(Arc<Mutex<(usize, Vec<u8>)>>);

impl Write for Filling {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (room, kept) = &mut *self.0.lock().unwrap();
        let fitting = bytes.len().min(*room);
        if fitting == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        *room -= fitting;
        kept.extend_from_slice(&bytes[..fitting]);
        Ok(fitting)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_disk_that_fills_up_in_the_middle_of_a_line_spoils_no_other() {
    let disk = Filling(Arc::new(Mutex::new((6, Vec::new()))));
    let place = Place::start(None, Box::new(disk.clone()), &head("l1 ")).unwrap();
    place.append(b"one\ntwo\nthree\n");
    place.flush(Instant::now() + PATIENCE);
    disk.0.lock().unwrap().0 = 1_000;
    place.append(b"four\n");
    place.flush(Instant::now() + PATIENCE);
    let kept = String::from_utf8(disk.0.lock().unwrap().1.clone()).unwrap();
    let lines: Vec<&str> = kept.lines().collect();
    assert_eq!((&lines[..2], lines[3], lines.len()), (&["one", "tw"][..], "four", 4), "{kept}");
    assert!(
        lines[2].starts_with("l1 ") && lines[2].contains(" 2 lines of the log are missing here"),
        "{kept}"
    );
}
