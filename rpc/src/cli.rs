//! `oddwire-cli`: one call on the daemon's socket from a shell, in the way of Core Lightning's `lightning-cli`.
//!
//! Here are the options and the course of a call. `parameters` turns arguments into JSON, `output` turns the answer into
//! text, `page` describes a method, `progress` prints what the daemon says meanwhile, `listen` is the one command that
//! goes on after its answer.
//! Whatever else a method means is the daemon's to know: a name that is not built in here is sent as it is.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use serde_json::value::RawValue;

use crate::client::{Client, ClientError, Request};
use crate::config::{ConfigError, NodeOptions};
use crate::limits::MAX_SOCKET_PATH;
use crate::log::{Level, UnknownLevel};
use crate::method;

mod listen;
mod output;
mod page;
mod parameters;
mod progress;

use listen::ListenOptions;
use output::Form;
use parameters::{BadParameter, Style};

/// The command line of `oddwire-cli`.
#[derive(Debug, Parser)]
#[command(
    name = "oddwire-cli",
    about = "Calls a method of a running oddwired and prints the result",
    override_usage = "oddwire-cli [OPTIONS] METHOD [PARAMS]...\n       oddwire-cli [OPTIONS] listen [--type N]... [--peer ID]... [--count N]",
    after_help = "Exit status: 0 success; 1 the daemon answered with an error, which is printed; 2 the daemon cannot be reached; \
                  3 wrong usage.\nThe methods are listed by `oddwire-cli help`.",
    disable_version_flag = true,
    args_override_self = true
)]
#[expect(clippy::struct_excessive_bools, reason = "one for each option, as the user wrote them")]
struct Arguments {
    #[command(flatten)]
    node: NodeOptions,

    /// Print JSON (the default, except for help)
    #[arg(short = 'J', long, overrides_with_all = ["raw", "human_readable", "flat"])]
    json: bool,

    /// Print JSON as the daemon wrote it
    #[arg(short = 'R', long, overrides_with_all = ["json", "human_readable", "flat"])]
    raw: bool,

    /// Print text
    #[arg(short = 'H', long, overrides_with_all = ["json", "raw", "flat"])]
    human_readable: bool,

    /// Print one line a value: `a.b[0]=value`
    #[arg(short = 'F', long, overrides_with_all = ["json", "raw", "human_readable"])]
    flat: bool,

    /// Parameters are KEY=VALUE
    #[arg(short = 'k', long, overrides_with = "order")]
    keywords: bool,

    /// Parameters stand in the method's order
    #[arg(short = 'o', long, overrides_with = "keywords")]
    order: bool,

    /// Print the daemon's remarks of this level and above, or none [default: info]
    #[arg(short = 'N', long, value_name = "LEVEL", value_parser = notification_level)]
    notifications: Option<NotificationLevel>,

    /// Ask for these members of the result only, such as '{"id":true}'
    #[arg(short = 'l', long, value_name = "JSON")]
    filter: Option<String>,

    #[command(flatten)]
    listen: ListenOptions,

    /// Print the version and exit
    #[arg(short = 'V', long)]
    version: bool,

    /// Method to call, or `listen`
    method: Option<String>,

    /// Its parameters: numbers, true, false, null and JSON in `{}`, `[]` or `""` go as they are, anything else as a string
    params: Vec<String>,
}

/// `--notifications`.
#[derive(Copy, Clone, Debug)]
enum NotificationLevel {
    None,
    From(Level),
}

fn notification_level(text: &str) -> Result<NotificationLevel, UnknownLevel> {
    if text == "none" { Ok(NotificationLevel::None) } else { text.parse().map(NotificationLevel::From) }
}

/// How `oddwire-cli` ends, in `lightning-cli`'s numbers.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Status {
    Success = 0,
    /// The daemon answered with an error; `listen` also ends so when the daemon goes away.
    Refused = 1,
    Unreachable = 2,
    Usage = 3,
}

/// Why nothing came of a call, apart from the daemon's own refusal.
#[derive(Debug, thiserror::Error)]
enum CliError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Parameter(#[from] BadParameter),
    #[error("--filter is not JSON: {0}")]
    Filter(serde_json::Error),
    #[error("--type, --peer and --count belong to `listen` only")]
    ListenOption,
    #[error("`listen` takes no parameters, only --type, --peer and --count")]
    ListenParameter,
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

impl CliError {
    fn status(&self) -> Status {
        match self {
            CliError::Client(_) | CliError::Output(_) => Status::Unreachable,
            _ => Status::Usage,
        }
    }
}

/// The options of `oddwire-cli`, for its manual page.
pub fn command() -> clap::Command {
    Arguments::command()
}

/// Runs one command line, prints to standard output and, if it failed without an answer, to standard error.
pub async fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            return exit(if asked { Status::Success } else { Status::Usage });
        }
    };
    match execute(arguments).await {
        Ok(status) => exit(status),
        // `oddwire-cli ... | head -1`: the reader has what it wanted.
        Err(CliError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => exit(Status::Success),
        Err(error) => {
            let _ = writeln!(io::stderr(), "oddwire-cli: {error}");
            exit(error.status())
        }
    }
}

fn exit(status: Status) -> ExitCode {
    ExitCode::from(status as u8)
}

async fn execute(arguments: Arguments) -> Result<Status, CliError> {
    if arguments.version {
        writeln!(io::stdout(), "{}", crate::version::VERSION)?;
        return Ok(Status::Success);
    }
    let rpc_path = arguments.node.resolve()?.rpc_path();
    if arguments.method.as_deref() == Some("listen") {
        if !arguments.params.is_empty() {
            return Err(CliError::ListenParameter);
        }
        return listen::run(connect(&rpc_path).await?, &arguments.listen).await;
    }
    if arguments.listen.any() {
        return Err(CliError::ListenOption);
    }
    call(&rpc_path, &arguments).await
}

async fn call(rpc_path: &Path, arguments: &Arguments) -> Result<Status, CliError> {
    let method = arguments.method.as_deref().unwrap_or("help");
    if arguments.method.is_none() {
        let usage = Arguments::command().render_help();
        writeln!(io::stdout(), "{usage}\nAsking oddwired for its methods (\"oddwire-cli help\"):\n")?;
    }
    let asked_form = arguments.form();
    // The page of a built-in method needs no daemon.
    if let ("help", None, [name]) = (method, asked_form, arguments.params.as_slice())
        && let Some(page) = page(name)
    {
        io::stdout().write_all(page.as_bytes())?;
        return Ok(Status::Success);
    }

    let params = parameters::to_json(&arguments.params, arguments.style())?;
    let filter = arguments.filter.clone().map(RawValue::from_string).transpose().map_err(CliError::Filter)?;
    let mut client = connect(rpc_path).await?;
    let outcome = exchange(&mut client, method, &params, filter.as_deref(), arguments.notifications).await;

    let whole_list = method == "help" && arguments.params.is_empty();
    let mut out = io::BufWriter::new(io::stdout().lock());
    let status = match outcome {
        Ok(result) => {
            output::result(&mut out, &result, asked_form, whole_list)?;
            Status::Success
        }
        Err(ClientError::Refused(error)) => {
            output::error(&mut out, &error.raw, asked_form)?;
            Status::Refused
        }
        Err(error) => return Err(error.into()),
    };
    out.flush()?;
    Ok(status)
}

fn page(name: &str) -> Option<String> {
    if name == "listen" { Some(listen::PAGE.to_owned()) } else { method::find(name).map(page::text) }
}

async fn exchange(
    client: &mut Client,
    method: &str,
    params: &RawValue,
    filter: Option<&RawValue>,
    level: Option<NotificationLevel>,
) -> Result<Box<RawValue>, ClientError> {
    let pid = std::process::id();
    let mut progress = None;
    match level.unwrap_or(NotificationLevel::From(Level::Info)) {
        NotificationLevel::None => {}
        NotificationLevel::From(level) => {
            let enable =
                RawValue::from_string(r#"{"enable":true}"#.to_owned()).map_err(ClientError::Parameters)?;
            client.send(&Request::new("notifications", &format!("cli:notifications#{pid}"), &enable)).await?;
            progress = Some(progress::Progress::new(level));
        }
    }
    // The id shows up in the daemon's log, which a strange method name must not upset.
    let strange = method.chars().any(|c| c.is_control() || c == '"' || c == '\\');
    let id = if strange { format!("cli:weirdmethod!#{pid}") } else { format!("cli:{method}#{pid}") };
    let request = Request::new(method, &id, params).filter(filter);
    let outcome = client
        .send_watching(&request, |notification| {
            if let Some(progress) = &mut progress {
                progress.show(&notification);
            }
        })
        .await;
    if let Some(progress) = progress {
        progress.end();
    }
    outcome
}

/// Connects to the socket. A path that is longer than a socket's may be is reached from its directory.
async fn connect(path: &Path) -> Result<Client, ClientError> {
    let name = match (path.parent(), path.file_name()) {
        (Some(dir), Some(name)) if path.as_os_str().len() > MAX_SOCKET_PATH => {
            let moved = std::env::set_current_dir(dir);
            moved.map_err(|error| ClientError::Connect { path: path.to_owned(), error })?;
            PathBuf::from(name)
        }
        _ => path.to_owned(),
    };
    match Client::connect(&name).await {
        Err(ClientError::Connect { error, .. }) => Err(ClientError::Connect { path: path.to_owned(), error }),
        outcome => outcome,
    }
}

impl Arguments {
    fn form(&self) -> Option<Form> {
        [
            (self.json, Form::Json),
            (self.raw, Form::Raw),
            (self.human_readable, Form::Human),
            (self.flat, Form::Flat),
        ]
        .into_iter()
        .find_map(|(asked, form)| asked.then_some(form))
    }

    fn style(&self) -> Style {
        match (self.keywords, self.order) {
            (true, _) => Style::Keywords,
            (_, true) => Style::Order,
            _ => Style::Guess,
        }
    }
}
