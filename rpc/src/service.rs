//! What the methods work on: the node, and what the daemon knows about itself.

use std::path::PathBuf;
use std::sync::Arc;

use oddwire_node::{Node, NodeId};

use crate::config::Names;
use crate::config::table::OptionTable;
use crate::datastore::Datastore;
use crate::log::LogBook;
use crate::plugin::Host;
use crate::stop::StopSignal;

/// The daemon, as the methods see it. The daemon makes one and hands it to [`Server::run`](crate::server::Server::run).
#[derive(Debug)]
pub struct Service {
    /// The running node.
    pub node: Node,
    /// Our name, for people.
    pub alias: String,
    /// Our colour, for people: red, green, blue.
    pub color: [u8; 3],
    /// What `getinfo` answers as `version`. Clients read Core Lightning's version out of it, so it must begin with `v`, two
    /// numbers and a dot between them.
    pub version: String,
    /// Where this network's files are; `getinfo` shows it.
    pub lightning_dir: PathBuf,
    /// What plugins keep.
    pub datastore: Datastore,
    /// Who the clients are.
    pub audience: Audience,
    /// Whether `connect` may look up names.
    pub names: Names,
    /// The newest part of the log.
    pub log_book: LogBook,
    /// The daemon's options and those of its plugins.
    pub options: Arc<OptionTable>,
    /// The plugins.
    pub plugins: Host,
    /// Triggered by the method `stop`; whoever triggers it ends the server.
    pub stop: StopSignal,
}

/// Who the clients are taken for.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Users. An error does not repeat a parameter's value, which may be a secret in the wrong place; the log does.
    Users,
    /// Developers (`--developer`). Errors show the value that is wrong.
    Developers,
}

/// The alias of a node that was given none.
pub fn default_alias(id: &NodeId) -> String {
    let [a, b, c, d, ..] = *id.as_bytes();
    format!("oddwire-{a:02x}{b:02x}{c:02x}{d:02x}")
}

/// The colour of a node that was given none: the first three bytes of its id.
pub fn default_color(id: &NodeId) -> [u8; 3] {
    let [red, green, blue, ..] = *id.as_bytes();
    [red, green, blue]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_without_a_name_is_called_after_its_id() {
        let id = "0266e4598d1d3c415f572a8488830b60f7e744ed9235eb0b1ba93283b315c03518".parse().unwrap();
        assert_eq!(default_alias(&id), "oddwire-0266e459");
        assert_eq!(default_color(&id), [0x02, 0x66, 0xe4]);
    }
}
