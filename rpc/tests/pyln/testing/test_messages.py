"""Peers and messages, as suites made for Core Lightning test them."""

import pytest
from pyln.client import RpcError

ODD = "77770012"


def test_a_message_each_way(node_factory):
    l1, l2 = node_factory.get_nodes(2, opts={"log-level": "io"})
    l1.rpc.connect(l2.info["id"], "localhost", l2.port)
    for sender, receiver in ((l1, l2), (l2, l1)):
        answer = sender.rpc.sendcustommsg(receiver.info["id"], ODD)
        assert answer == {"status": "Message sent to connectd for delivery"}
        sender.daemon.wait_for_log(rf"{receiver.info['id']}-connectd: \[OUT\] {ODD}")
        receiver.daemon.wait_for_log(rf"{sender.info['id']}-connectd: \[IN\] {ODD}")


def test_who_is_connected(node_factory):
    l1, l2 = node_factory.get_nodes(2)
    l1.rpc.connect(l2.info["id"], "127.0.0.1", l2.port)
    (peer,) = l1.rpc.listpeers(l2.info["id"])["peers"]
    assert peer["connected"] and peer["netaddr"] == [f"127.0.0.1:{l2.port}"]
    l1.daemon.wait_for_log(r"Peer says it sees our address as: 127.0.0.1:[0-9]+")
    assert l1.rpc.ping(l2.info["id"]) == {"totlen": 132}
    l1.rpc.disconnect(l2.info["id"])
    l2.daemon.wait_for_log(f"{l1.info['id']}-connectd: ")
    assert l1.rpc.listpeers()["peers"] == []


def test_messages_of_the_protocol_are_in_the_log(node_factory):
    l1, l2 = node_factory.get_nodes(2, opts={"log-level": "io"})
    l1.rpc.connect(l2.info["id"], "127.0.0.1", l2.port)
    l1.rpc.ping(l2.info["id"], 3, 5)
    for node, other in ((l1, l2), (l2, l1)):
        # init, type 16
        node.daemon.wait_for_logs([rf"{other.info['id']}-connectd: \[OUT\] 0010", rf"{other.info['id']}-connectd: \[IN\] 0010"])
    l1.daemon.wait_for_logs([r"\[OUT\] 001200050003000000$", r"\[IN\] 001300050000000000$"])
    l2.daemon.wait_for_logs([r"\[IN\] 001200050003000000$", r"\[OUT\] 001300050000000000$"])


def test_an_even_type_that_nobody_understands_ends_the_connection(node_factory):
    l1 = node_factory.get_node(may_reconnect=True)
    l2 = node_factory.get_node(allow_warning=True)
    l1.rpc.connect(l2.info["id"], "127.0.0.1", l2.port)
    l1.rpc.sendcustommsg(l2.info["id"], "77760012")
    l2.daemon.wait_for_log("Invalid unknown even msg 77760012")
    l1.daemon.wait_for_log("Received WIRE_WARNING: Invalid unknown even msg 77760012")


def test_what_cannot_be_sent(node_factory):
    l1, l2 = node_factory.get_nodes(2)
    with pytest.raises(RpcError, match="No such peer"):
        l1.rpc.sendcustommsg(l2.info["id"], ODD)
    l1.rpc.connect(l2.info["id"], "127.0.0.1", l2.port)
    with pytest.raises(RpcError, match=r"Cannot send messages of type 18 \(WIRE_PING\)"):
        l1.rpc.sendcustommsg(l2.info["id"], "00120000")
    l1.rpc.check_request_schemas = False
    with pytest.raises(RpcError, match="should be a hex value"):
        l1.rpc.sendcustommsg(l2.info["id"], "zz")


def test_requests_are_in_the_log(node_factory):
    l1 = node_factory.get_node(options={"log-level": "io"})
    l1.rpc.getinfo()
    l1.daemon.wait_for_log(r'jsonrpc#[0-9]+: "[^"]+:getinfo#[0-9]+"\[IN\]')


def test_the_same_secret_makes_the_same_node(node_factory):
    l1 = node_factory.get_node()
    node_id = l1.info["id"]
    l1.restart()
    assert l1.info["id"] == node_id
    old = node_factory.get_node(old_hsmsecret=True, node_id=1001)
    assert old.info["id"] != node_id
