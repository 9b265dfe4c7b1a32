"""The suite of a plugin's author would have the same two lines."""

from pyln.testing.fixtures import *  # noqa: F401,F403

from no_bitcoind import bitcoind, jsonschemas, node_cls  # noqa: F401
