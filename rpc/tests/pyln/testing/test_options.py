"""Options, the log and the end of the daemon, as suites made for Core Lightning use them."""

import os
import time

import pytest
from pyln.client import RpcError


def test_where_each_option_comes_from(node_factory):
    l1 = node_factory.get_node(options={"alias": "bob", "rgb": "010203"}, start=False)
    config = os.path.join(l1.daemon.lightning_dir, "regtest", "config")
    with open(config, "w") as out:
        out.write("# a comment\nalias=overridden\nlog-level=debug\nrpc-file-mode=0640\n")
    l1.start()
    assert (l1.info["alias"], l1.info["color"]) == ("bob", "010203")
    configs = l1.rpc.listconfigs()["configs"]
    assert configs["alias"] == {"value_str": "bob", "source": "cmdline"}
    assert configs["rpc-file-mode"] == {"value_str": "0640", "source": f"{config}:4"}
    assert configs["log-level"] == {"value_str": "trace", "source": "cmdline"}
    assert configs["developer"] == {"set": True, "source": "cmdline"}
    assert configs["network"] == {"value_str": "regtest", "source": "cmdline"}
    assert l1.rpc.listconfigs("rescan")["configs"] == {"rescan": {"value_int": 1, "source": "cmdline"}}
    assert l1.config("alias") == "bob"
    with pytest.raises(RpcError, match="Unknown config option"):
        l1.rpc.listconfigs("nonsense")


def test_options_that_mean_nothing_are_named_once(node_factory):
    l1 = node_factory.get_node()
    line = l1.daemon.is_in_log("mean nothing without channels and a chain")
    for name in ("cltv-delta", "ignore-fee-limits", "bitcoin-rpcuser", "dev-fast-gossip"):
        assert name in line, line


@pytest.mark.parametrize("option", ["nonsense", "rgb", "dev-nonsense"])
def test_a_wrong_option_ends_the_start_with_its_name(node_factory, option):
    l1 = node_factory.get_node(options={option: "x"}, start=False, expect_fail=True)
    l1.daemon.start(wait_for_initialized=False, stderr_redir=True)
    assert l1.daemon.wait() == 1
    # The value of an option that nobody knows may be a password, and is not shown.
    assert l1.daemon.is_in_stderr(f"--{option}: " if "nonsense" in option else f"--{option}=x: ")


def test_the_log_is_kept(node_factory):
    l1 = node_factory.get_node()
    log = l1.rpc.call("getlog", {"level": "debug"})
    assert log["bytes_used"] <= log["bytes_max"]
    assert any("Server started with public key" in line.get("log", "") for line in log["log"])
    assert {line["type"] for line in log["log"]} <= {"SKIPPED", "UNUSUAL", "INFO", "DEBUG"}
    assert l1.rpc.call("getlog", {"level": "broken"})["log"][0]["type"] == "SKIPPED"


def test_it_stops_in_time(node_factory):
    l1, l2 = node_factory.get_nodes(2)
    l1.rpc.connect(l2.info["id"], "127.0.0.1", l2.port)
    began = time.monotonic()
    assert l1.rpc.stop() == {"result": "Shutdown complete"}
    assert l1.daemon.wait(10) == 0
    assert time.monotonic() - began < 10
    assert not l1.daemon.is_in_log(r"\*\*BROKEN\*\*")
