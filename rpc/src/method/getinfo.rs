//! `getinfo`: who we are.

use super::address::write_address;
use super::{Call, Example, Method, Reply};
use crate::error::RpcError;
use crate::json_writer::object;

pub(super) static METHOD: Method = Method {
    name: "getinfo",
    summary: "Shows who this node is: id, addresses, network, version",
    params: &[],
    page: "The answer has the members of Core Lightning's, so that its clients understand it: `id`, `alias`, `color`, \
`num_peers` (connected), `num_pending_channels`, `num_active_channels`, `num_inactive_channels` (0: there are no channels \
here), `address` (announced ones: none), `binding` (what is listened on; left out if nothing is), `version`, `blockheight` \
(0: there is no chain here), `network`, `fees_collected_msat` (0), `lightning-dir`, `our_features` (BOLT 9, hex: `init`; \
`node`, `channel` and `invoice` are empty, since this node announces and invoices nothing).",
    examples: &[Example {
        about: "Everything",
        params: "{}",
        result: r#"{"id":"0266e4598d1d3c415f572a8488830b60f7e744ed9235eb0b1ba93283b315c03518","alias":"oddwire-0266e459","color":"0266e4","num_peers":1,"num_pending_channels":0,"num_active_channels":0,"num_inactive_channels":0,"address":[],"binding":[{"type":"ipv4","address":"127.0.0.1","port":9735}],"version":"v26.06-oddwire-0.1.0","blockheight":0,"network":"regtest","fees_collected_msat":0,"lightning-dir":"/home/me/.oddwire/regtest","our_features":{"init":"20800000a202","node":"","channel":"","invoice":""}}"#,
    }],
    handler: getinfo,
};

fn getinfo(call: &Call<'_>) -> Result<Reply, RpcError> {
    call.read(&mut [])?;
    if call.is_check() {
        return Ok(call.checked());
    }
    let service = call.service;
    let node = &service.node;
    let result = object(|info| {
        info.string("id", node.id());
        info.string("alias", &service.alias);
        info.hex("color", &service.color);
        info.bare("num_peers", node.peer_count());
        info.bare("num_pending_channels", 0);
        info.bare("num_active_channels", 0);
        info.bare("num_inactive_channels", 0);
        info.array("address", |_| {});
        if !node.listening().is_empty() {
            info.array("binding", |bindings| {
                for address in node.listening() {
                    bindings.object(|binding| write_address(binding, *address));
                }
            });
        }
        info.string("version", &service.version);
        info.bare("blockheight", 0);
        info.string("network", node.network().name());
        info.bare("fees_collected_msat", 0);
        info.string("lightning-dir", service.lightning_dir.display());
        info.object("our_features", |features| {
            features.hex("init", node.features().as_bytes());
            for kind in ["node", "channel", "invoice"] {
                features.string(kind, "");
            }
        });
    });
    Ok(Reply::Done(result.into()))
}
