#!/usr/bin/env python3
"""A plugin that does what the file beside it says, be it right or wrong: PROGRAM.json has its `manifest`, and under `on` what
it does when it is asked or told something. It needs nothing but Python, and says what it hears in the daemon's log.

An action is one of: a JSON object (the result), "continue", "seen" (the same with a line in the log), "count", "hang",
"sleep" (reads nothing any more), "close-input" (and answers), "large", "too-large", "twice", "nonsense", "error", "wrong-id",
"garbage", "flood", "exit", "log", "stderr", "send-then-continue", "call", "disconnect-then-continue",
"connect-then-continue", "progress", "params", "tell", or a list of these, one for each time.
"""

import json
import os
import pathlib
import socket
import sys
import threading

SCRIPT = json.loads(pathlib.Path(__file__ + ".json").read_text())
TIMES = {}
CONFIGURATION = {}


def say(message):
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n\n")
    sys.stdout.flush()


def log(text, level="info"):
    say({"method": "log", "params": {"level": level, "message": text}})


def call(method, **params):
    """A call to the daemon's own socket, as plugins make them."""
    path = os.path.join(CONFIGURATION["lightning-dir"], CONFIGURATION["rpc-file"])
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
        client.sendall(json.dumps({"jsonrpc": "2.0", "id": "scripted", "method": method, "params": params}).encode())
        answer = b""
        while not answer.endswith(b"\n\n"):
            answer += client.recv(65536)
    return json.loads(answer)


def count(payload):
    """Sees to it that messages are numbered without a gap, and says so every thousand of them."""
    expected = TIMES.get("count", 0)
    if int(payload[4:12], 16) != expected:
        log(f"expected number {expected}, not {payload}")
        os._exit(1)
    TIMES["count"] = expected + 1
    if TIMES["count"] % 1000 == 0:
        log(f"counted {TIMES['count']}")


def heard(message):
    """What to do about a request or a notification of this name, this time."""
    method = message["method"]
    action = SCRIPT.get("on", {}).get(method)
    if isinstance(action, list):
        place = TIMES.get(method, 0)
        TIMES[method] = place + 1
        action = action[min(place, len(action) - 1)]
    return action


def act(action, message):
    method, number = message["method"], message.get("id")
    if action == "exit":
        os._exit(7)
    elif action == "sleep":
        threading.Event().wait()
    elif action == "flood":
        while True:
            sys.stdout.write("x" * 65536)
    elif action == "garbage":
        sys.stdout.write("this is no JSON }\n\n")
        sys.stdout.flush()
    elif action == "log":
        log(f"told {method}: {json.dumps(message['params'], separators=(',', ':'), sort_keys=True)}")
    elif action == "stderr":
        print("a word to standard error", file=sys.stderr, flush=True)
    elif number is None or action == "hang":
        return
    elif action == "continue":
        say({"id": number, "result": {"result": "continue"}})
    elif action == "seen":
        shown = message["params"].get("payload") or json.dumps(message["params"], separators=(",", ":"), sort_keys=True)
        log(f"asked {method}: {shown}")
        say({"id": number, "result": {"result": "continue"}})
    elif action == "count":
        count(message["params"]["payload"])
        say({"id": number, "result": {"result": "continue"}})
    elif action == "close-input":
        # First, so that whoever sees the answer finds it closed.
        os.close(0)
        say({"id": number, "result": {"result": "continue"}})
        threading.Event().wait()
    elif action in ("large", "too-large"):
        say({"id": number, "result": {"text": "x" * ((16 if action == "large" else 65) << 20)}})
    elif action == "twice":
        for _ in range(2):
            say({"id": number, "result": {"result": "continue"}})
    elif action == "nonsense":
        say({"id": number, "result": {"result": "perhaps"}})
    elif action == "error":
        say({"id": number, "error": {"code": -7, "message": "cannot", "data": {"why": [1]}}})
    elif action == "wrong-id":
        say({"id": "someone/else", "result": {"result": "continue"}})
    elif action == "send-then-continue":
        peer = message["params"]["peer"]["id"]
        log(f"sent: {call('sendcustommsg', node_id=peer, msg='80010102')}")
        say({"id": number, "result": {"result": "continue"}})
    elif action == "call":
        log(f"called: {call('listpeers')}")
        say({"id": number, "result": {"result": "continue"}})
    elif action in ("disconnect-then-continue", "connect-then-continue"):
        word = action.split("-")[0]
        log(f"{word}: {call(word, id=message['params']['peer']['id'])}")
        say({"id": number, "result": {"result": "continue"}})
    elif action == "progress":
        say({"method": "message", "params": {"id": number, "level": "info", "message": "half way"}})
        say({"id": number, "result": {}})
    elif action == "params":
        say({"id": number, "result": {"params": message["params"], "id": number, "method": method}})
    elif action == "tell":
        say({"method": "mine", "params": {"word": "hello"}})
        say({"method": "not-mine", "params": {}})
        say({"id": number, "result": {}})
    else:
        say({"id": number, "result": action if action is not None else {}})


def main():
    text = ""
    decoder = json.JSONDecoder()
    for line in sys.stdin:
        text += line
        try:
            message, _ = decoder.raw_decode(text.strip())
        except json.JSONDecodeError:
            continue
        text = ""
        method = message["method"]
        if method == "getmanifest" and "getmanifest" not in SCRIPT.get("on", {}):
            say({"id": message["id"], "result": SCRIPT["manifest"]})
        elif method == "init" and "init" not in SCRIPT.get("on", {}):
            CONFIGURATION.update(message["params"]["configuration"])
            log(f"init: {json.dumps(message['params'], separators=(',', ':'))}", "debug")
            say({"id": message["id"], "result": {}})
        elif method == "shutdown":
            if heard(message) != "hang":
                log("leaving")
                sys.exit(0)
        else:
            action = heard(message)
            if action == "send-then-continue":
                threading.Thread(target=act, args=[action, message]).start()
            else:
                act(action, message)


main()
