//! Two nodes on loopback, a server for each, and clients that speak bytes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use oddwire_node::{EventFilter, Identity, Limits, Network, Node};
use oddwire_rpc::config::{self, Names, table::OptionTable};
use oddwire_rpc::datastore::Datastore;
use oddwire_rpc::log::LogBook;
use oddwire_rpc::plugin::Host;
use oddwire_rpc::server::Server;
use oddwire_rpc::service::{Audience, Service, default_color};
use oddwire_rpc::stop::StopSignal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Longer than anything here takes; what is not there by then does not come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A node with a server.
pub(crate) struct Daemon {
    pub(crate) node: Node,
    pub(crate) service: Arc<Service>,
    pub(crate) path: PathBuf,
    pub(crate) server: JoinHandle<std::io::Result<()>>,
    _directory: Arc<tempfile::TempDir>,
}

impl Daemon {
    /// A node whose secret is this name, padded: `lightning-1` and `lightning-2` are those of the recorded answers.
    pub(crate) async fn start(name: &str) -> Daemon {
        Daemon::start_with(name, Limits::default()).await
    }

    pub(crate) async fn start_with(name: &str, limits: Limits) -> Daemon {
        let mut secret = [0; 32];
        secret[..name.len()].copy_from_slice(name.as_bytes());
        let directory = Arc::new(tempfile::tempdir().unwrap());
        let secret_file = directory.path().join("hsm_secret");
        std::fs::write(&secret_file, secret).unwrap();
        let node = Node::builder()
            .identity(Identity::load(&secret_file, None).unwrap())
            .network(Network::Regtest)
            .listen("127.0.0.1:0".parse().unwrap())
            .limits(limits)
            .start()
            .await
            .unwrap();
        Daemon::serve(node, directory, Audience::Developers)
    }

    /// A second server for the same node, for other clients.
    pub(crate) fn for_audience(&self, audience: Audience) -> Daemon {
        Daemon::serve(self.node.clone(), Arc::new(tempfile::tempdir().unwrap()), audience)
    }

    fn serve(node: Node, directory: Arc<tempfile::TempDir>, audience: Audience) -> Daemon {
        let path = directory.path().join("lightning-rpc");
        let service = Arc::new(Service {
            color: default_color(&node.id()),
            node: node.clone(),
            alias: "l1".to_owned(),
            version: "v26.06-258-g090f4b0e6".to_owned(),
            lightning_dir: Path::new("$RUN/l1/regtest").to_owned(),
            datastore: Datastore::open(&directory.path().join("datastore.redb")).unwrap(),
            audience,
            plugins: Host::default(),
            stop: StopSignal::new(),
            names: Names::LookedUp,
            log_book: LogBook::default(),
            options: options(),
        });
        let server = tokio::spawn(Server::bind(&path, 0o600).unwrap().run(Arc::clone(&service)));
        Daemon { node, service, path, server, _directory: directory }
    }

    pub(crate) async fn client(&self) -> Client {
        Client { stream: UnixStream::connect(&self.path).await.unwrap() }
    }

    /// The answer to one call.
    pub(crate) async fn call(&self, method: &str, params: &str) -> String {
        let mut client = self.client().await;
        client.send(request(1, method, params).as_bytes()).await;
        client.answer().await
    }

    pub(crate) fn port(&self) -> u16 {
        self.node.listening()[0].port()
    }
}

pub(crate) fn request(id: usize, method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#)
}

/// Connects them, if they are not, and waits until both know.
pub(crate) async fn connect(from: &Daemon, to: &Daemon) {
    from.node.connect(to.node.id(), to.node.listening()[0]).await.unwrap();
    until(&to.node, || to.node.peer(&from.node.id()).is_some()).await;
}

/// Separates them, if they are connected, and waits until both know.
pub(crate) async fn separate(one: &Daemon, other: &Daemon) {
    // Not connected is what we want.
    let _ = one.node.disconnect(&other.node.id()).await;
    until_apart(one, other).await;
}

pub(crate) async fn until_apart(one: &Daemon, other: &Daemon) {
    until(&one.node, || one.node.peer(&other.node.id()).is_none()).await;
    until(&other.node, || other.node.peer(&one.node.id()).is_none()).await;
}

/// Waits, from one event of the node to the next, until this holds.
pub(crate) async fn until(node: &Node, holds: impl Fn() -> bool) {
    let mut events = node.subscribe(EventFilter::connections());
    timeout(PATIENCE, async {
        while !holds() {
            events.next().await.expect("the node is running");
        }
    })
    .await
    .expect("it does not come about");
}

/// A client of the socket.
pub(crate) struct Client {
    pub(crate) stream: UnixStream,
}

impl Client {
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        timeout(PATIENCE, self.stream.write_all(bytes)).await.expect("the server does not read").unwrap();
    }

    pub(crate) async fn half_close(&mut self) {
        self.stream.shutdown().await.unwrap();
    }

    /// Bytes up to and with the next blank line.
    pub(crate) async fn answer(&mut self) -> String {
        let mut answer = Vec::new();
        while !answer.ends_with(b"\n\n") {
            let byte = timeout(PATIENCE, self.stream.read_u8()).await;
            let byte =
                byte.unwrap_or_else(|_| panic!("no answer after {:?}", String::from_utf8_lossy(&answer)));
            answer.push(byte.unwrap());
        }
        String::from_utf8(answer).unwrap()
    }

    /// So many bytes, or fewer if the server closes.
    pub(crate) async fn read(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut wanted = (&mut self.stream).take(len as u64);
        let read = timeout(PATIENCE, wanted.read_to_end(&mut bytes)).await;
        assert!(read.is_ok(), "wanted {len} bytes, got {:?}", String::from_utf8_lossy(&bytes));
        bytes
    }

    /// Everything until the server closes.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        timeout(PATIENCE, self.stream.read_to_end(&mut bytes))
            .await
            .expect("the server does not close")
            .unwrap();
        bytes
    }
}

/// The options of a daemon that was given an alias and nothing else.
fn options() -> Arc<OptionTable> {
    let line = ["oddwired", "--lightning-dir=/nonexistent", "--alias=l1"];
    match config::read(line.map(Into::into)).unwrap() {
        config::Request::Run(_, options) => options,
        other => panic!("{other:?}"),
    }
}
