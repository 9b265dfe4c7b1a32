"""pyln-testing with oddwired as its lightningd, and without a bitcoind: three fixtures that take the place of its own.

A plugin's suite uses them by having this in its `conftest.py`, behind pyln-testing's own fixtures:

    from pyln.testing.fixtures import *
    from no_bitcoind import bitcoind, jsonschemas, node_cls

`oddwired` is looked for in the environment variable ODDWIRED, then on the PATH. What needs a chain (`fundchannel`, `bitcoind.rpc`)
fails with a word about that.
"""

import json
import os
import pathlib

import pytest
from pyln.testing.fixtures import _extra_validator
from pyln.testing.utils import LightningNode

SCHEMAS = pathlib.Path(__file__).with_name("schemas.json")


class NoChain:
    """Where pyln-testing wants a bitcoind, or a proxy of one, and only passes it on."""

    canned_blocks = None
    # What `--bitcoin-rpcport` says; oddwired takes the option and connects to nothing.
    rpcport = 0

    def get_proxy(self):
        return self

    def mock_rpc(self, method, response=None):
        """Fee rates that nobody asks for."""

    def stop(self):
        pass

    def __getattr__(self, name):
        raise AttributeError(f"there is no bitcoind here, so no `{name}`: this test needs a chain")


class NoGossip:
    """A node that keeps no gossip has no file of it."""

    def open(self):
        pass


class OddwireNode(LightningNode):
    def __init__(self, *args, executable=None, **kwargs):
        super().__init__(*args, executable=executable or os.environ.get("ODDWIRED", "oddwired"), **kwargs)
        self.gossip_store = NoGossip()


@pytest.fixture
def bitcoind():
    yield NoChain()


@pytest.fixture
def node_cls():
    return OddwireNode


@pytest.fixture(autouse=True)
def jsonschemas():
    """Core Lightning's schemas of the calls that are here; pyln-testing holds every call and answer against them."""
    schemas = json.loads(SCHEMAS.read_text())
    return {
        method: [_extra_validator(True)(schema.get("request", {})), _extra_validator(False)(schema.get("response", {}))]
        for method, schema in schemas.items()
    }
