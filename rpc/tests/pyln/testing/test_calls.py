"""The calls around the messages. pyln-testing holds each request and each answer against Core Lightning's schemas."""

import pytest
from pyln.client import RpcError


def test_datastore(node_factory):
    l1 = node_factory.get_node()
    first = {"key": ["somekey"], "generation": 0, "hex": b"somedata".hex(), "string": "somedata"}
    assert l1.rpc.datastore(key="somekey", string="somedata") == first
    assert l1.rpc.listdatastore() == {"datastore": [first]}
    with pytest.raises(RpcError, match="already exists"):
        l1.rpc.datastore(key="somekey", string="other")
    second = l1.rpc.datastore(key="somekey", hex="ff", mode="must-append", generation=0)
    assert second == {"key": ["somekey"], "generation": 1, "hex": b"somedata".hex() + "ff"}
    l1.rpc.datastore(key=["a", "b"], string="x", mode="create-or-append")
    assert l1.rpc.listdatastore()["datastore"] == [{"key": ["a"]}, second]
    usage = l1.rpc.call("datastoreusage", {"key": ["a"]})
    assert usage == {"datastoreusage": {"key": "[a]", "total_bytes": 4}}

    l1.restart()
    assert l1.rpc.listdatastore("somekey") == {"datastore": [second]}
    assert l1.rpc.deldatastore("somekey", generation=1) == second
    with pytest.raises(RpcError, match="does not exist"):
        l1.rpc.deldatastore("somekey")


def test_secrets_and_signatures(node_factory):
    """The first node of every suite has the same key: what Core Lightning's own suite expects of it."""
    l1, l2 = node_factory.get_nodes(2)
    secret = "498a16a6c6b82b7280de7f5b0afa0478b29d3a1cbe52c376249cf46abb6c03da"
    assert l1.rpc.makesecret("73636220736563726574") == {"secret": secret}
    assert l1.rpc.makesecret(string="scb secret") == {"secret": secret}
    signed = l2.rpc.signmessage("message for you")
    assert signed["zbase"] == (
        "rnu3qotbr47u7uzgodtq51fraszhp47xfen4yxbzhsisrekqwzshysu7sq4f74g5jobnh35fsh1a3ysoa7who6cqbti47qkxp6w1qwan"
    )
    checked = l1.rpc.checkmessage("message for you", signed["zbase"], l2.info["id"])
    assert checked == {"pubkey": l2.info["id"], "verified": True}
    with pytest.raises(RpcError, match="pubkey not found in the graph"):
        l1.rpc.checkmessage("message for you", signed["zbase"])


def test_what_there_is_none_of(node_factory):
    l1 = node_factory.get_node()
    assert l1.rpc.listnodes() == {"nodes": []}
    assert l1.rpc.listfunds() == {"outputs": [], "channels": []}
    assert l1.rpc.listpeerchannels() == {"channels": []}
    assert l1.rpc.call("batching", {"enable": True}) == {}
    assert l1.rpc.call("deprecations", {"enable": True}) == {}
    with pytest.raises(RpcError, match="follows no chain"):
        l1.rpc.waitblockheight(110)
