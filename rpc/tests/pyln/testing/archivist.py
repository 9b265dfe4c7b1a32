#!/usr/bin/env python3
"""A plugin that uses all that pyln-client offers to plugins about messages: every kind of option, hooks of its own thread,
calls that report their progress, notifications for other plugins, Python's own ways to write to the log."""

import logging
import sys
import threading

from pyln.client import Plugin, RpcException

plugin = Plugin(dynamic=False, init_features=1 << 141, custom_msgs=[32770, 32772])
KEPT = []


def on_shelves(plugin, name, value):
    if int(value) > 9:
        raise ValueError(f"there is no room for {value} shelves")
    plugin.log(f"{name} changes to {value}")


plugin.add_option("archive-title", "Letters", "What it is called")
plugin.add_option("archive-motto", None, "What is written above the door")
plugin.add_option("archive-reader", None, "Who may read", multi=True)
plugin.add_option("archive-year", None, "A year that is kept", opt_type="int", multi=True)
plugin.add_option("archive-open", True, "Whether it is open", opt_type="bool")
plugin.add_option("archive-shelves", 3, "How many shelves", opt_type="int", dynamic=True, on_change=on_shelves)
plugin.add_option("archive-dust", "some", "No longer of use", deprecated=["v25.01", "v99.01"])
plugin.add_flag_option("archive-silent", "Nobody speaks")
plugin.add_notification_topic("archived")


@plugin.init()
def init(options, configuration, plugin):
    plugin.log(f"opened at {plugin.rpc.getinfo()['id']}, startup {configuration['startup']}")


@plugin.hook("custommsg", before=["speaker.py"], filters=[32770, 32771])
def on_custommsg(peer_id, payload, plugin, **kwargs):
    KEPT.append(payload)
    plugin.notify("archived", {"peer_id": peer_id, "payload": payload})
    return {"result": "continue"}


@plugin.async_hook("peer_connected")
def on_peer_connected(peer, plugin, request, **kwargs):
    threading.Thread(target=lambda: request.set_result({"result": "continue"})).start()


@plugin.hook("rpc_command", filters=["deldatastore"])
def on_rpc_command(rpc_command, plugin, **kwargs):
    return {"return": {"error": {"code": -401, "message": "nothing is ever removed"}}}


@plugin.subscribe("archived")
def on_archived(plugin, origin, payload, **kwargs):
    plugin.log(f"{origin} has archived {payload}")


@plugin.subscribe("disconnect")
def on_disconnect(plugin, disconnect, **kwargs):
    plugin.log(f"{disconnect['id']} has left")


@plugin.subscribe("plugin_started")
def on_plugin_started(plugin, plugin_started, **kwargs):
    plugin.log(f"a colleague: {plugin_started['methods']}")


@plugin.subscribe("shutdown")
def on_shutdown(plugin, **kwargs):
    plugin.log("closed")
    sys.exit(0)


@plugin.method("archive-find")
def find(plugin, text, most: int = 2):
    """Finds messages.

    Those that begin with a text, so many at most.
    """
    return {"found": [message for message in KEPT if message.startswith(text)][:most]}


@plugin.method("archive-options")
def options(plugin):
    return {name: option.value for name, option in plugin.options.items()}


@plugin.async_method("archive-sort")
def sort(plugin, request):
    def work():
        for step in range(2):
            request.notify(f"step {step}")
        request.set_result({"sorted": sorted(KEPT)})

    threading.Thread(target=work).start()


@plugin.method("archive-burn")
def burn(plugin, how=None):
    if how == "slowly":
        raise ValueError("it does not burn")
    raise RpcException("it is forbidden to burn letters", code=451)


@plugin.method("archive-mutter")
def mutter(plugin):
    logging.getLogger("cellar").warning("heard in the cellar")
    plugin.log("a\nline and another one", level="debug")
    print("said aloud")
    print("said in anger", file=sys.stderr)
    return {}


plugin.run()
