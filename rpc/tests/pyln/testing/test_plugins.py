"""A plugin on pyln-client, tested as its author would test it."""

import os

import pytest
from pyln.client import RpcError
from pyln.testing.utils import wait_for

SPEAKER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "speaker.py")


def test_hooks_even_types_notifications_and_methods(node_factory):
    l1, l2 = node_factory.get_nodes(2, opts=[{}, {"plugin": SPEAKER, "greeting": "hi", "shout": None}])
    l1.rpc.connect(l2.info["id"], "127.0.0.1", l2.port)
    l2.daemon.wait_for_logs([f"speaker may refuse {l1.info['id']}", "speaker was told of a connection"])
    for message in ("77770012", "80000001"):
        l1.rpc.sendcustommsg(l2.info["id"], message)
        l2.daemon.wait_for_log(f"speaker heard {message} from {l1.info['id']}")
    heard = l2.rpc.call("heard")
    assert heard == {"messages": ["77770012", "80000001"], "greeting": "hi", "volume": 3}
    configs = l2.rpc.listconfigs()["configs"]
    assert configs["greeting"] == {"value_str": "hi", "source": "cmdline", "plugin": SPEAKER}
    assert configs["shout"] == {"set": True, "source": "cmdline", "plugin": SPEAKER}
    assert configs["volume"]["dynamic"]
    assert any(line["command"].startswith("heard") for line in l2.rpc.help()["help"])


def test_a_plugin_that_comes_and_goes(node_factory):
    l1 = node_factory.get_node()
    l1.rpc.plugin_start(SPEAKER, greeting="later")
    assert l1.rpc.listconfigs("greeting")["configs"]["greeting"]["source"] == "pluginstart"
    assert l1.rpc.call("heard")["greeting"] == "later"
    l1.daemon.wait_for_log("Now allowing 1 custom message types")
    l1.rpc.plugin_stop(SPEAKER)
    l1.daemon.wait_for_log("Killing plugin: stopped by lightningd via RPC")
    with pytest.raises(RpcError, match="Unknown command 'heard'"):
        l1.rpc.call("heard")
    with pytest.raises(RpcError, match="Unknown config option"):
        l1.rpc.listconfigs("greeting")


def test_dynamic_options_are_set_and_saved(node_factory):
    l1 = node_factory.get_node(options={"plugin": SPEAKER})
    saved = os.path.join(l1.daemon.lightning_dir, "regtest", "config.setconfig")
    config = l1.rpc.setconfig("volume", 7)["config"]
    assert config == {
        "config": "volume", "value_int": 7, "source": f"{saved}:2", "plugin": SPEAKER, "dynamic": True,
    }
    assert l1.rpc.setconfig("volume", 9, True)["config"]["source"] == "setconfig transient"
    l1.restart()
    assert l1.rpc.listconfigs("volume")["configs"]["volume"]["value_int"] == 7
    assert l1.rpc.call("heard")["volume"] == 7
    for option, value, words in (
        ("greeting", "x", "Not a dynamic config option"),
        ("alias", "x", "Not a dynamic config option"),
        ("nothing", "x", "Unknown config option"),
        ("volume", "loud", "not a number"),
        ("volume", ["1"], "is not a multi option"),
    ):
        with pytest.raises(RpcError, match=words):
            l1.rpc.setconfig(option, value)


def test_an_option_of_a_plugin_that_is_not_there(node_factory):
    l1 = node_factory.get_node(options={"greeting": "hi"}, start=False, expect_fail=True)
    l1.daemon.start(wait_for_initialized=False, stderr_redir=True)
    assert l1.daemon.wait() == 1
    wait_for(lambda: l1.daemon.is_in_stderr("--greeting: unknown option"))
