//! The other processes: this program again, told by an environment variable which part to play.
//!
//! A child says one line when it is ready, then does what it is told, a line each, and answers with a line each. It ends when
//! its standard input does, so none outlives the proof.

use std::env;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Names the part that a child plays.
const ROLE: &str = "ODDWIRE_LOAD_ROLE";

/// The part that this process plays, and its arguments; `None` in the first one.
pub(crate) fn role() -> Option<Vec<String>> {
    Some(env::var(ROLE).ok()?.split(' ').map(str::to_owned).collect())
}

/// A child process that plays a part.
#[derive(Debug)]
pub(crate) struct Player {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Player {
    /// Starts this program again, in the given part, and answers the line with which it says that it is ready.
    pub(crate) fn start(role: &str) -> (Player, String) {
        Player::run(Command::new(env::current_exe().expect("a program")), role)
    }

    /// The same, with nothing but the processors' time that others leave (`SCHED_IDLE`; a low priority still takes whole slices).
    pub(crate) fn start_idle(role: &str) -> (Player, String) {
        let mut command = Command::new("chrt");
        command.args(["--idle", "0"]).arg(env::current_exe().expect("a program"));
        Player::run(command, role)
    }

    fn run(mut command: Command, role: &str) -> (Player, String) {
        let mut child =
            command.env(ROLE, role).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap_or_else(
                |error| panic!("{} does not start: {error}", command.get_program().display()),
            );
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut player = Player { child, input, output };
        let ready = player.line();
        (player, ready)
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Tells it to do something and waits for its answer.
    pub(crate) fn ask(&mut self, command: &str) -> String {
        let input = self.input.as_mut().expect("open until the end");
        writeln!(input, "{command}").expect("the process lives");
        self.line()
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        let len = self.output.read_line(&mut line).expect("the process lives");
        assert!(len > 0, "a process of the proof ended early; what it said is above");
        line.trim_end().to_owned()
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        // Both answer with an error when it has ended, which is what we want.
        drop(self.input.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Says a line to the process that plays this one's parent.
pub(crate) fn say(line: &str) {
    let mut output = io::stdout().lock();
    let _ = writeln!(output, "{line}");
    let _ = output.flush();
}

/// What the parent tells us to do, until it ends.
pub(crate) fn commands() -> impl Iterator<Item = String> {
    io::stdin().lock().lines().map_while(Result::ok)
}

/// Raises the limit of open descriptors as far as this user may.
pub(crate) fn raise_descriptors() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // A refusal leaves the limit where it was; whoever needs more fails with the system's words.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}
