#!/usr/bin/env python3
"""A plugin as its author would write it, on pyln-client: hooks, an even type, notifications, options, a method."""

from pyln.client import Plugin

plugin = Plugin(dynamic=True, custom_msgs=[32768])
SEEN = []

plugin.add_option("greeting", "hello", "What the plugin says")
plugin.add_option("volume", 3, "How loud", opt_type="int", dynamic=True)
plugin.add_option("shout", None, "Whether it shouts", opt_type="flag")


@plugin.hook("custommsg")
def on_custommsg(peer_id, payload, plugin, **kwargs):
    SEEN.append(payload)
    plugin.log(f"speaker heard {payload} from {peer_id}")
    return {"result": "continue"}


@plugin.hook("peer_connected")
def on_peer_connected(peer, plugin, **kwargs):
    plugin.log(f"speaker may refuse {peer['id']}")
    return {"result": "continue"}


@plugin.subscribe("connect")
def on_connect(plugin, **kwargs):
    plugin.log("speaker was told of a connection")


@plugin.method("heard")
def heard(plugin):
    """What arrived so far."""
    return {"messages": SEEN, "greeting": plugin.get_option("greeting"), "volume": plugin.get_option("volume")}


plugin.run()
