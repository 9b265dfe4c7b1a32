"""Writes wire-core/tests/vectors/pyln-bolt8.json: a BOLT 8 conversation of two ends that are both pyln-proto.

The published vectors show one direction only. This file has both, through four key rotations each, so that
wire-core can be held against an independent implementation without Python and without a network
(wire-core/tests/recorded.rs).

All keys are fixed and the messages follow from their numbers, so the file comes out the same each time. To keep it
small it holds most frames only as part of a running SHA-256; those around the rotations are there as samples.

    python -m venv /tmp/pyln && /tmp/pyln/bin/pip install -r rpc/tests/pyln/requirements.txt
    /tmp/pyln/bin/python rpc/tests/pyln/recorded/record.py
"""

import hashlib
import importlib.metadata
import json
import pathlib
import random
import socket
import threading

from pyln.proto.wire import LightningConnection, PrivateKey

OUTPUT = pathlib.Path(__file__).resolve().parents[4] / "wire-core/tests/vectors/pyln-bolt8.json"
MESSAGES = 2500
# Two nonces a message: keys change before messages 500, 1000, 1500, 2000.
SAMPLES = [0, 1, 499, 500, 501, 999, 1000, 1001, 1499, 1500, 1501, 2000, 2499]


class Recorder:
    """One end of a socket pair, in the shape that pyln-proto expects of a socket; keeps what is sent."""

    def __init__(self, end):
        self.end = end
        self.sent = []

    def send(self, data):
        self.sent.append(bytes(data))
        self.end.sendall(data)
        return len(data)

    def recv(self, wanted):
        return self.end.recv(wanted, socket.MSG_WAITALL)


class Side:
    """A pyln-proto connection with keys that are known, and the running hash of its frames."""

    def __init__(self, name, end, remote_pubkey, static, ephemeral):
        self.name = name
        self.static, self.ephemeral = static, ephemeral
        self.recorder = Recorder(end)
        self.connection = LightningConnection(
            self.recorder,
            remote_pubkey=remote_pubkey,
            local_privkey=PrivateKey(static),
            is_initiator=remote_pubkey is not None,
        )
        # pyln-proto draws the ephemeral key when it is made and uses it first in shake(): this is in time.
        self.connection.handshake["e"] = PrivateKey(ephemeral)
        self.hash = hashlib.sha256()
        self.samples = []
        self.count = 0

    def keys(self):
        return {
            "static": self.static.hex(),
            "ephemeral": self.ephemeral.hex(),
            "node_id": PrivateKey(self.static).public_key().to_bytes().hex(),
        }

    def send_next(self, receiver):
        index, message = self.count, message_of(self.name, self.count)
        self.connection.send_message(message)
        received = receiver.connection.read_message()
        assert received == message, f"pyln-proto itself failed at message {index} of the {self.name}"
        frame = b"".join(self.recorder.sent)
        self.recorder.sent.clear()
        self.hash.update(frame)
        self.count += 1
        if index in SAMPLES:
            self.samples.append(
                {
                    "index": index,
                    "message": message.hex(),
                    "frame": frame.hex(),
                    "sha256_so_far": self.hash.hexdigest(),
                }
            )


def message_of(side, index):
    """2 to 301 bytes out of SHA-256 over `side/index/block`."""
    length = 2 + index * 37 % 300
    blocks = (
        hashlib.sha256(f"{side}/{index}/{block}".encode()).digest() for block in range(length // 32 + 1)
    )
    return b"".join(blocks)[:length]


def shake_hands(initiator, responder):
    answering = threading.Thread(target=responder.connection.shake)
    answering.start()
    initiator.connection.shake()
    answering.join()
    (act_one, act_three), (act_two,) = initiator.recorder.sent, responder.recorder.sent
    initiator.recorder.sent.clear()
    responder.recorder.sent.clear()
    return [act_one.hex(), act_two.hex(), act_three.hex()]


def main():
    ends = socket.socketpair()
    responder = Side("responder", ends[1], None, b"\x21" * 32, b"\x22" * 32)
    initiator = Side("initiator", ends[0], responder.connection.local_pubkey, b"\x11" * 32, b"\x12" * 32)
    acts = shake_hands(initiator, responder)

    # In no regular order, as two peers talk: what one direction does must not touch the other.
    order = random.Random(8)
    while initiator.count < MESSAGES or responder.count < MESSAGES:
        sender, receiver = (initiator, responder) if order.random() < 0.6 else (responder, initiator)
        if sender.count < MESSAGES:
            sender.send_next(receiver)

    version = importlib.metadata.version("pyln-proto")
    recording = {
        "origin": f"pyln-proto {version} at both ends, recorded by rpc/tests/pyln/recorded/record.py",
        "message": "message i of a side: 2 + 37 * i mod 300 bytes of SHA-256('side/i/0') SHA-256('side/i/1') ...",
        "messages": MESSAGES,
        "initiator": initiator.keys(),
        "responder": responder.keys(),
        "acts": acts,
        "directions": [
            {"from": side.name, "sha256": side.hash.hexdigest(), "samples": side.samples}
            for side in (initiator, responder)
        ],
    }
    OUTPUT.write_text(json.dumps(recording, indent=1) + "\n")
    print(f"{OUTPUT}: {OUTPUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
