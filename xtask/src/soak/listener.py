#!/usr/bin/env python3
"""A plugin of the soak. Under a name that begins with `deaf` it stops reading at the first message; otherwise it looks at
every message of the types that its own name ends in and says, when asked with `soak-count`, how many it saw and how many were
damaged or came in the wrong order. It needs nothing but Python.
"""

import hashlib
import json
import pathlib
import sys
import threading

NAME = pathlib.Path(__file__).name
KIND = int(NAME.rsplit("-", 1)[1])
COUNTS = {"seen": 0, "wrong": 0}
LAST = -1


def answer(request, result):
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result}) + "\n\n")
    sys.stdout.flush()


def look(payload):
    global LAST
    message = bytes.fromhex(payload)
    if int.from_bytes(message[:2], "big") != KIND:
        return
    content, checksum = message[2:-8], message[-8:]
    number = int.from_bytes(content[:8], "big")
    COUNTS["seen"] += 1
    COUNTS["wrong"] += hashlib.sha256(content).digest()[:8] != checksum or number <= LAST
    LAST = number


def messages():
    decoder, text = json.JSONDecoder(), ""
    for line in sys.stdin:
        text += line
        if not text.strip():
            text = ""
            continue
        if line.strip():
            continue
        yield decoder.decode(text)
        text = ""


for message in messages():
    method = message.get("method")
    if method == "getmanifest":
        manifest = {"options": [], "rpcmethods": [], "dynamic": True}
        if NAME.startswith("deaf"):
            manifest["subscriptions"] = ["custommsg"]
        else:
            manifest["hooks"] = [{"name": "custommsg", "filters": [KIND]}]
            manifest["rpcmethods"] = [{"name": "soak-count", "usage": "", "description": "What it saw"}]
        answer(message, manifest)
    elif method == "init":
        answer(message, {})
    elif method == "soak-count":
        answer(message, COUNTS)
    elif method == "custommsg" and NAME.startswith("deaf"):
        threading.Event().wait()
    elif method == "custommsg":
        look(message["params"]["payload"])
        answer(message, {"result": "continue"})
