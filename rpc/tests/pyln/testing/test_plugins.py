"""A plugin on pyln-client, tested as its author would test it."""

import os

import pytest
from pyln.client import RpcError
from pyln.testing.utils import wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
SPEAKER = os.path.join(HERE, "speaker.py")
ARCHIVIST = os.path.join(HERE, "archivist.py")


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


def test_every_kind_of_option(node_factory):
    l1 = node_factory.get_node(options={
        "plugin": ARCHIVIST, "archive-reader": ["ann", "bob"], "archive-year": [1999, 2026], "archive-silent": None,
    })
    at_start = {
        "archive-title": "Letters", "archive-motto": None, "archive-reader": ["ann", "bob"], "archive-year": [1999, 2026],
        "archive-open": True, "archive-shelves": 3, "archive-dust": "some", "archive-silent": True,
    }
    assert l1.rpc.call("archive-options") == at_start
    configs = l1.rpc.listconfigs()["configs"]
    cmdline = {"plugin": ARCHIVIST, "sources": ["cmdline", "cmdline"]}
    assert configs["archive-reader"] == {"values_str": ["ann", "bob"], **cmdline}
    assert configs["archive-year"] == {"values_int": [1999, 2026], **cmdline}
    assert configs["archive-open"] == {"value_bool": True, "source": "default", "plugin": ARCHIVIST}
    assert configs["archive-silent"] == {"set": True, "source": "cmdline", "plugin": ARCHIVIST}
    assert "archive-motto" not in configs and "archive-dust" not in configs
    l1.rpc.setconfig("archive-shelves", 5)
    l1.daemon.wait_for_log("archive-shelves changes to 5")
    with pytest.raises(RpcError, match="there is no room for 10 shelves"):
        l1.rpc.setconfig("archive-shelves", 10)
    assert l1.rpc.call("archive-options")["archive-shelves"] == "5"
    l1.restart()
    assert l1.daemon.is_in_log(f"opened at {l1.info['id']}, startup True")
    assert l1.rpc.call("archive-options") == {**at_start, "archive-shelves": 5}


def test_plugins_in_a_chain_that_tell_each_other(node_factory):
    l1, l2 = node_factory.get_nodes(2, opts=[{}, {"plugin": [SPEAKER, ARCHIVIST]}])
    l1.rpc.connect(l2.info["id"], "127.0.0.1", l2.port)
    # Bit 141 of our `init`, besides those of the daemon itself.
    (peer,) = l1.rpc.listpeers(l2.info["id"])["peers"]
    assert int(peer["features"], 16) >> 141 == 1
    for message in ("80020001", "80030002", "80050003"):
        l1.rpc.sendcustommsg(l2.info["id"], message)
        l2.daemon.wait_for_log(f"speaker heard {message}")
    # It asked to be before the speaker, and for two of the three types.
    assert l2.rpc.call("archive-find", {"text": "80"}) == {"found": ["80020001", "80030002"]}
    for message in ("80020001", "80030002"):
        assert l2.daemon.is_in_log(f"plugin-archivist.py: archivist.py has archived {message}")
    assert not l2.daemon.is_in_log("has archived 80050003")
    l1.rpc.disconnect(l2.info["id"])
    l2.daemon.wait_for_log(f"{l1.info['id']} has left")
    l2.rpc.plugin_stop(SPEAKER)
    l2.rpc.plugin_start(SPEAKER)
    l2.daemon.wait_for_log(r"a colleague: \['heard'\]")
    with pytest.raises(RpcError, match="archivist.py cannot be managed when lightningd is up"):
        l2.rpc.plugin_stop("archivist.py")
    l2.stop()
    assert l2.daemon.is_in_log("plugin-archivist.py: closed")


def test_methods_as_a_plugin_offers_them(node_factory):
    l1 = node_factory.get_node(options={"plugin": ARCHIVIST})
    assert l1.rpc.help("archive-find")["help"][0]["command"].startswith("archive-find text [most]")
    assert l1.rpc.call("archive-find", ["80", 1]) == {"found": []}
    with pytest.raises(RpcError, match="missing a required argument"):
        l1.rpc.call("archive-find")
    with pytest.raises(RpcError, match="it is forbidden to burn letters") as burnt:
        l1.rpc.call("archive-burn")
    assert burnt.value.error["code"] == 451
    with pytest.raises(RpcError, match="it does not burn"):
        l1.rpc.call("archive-burn", {"how": "slowly"})
    heard = []
    with l1.rpc.notify(lambda **words: heard.append(words)):
        assert l1.rpc.call("archive-sort") == {"sorted": []}
    assert [words["message"] for words in heard] == ["step 0", "step 1"]
    with pytest.raises(RpcError, match="nothing is ever removed") as kept:
        l1.rpc.deldatastore("key")
    assert kept.value.error["code"] == -401
    l1.rpc.call("archive-mutter")
    l1.daemon.wait_for_logs([
        "INFO    plugin-archivist.py: cellar      : heard in the cellar", "DEBUG   plugin-archivist.py: a$",
        "plugin-archivist.py: line and another one", "plugin-archivist.py: said aloud",
        "UNUSUAL plugin-archivist.py: said in anger",
    ])
