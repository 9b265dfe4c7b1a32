//! The crate `cln-rpc`, the library that Core Lightning's Rust users have, on the socket of real daemons: its types read our
//! answers, and it is used as programs use it, many calls on one connection and many connections with few calls.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

#[path = "../process/running.rs"]
#[expect(dead_code, reason = "the other tests that start programs use the rest")]
mod running;

mod load;
mod typed;

use core::fmt::Debug;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cln_rpc::{ClnRpc, RpcError, TypedRequest};
use running::Daemon;
use serde::{Serialize, de::DeserializeOwned};

/// A daemon in a directory of its own.
struct Node {
    daemon: Daemon,
    _directory: tempfile::TempDir,
}

impl Node {
    fn start() -> Node {
        let directory = tempfile::tempdir().unwrap();
        Node { daemon: Daemon::start(directory.path(), &[]), _directory: directory }
    }

    fn socket(&self) -> PathBuf {
        self.daemon.dir.join("regtest/lightning-rpc")
    }

    async fn client(&self) -> Client {
        Client::connect(&self.socket()).await
    }
}

/// The library's client, with the names of the methods that were called, answered or refused.
struct Client {
    rpc: ClnRpc,
    called: BTreeSet<String>,
}

impl Client {
    async fn connect(socket: &Path) -> Client {
        Client { rpc: ClnRpc::new(socket).await.unwrap(), called: BTreeSet::new() }
    }

    /// The answer to a call that must succeed, in the type that the library has for it.
    async fn call<R>(&mut self, request: R) -> R::Response
    where
        R: TypedRequest + Serialize + Debug,
        R::Response: DeserializeOwned + Debug,
    {
        self.called.insert(request.method().to_owned());
        match self.rpc.call_typed(&request).await {
            Ok(response) => response,
            Err(error) => panic!("{}: {error:?}", request.method()),
        }
    }

    /// The code and the text of a call that must be refused.
    async fn refusal<R>(&mut self, request: R) -> (Option<i32>, String)
    where
        R: TypedRequest + Serialize + Debug,
        R::Response: DeserializeOwned + Debug,
    {
        self.called.insert(request.method().to_owned());
        let RpcError { code, message, .. } = self.rpc.call_typed(&request).await.unwrap_err();
        (code, message)
    }
}
