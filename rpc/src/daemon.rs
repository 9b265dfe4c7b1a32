//! `oddwired` from its command line to its end: options, directory, log, key, peers' sockets, RPC socket, signals.
//!
//! What can fail does so before the line `Server started`, in an order in which nothing has to be undone: an option that is
//! wrong before anything is made, a directory that is taken before the log is opened. A failure is one paragraph on standard
//! error (what, where, what to do) and exit status 1; a stop by `stop`, SIGTERM or SIGINT is exit status 0.
//!
//! A daemon that stops answers the calls that run and sends its peers what is queued, within [`STOP_TIME`]; a second signal
//! ends it at once. SIGHUP opens the log files anew, or stops the daemon if it logs to standard output only.

use std::ffi::OsString;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use oddwire_node::{Identity, IdentityError, Node, NodeBuilder, StartError};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::config::table::OptionTable;
use crate::config::{self, Config, ConfigError, Deprecated, KeyUnlock, Listen, NodePlace};
use crate::datastore::{self, Datastore, DatastoreError};
use crate::limits::{STOP_RESERVE, STOP_TIME};
use crate::log::{self, Log, LogError};
use crate::plugin::{Host, HostSettings, PluginStartError};
use crate::server::{BindError, Server};
use crate::service::{Audience, Service, default_alias, default_color};
use crate::stop::StopSignal;
use crate::version::VERSION;

mod background;
mod core_dump;
mod descriptors;
pub mod directory;
mod passphrase;
mod pid_file;
pub mod safekeeping;

use background::Role;
use directory::{Claim, DirectoryError};
use pid_file::PidFile;
use safekeeping::SafekeepingError;

/// File of the node's key in the network's directory.
const KEY_FILE: &str = "hsm_secret";

/// Why the daemon did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartFailure {
    /// An option.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The directory.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// What others may do with the node's files.
    #[error(transparent)]
    Safekeeping(#[from] SafekeepingError),
    /// Core dumps cannot be switched off.
    #[error(
        "cannot switch off core dumps, in which the node's key would be: {0}. With --developer they stay on"
    )]
    CoreDumps(io::Error),
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The key.
    #[error("{error}{advice}", error = .0, advice = advice(.0))]
    Identity(#[from] IdentityError),
    /// The datastore.
    #[error(transparent)]
    Datastore(#[from] DatastoreError),
    /// A socket for peers.
    #[error(
        "cannot listen for peers on {address}: {error}. Give --addr another address or port (port 0 lets the system \
         choose), or --autolisten=false to connect outwards only"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        error: io::Error,
    },
    /// The node, for any other reason.
    #[error("the node cannot start: {0}")]
    Node(StartError),
    /// The socket for clients.
    #[error("cannot make the JSON-RPC socket: {error}. A relative --rpc-file starts in {}", network_dir.display())]
    RpcSocket {
        /// What is wrong with it.
        error: BindError,
        /// The network's directory.
        network_dir: PathBuf,
    },
    /// The process for the background.
    #[error("cannot go into the background: {0}. Without --daemon the node runs in the foreground")]
    Background(io::Error),
    /// `--hsm-passphrase`.
    #[error("cannot ask for the passphrase of the hsm_secret: {0}")]
    Passphrase(io::Error),
    /// `--pid-file`.
    #[error("cannot write the process id to {}: {error}. Give --pid-file a path that this user may write to", path.display())]
    PidFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A plugin.
    #[error(transparent)]
    Plugin(#[from] PluginStartError),
    /// Signals cannot be received.
    #[error("the system lets us receive no signals: {0}")]
    Signals(io::Error),
}

/// Runs the daemon until it is told to stop. Changes the process's directory, panic hook and log.
pub async fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut arguments: Vec<OsString> = arguments.into_iter().collect();
    let role = background::role(&mut arguments);
    let print = |text: &str| {
        if write!(io::stdout(), "{text}").is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    };
    let started = match config::read(arguments.iter().cloned()) {
        Ok(config::Request::Help(text)) => return print(&text),
        Ok(config::Request::Version) => return print(&format!("{VERSION}\n")),
        Ok(config::Request::Run(config, _)) if config.daemon && role == Role::Started => {
            background::start(&arguments).map_err(StartFailure::Background)
        }
        Ok(config::Request::Run(config, options)) => start_and_serve(*config, options).await,
        Err(error) => Err(error.into()),
    };
    started.unwrap_or_else(|failure| {
        let _ = writeln!(io::stderr(), "oddwired: {failure}.");
        ExitCode::FAILURE
    })
}

async fn start_and_serve(config: Config, options: Arc<OptionTable>) -> Result<ExitCode, StartFailure> {
    let plugins = plugin_host(&config, &options);
    // With plugins it is not known yet which options there are.
    if plugins.wants_none() {
        options.refuse_unknown().map_err(ConfigError::from)?;
    }
    let mut signals = Signals::receive()?;
    core_dump::refuse(audience(&config)).map_err(StartFailure::CoreDumps)?;
    let passphrase = match config.key_unlock {
        KeyUnlock::None => None,
        KeyUnlock::AskForPassphrase => match passphrase::ask(signals.next()).await {
            Ok(Ok(passphrase)) => Some(passphrase),
            Ok(Err(_signal)) => return Ok(ExitCode::FAILURE),
            Err(error) => return Err(StartFailure::Passphrase(error)),
        },
    };
    if config.daemon {
        background::leave_session().map_err(StartFailure::Background)?;
    }
    // Held to the end: the directory is ours while the process lives.
    let _claim = tokio::select! {
        claim = Claim::take(&config.place) => claim?,
        _signal = signals.next() => return Ok(ExitCode::FAILURE),
    };
    enter(&config.place)?;
    let log = Log::install(&config.log)?;
    log::log_panics(&log);
    let ended = run_node(config, options, plugins.clone(), passphrase, &mut signals, &log).await;
    // Whatever happened, no process is left behind.
    plugins.shutdown().await;
    log.flush();
    ended
}

/// From the first line of the log to the last.
async fn run_node(
    config: Config,
    options: Arc<OptionTable>,
    plugins: Host,
    passphrase: Option<Zeroizing<String>>,
    signals: &mut Signals,
    log: &Log,
) -> Result<ExitCode, StartFailure> {
    tracing::info!(source = "lightningd", "{VERSION}");
    name_what_has_no_meaning(&options);
    let audience = audience(&config);
    let network_dir = config.place.network_dir();
    let (key_file, datastore_file) = (network_dir.join(KEY_FILE), network_dir.join(datastore::FILE));
    // Before any program is started that somebody may have put there.
    safekeeping::check(&config.place, &key_file, &datastore_file, audience)?;
    let limits = descriptors::limits_within(descriptors::raise_limit());
    tokio::select! {
        started = plugins.start() => started?,
        name = signals.next_end(log) => {
            tracing::info!(source = "lightningd", "{name}: stopping");
            return Ok(ExitCode::SUCCESS);
        }
    }
    options.refuse_unknown().map_err(ConfigError::from)?;
    let pid_file = config.pid_file.map(|path| {
        PidFile::write(&path).map_err(|error| StartFailure::PidFile { path: path.clone(), error })
    });
    // Held to the end.
    let _pid_file = pid_file.transpose()?;
    let identity = match passphrase {
        // A key that is made here has no passphrase.
        Some(passphrase) => Identity::load(&key_file, Some(&passphrase)),
        None => Identity::load_or_create(&key_file),
    }?;
    let datastore = Datastore::open(&datastore_file)?;
    let builder = Node::builder().identity(identity).limits(limits);
    let node = start_node(builder, &config.place, &config.listen, &plugins).await?;
    plugins.attach(&node, log.book());
    safekeeping::name_open_socket(&config.place.rpc_path(), config.rpc_file_mode);
    let server = Server::bind(&config.place.rpc_file, config.rpc_file_mode)
        .map_err(|error| StartFailure::RpcSocket { error, network_dir: network_dir.clone() })?;
    let alias = config.alias.unwrap_or_else(|| default_alias(&node.id()));
    let color = config.rgb.unwrap_or_else(|| default_color(&node.id()));
    options.set_default("alias", &alias);
    options.set_default("rgb", &faster_hex::hex_string(&color));
    let service = Service {
        alias,
        color,
        version: VERSION.to_owned(),
        lightning_dir: network_dir,
        datastore,
        audience,
        stop: StopSignal::new(),
        log_book: log.book().clone(),
        names: config.names,
        options,
        plugins,
        node,
    };
    let started: fn() -> io::Result<()> = if config.daemon { background::let_go } else { || Ok(()) };
    Ok(serve(server, service, started, signals, log).await)
}

fn audience(config: &Config) -> Audience {
    if config.developer { Audience::Developers } else { Audience::Users }
}

/// The host of the plugins, none of which runs yet.
fn plugin_host(config: &Config, options: &Arc<OptionTable>) -> Host {
    let settings = HostSettings {
        wanted: config.plugins.clone(),
        default_directory: config.place.lightning_dir.join("plugins"),
        is_developer: config.developer,
        refuse_deprecated: config.deprecated == Deprecated::Refused,
        network_dir: config.place.network_dir(),
        rpc_file: config.place.rpc_file.clone(),
        network: config.place.network.name().to_owned(),
    };
    Host::new(settings, Arc::clone(options))
}

/// So that nobody wonders why an option does nothing.
fn name_what_has_no_meaning(options: &OptionTable) {
    let names = options.without_meaning();
    if !names.is_empty() {
        tracing::info!(
            source = "lightningd",
            "These options mean nothing without channels and a chain, and are ignored: {}",
            names.join(", ")
        );
    }
}

/// Which option helps with a key that cannot be read.
fn advice(error: &IdentityError) -> &'static str {
    match error {
        IdentityError::PassphraseNeeded { .. } => ": start with --hsm-passphrase to be asked for it",
        IdentityError::Missing { .. } => {
            ": restore it from a backup, or leave --hsm-passphrase out to have a new one made that has no passphrase"
        }
        _ => "",
    }
}

/// Works from the node's directory on, as Core Lightning does: relative paths start there, and the RPC socket can be bound
/// however long the directory's path is.
fn enter(place: &NodePlace) -> Result<(), DirectoryError> {
    let path = place.network_dir();
    std::env::set_current_dir(&path).map_err(|error| DirectoryError::Enter { path, error })
}

async fn start_node(
    builder: NodeBuilder,
    place: &NodePlace,
    listen: &Listen,
    plugins: &Host,
) -> Result<Node, StartFailure> {
    let addresses = match listen {
        Listen::Nowhere => Vec::new(),
        Listen::Default { addresses } => usable(*addresses),
        Listen::On(addresses) => addresses.clone(),
    };
    let gatekeeper = Arc::new(plugins.clone());
    let builder = builder.network(place.network).gatekeeper(gatekeeper).features(&plugins.features());
    let builder = addresses.into_iter().fold(builder, NodeBuilder::listen);
    builder.start().await.map_err(|error| match error {
        StartError::Listen { address, error } => StartFailure::Listen { address, error },
        other => StartFailure::Node(other),
    })
}

/// Which of the two wildcard addresses a node has to listen on: only IPv4 where there is no IPv6, only IPv6 where its socket
/// takes IPv4 along. A port that somebody else holds is left for the node to report.
fn usable(addresses: [SocketAddr; 2]) -> Vec<SocketAddr> {
    let [v6, v4] = addresses;
    match TcpListener::bind(v6) {
        Ok(_held) => match TcpListener::bind(v4) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => vec![v6],
            _ => addresses.to_vec(),
        },
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => addresses.to_vec(),
        Err(_) => vec![v4],
    }
}

/// The line that tools wait for before they make the first call.
fn announce(service: &Service) {
    let Service { node, alias, color: [red, green, blue], .. } = service;
    let id = node.id();
    for address in node.listening() {
        tracing::debug!(source = "connectd", "Listening on {address}");
    }
    tracing::info!(
        source = "lightningd",
        "Server started with public key {id}, alias {alias} (color #{red:02x}{green:02x}{blue:02x}) and lightningd {VERSION}"
    );
}

/// Serves until something ends it; `started` is called when everything runs.
async fn serve(
    server: Server,
    service: Service,
    started: fn() -> io::Result<()>,
    signals: &mut Signals,
    log: &Log,
) -> ExitCode {
    let service = Arc::new(service);
    let (node, stop, plugins) = (service.node.clone(), service.stop.clone(), service.plugins.clone());
    let mut serving = tokio::spawn(server.run(Arc::clone(&service)));
    // Plugins are clients themselves while they are told how the daemon is set up.
    let mut starting = Box::pin(async {
        plugins.init().await;
        announce(&service);
    });
    let mut has_started = false;
    let mut outcome = ExitCode::SUCCESS;
    let mut ended = None;
    loop {
        tokio::select! {
            () = stop.triggered() => break,
            () = &mut starting, if !has_started => {
                has_started = true;
                if let Err(error) = started() {
                    tracing::error!(source = "lightningd", "{}", StartFailure::Background(error));
                    outcome = ExitCode::FAILURE;
                    break;
                }
            }
            () = plugins.important_ended() => {
                outcome = ExitCode::FAILURE;
                break;
            }
            // It ends by itself only when it is told to, or broken.
            result = &mut serving => {
                ended = Some(result);
                break;
            }
            name = signals.next_end(log) => {
                tracing::info!(source = "lightningd", "{name}: stopping");
                break;
            }
        }
    }
    stop.trigger();
    let deadline = Instant::now() + STOP_TIME;
    let stopping = async {
        plugins.shutdown().await;
        let result = match ended {
            Some(result) => result,
            None => serving.await,
        };
        match result {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::error!(source = "lightningd", "The JSON-RPC socket cannot be used: {error}");
            }
            Err(error) => tracing::error!(source = "lightningd", "The JSON-RPC server ended: {error}"),
        }
        node.shutdown_within((deadline - STOP_RESERVE).saturating_duration_since(Instant::now())).await;
    };
    tokio::select! {
        finished = tokio::time::timeout_at(deadline, stopping) => {
            if finished.is_err() {
                tracing::warn!(source = "lightningd", "Not everything ended within {} s", STOP_TIME.as_secs());
            }
            tracing::info!(source = "lightningd", "Stopped");
            outcome
        }
        name = signals.next_end(log) => {
            tracing::warn!(source = "lightningd", "{name} while stopping: ending at once");
            ExitCode::FAILURE
        }
    }
}

fn reopen(log: &Log) {
    match log.reopen() {
        Ok(()) => tracing::info!(source = "lightningd", "Log files opened anew because of SIGHUP"),
        Err(error) => tracing::warn!(source = "lightningd", "{error}"),
    }
}

/// The signals that mean something to the daemon.
#[derive(Debug)]
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn receive() -> Result<Signals, StartFailure> {
        let receive = |kind| signal(kind).map_err(StartFailure::Signals);
        Ok(Signals {
            terminate: receive(SignalKind::terminate())?,
            interrupt: receive(SignalKind::interrupt())?,
            hangup: receive(SignalKind::hangup())?,
        })
    }

    /// The name of the next one that ends the daemon. SIGHUP opens the log files anew instead, if there are any.
    async fn next_end(&mut self, log: &Log) -> &'static str {
        loop {
            match self.next().await {
                "SIGHUP" if log.has_files() => reopen(log),
                name => return name,
            }
        }
    }

    /// The name of the next one.
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.hangup.recv() => "SIGHUP",
        }
    }
}
