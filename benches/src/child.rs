//! The other processes of a benchmark: the same program again, told by an environment variable which part to play.
//!
//! A child says one line when it is ready, then does what it is told, a line each, and answers with a line each or with one
//! byte for every [step](Progress) of its work. It ends when its standard input does, so none outlives the benchmark.

use std::env;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use tokio::net::unix::pipe;

/// Names the part that a child plays.
const ROLE: &str = "ODDWIRE_BENCH_ROLE";

/// The part that this process plays, and its arguments; `None` in the benchmark itself.
pub fn role() -> Option<Vec<String>> {
    let role = env::var(ROLE).ok()?;
    Some(role.split(' ').map(str::to_owned).collect())
}

/// A child process that plays a part.
#[derive(Debug)]
pub struct Player {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Player {
    /// Starts this program again, in the given part, and answers the line with which it says that it is ready.
    ///
    /// # Errors
    /// What the system says; or that the child ended before it was ready.
    pub fn start(role: &str) -> io::Result<(Player, String)> {
        let mut child = Command::new(env::current_exe()?)
            .env(ROLE, role)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let missing = || io::Error::other("a piped stream of a child is missing");
        let input = child.stdin.take().ok_or_else(missing)?;
        let output = BufReader::new(child.stdout.take().ok_or_else(missing)?);
        let mut player = Player { child, input: Some(input), output };
        let ready = player.line()?;
        Ok((player, ready))
    }

    /// Tells it to do something and waits for its answer.
    ///
    /// # Errors
    /// The child has ended.
    pub fn ask(&mut self, command: &str) -> io::Result<String> {
        if let Some(input) = &mut self.input {
            writeln!(input, "{command}")?;
        }
        self.line()
    }

    /// What it says from now on are [steps](step) and no lines any more.
    ///
    /// # Errors
    /// The runtime cannot watch the pipe. Must be called within a runtime.
    pub fn progress(&mut self, messages_per_step: u64) -> io::Result<Progress> {
        let pipe = rustix::io::dup(self.output.get_ref())?;
        Ok(Progress { pipe: pipe::Receiver::from_owned_fd(pipe)?, messages_per_step, arrived: 0 })
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            return Err(io::Error::other("a process of the benchmark ended early; what it said is above"));
        }
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        // The end of its input tells it to go. Whether it goes well is of no interest any more.
        self.input = None;
        let _ = self.child.wait();
    }
}

/// How far a child has come, out of the way of what is measured: a byte over a pipe for every so many messages.
#[derive(Debug)]
pub struct Progress {
    pipe: pipe::Receiver,
    messages_per_step: u64,
    arrived: u64,
}

impl Progress {
    /// Messages that have arrived there, since the start, as far as it has said.
    ///
    /// # Errors
    /// The child has ended.
    pub fn arrived(&mut self) -> io::Result<u64> {
        let mut steps = [0; 256];
        match self.pipe.try_read(&mut steps) {
            Ok(0) => {
                return Err(io::Error::other("the receiving process ended early; what it said is above"));
            }
            Ok(count) => self.arrived += u64::try_from(count).unwrap_or(u64::MAX) * self.messages_per_step,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        Ok(self.arrived)
    }

    /// Waits until it has said something new.
    ///
    /// # Errors
    /// The child has ended.
    pub async fn news(&mut self) -> io::Result<u64> {
        self.pipe.readable().await?;
        self.arrived()
    }

    /// Waits until so many messages have arrived.
    ///
    /// # Errors
    /// The child has ended.
    pub async fn reaches(&mut self, messages: u64) -> io::Result<()> {
        while self.arrived()? < messages {
            self.news().await?;
        }
        Ok(())
    }
}

/// Says a line to the benchmark.
///
/// # Errors
/// The benchmark is gone.
pub fn say(line: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    writeln!(output, "{line}")?;
    output.flush()
}

/// Says to the benchmark that another step is done.
///
/// # Errors
/// The benchmark is gone.
pub fn step() -> io::Result<()> {
    let mut output = io::stdout().lock();
    output.write_all(b".")?;
    output.flush()
}

/// The commands of the benchmark, until it is gone.
pub fn commands() -> impl Iterator<Item = String> {
    io::stdin().lock().lines().map_while(Result::ok)
}
