"""A Lightning peer on top of pyln-proto, which does the handshake and the ciphers. The messages are ours.

Two things about pyln-proto that decide what it can judge:
 * its `read_message` takes the 18 header bytes from one `recv`, which may return fewer, and its `send_message`
   ignores how much `send` took. `ExactSocket` gives it a socket that always reads and writes everything; keys,
   nonces and tags stay pyln-proto's own.
 * it makes an exception for a bad tag in acts one and two but never raises it: no test relies on its refusal.
"""

import os
import socket
import struct

from pyln.proto import wire

from daemon import PATIENCE

INIT, ERROR, PING, PONG, WARNING = 16, 17, 18, 19, 1
REGTEST = bytes.fromhex("06226e46111a0b59caaf126043eb5bbf28c34f3a5e332a1fc7b2b73cf188910f")
BITCOIN = bytes.fromhex("6fe28c0ab6f1b372c1a6a246ae63f74f931e8365e15a089c68d6190000000000")
# data_loss_protect, var_onion_optin, static_remotekey, payment_secret, channel_type: all optional.
FEATURES = sum(1 << bit for bit in (1, 9, 13, 15, 39, 45)).to_bytes(6, "big")


class ExactSocket:
    """A socket whose `recv` returns all that was asked for, less only at the end, and whose `send` sends all."""

    def __init__(self, connection):
        connection.settimeout(PATIENCE)
        self.connection = connection

    def recv(self, wanted):
        received = bytearray()
        while len(received) < wanted:
            more = self.connection.recv(wanted - len(received))
            if not more:
                break
            received += more
        return bytes(received)

    def send(self, data):
        self.connection.sendall(data)
        return len(data)


class Peer:
    """One end of a connection with `oddwired`, after the handshake."""

    def __init__(self, connection):
        self.noise = connection
        self.socket = connection.connection
        self.noise.connection = ExactSocket(self.socket)
        self.id = connection.local_pubkey.to_bytes().hex()

    @classmethod
    def dial(cls, daemon, key=None):
        """Handshake as initiator."""
        return cls(wire.connect(key or new_key(), bytes.fromhex(daemon.id), "127.0.0.1", daemon.port))

    def exchange_init(self, message=None):
        """Sends our `init` and returns theirs."""
        self.send(message or init())
        theirs = self.receive()
        if kind_of(theirs) != INIT:
            raise AssertionError(f"the first message is not init: {theirs.hex()}")
        return theirs

    def send(self, message):
        self.noise.send_message(message)

    def send_raw(self, data):
        self.socket.sendall(data)

    def receive(self):
        return self.noise.read_message()

    def expect_end(self):
        """The other side closes, and nothing comes before that."""
        try:
            rest = self.socket.recv(1)
        except ConnectionResetError:
            return
        if rest:
            raise AssertionError("the connection goes on")

    def close(self):
        self.socket.close()


class Listener:
    """A pyln-proto server socket that takes one connection."""

    def __init__(self):
        self.key = new_key()
        self.id = self.key.public_key().to_bytes().hex()
        self.socket = wire.LightningServerSocket(self.key)
        self.socket.settimeout(PATIENCE)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.listen()
        self.port = self.socket.getsockname()[1]

    def accept(self):
        connection, _ = self.socket.accept()
        return Peer(connection)

    def accept_slowly(self, meanwhile):
        """The same, with a call to `meanwhile` when the other side's act one is there and not yet answered."""
        connection, _ = socket.socket.accept(self.socket)
        connection.settimeout(PATIENCE)
        connection.recv(50, socket.MSG_PEEK | socket.MSG_WAITALL)
        meanwhile()
        noise = wire.LightningConnection(
            connection, remote_pubkey=None, local_privkey=self.key, is_initiator=False
        )
        noise.shake()
        return Peer(noise)

    def close(self):
        self.socket.close()


def new_key():
    return wire.PrivateKey(os.urandom(32))


def init(features=FEATURES, networks=(REGTEST,)):
    """BOLT 1: length-prefixed global features, length-prefixed features, TLV 1 with chain hashes."""
    message = struct.pack("!HHH", INIT, 0, len(features)) + features
    if networks:
        message += bytes([1, 32 * len(networks)]) + b"".join(networks)
    return message


def ping(num_pong_bytes, byteslen=0):
    return struct.pack("!HHH", PING, num_pong_bytes, byteslen) + bytes(byteslen)


def kind_of(message):
    return int.from_bytes(message[:2], "big")


def warning_text(message):
    """The text of a `warning` for the whole connection."""
    kind, channel, length = struct.unpack("!H32sH", message[:36])
    if (kind, channel, len(message)) != (WARNING, bytes(32), 36 + length):
        raise AssertionError(f"not a well-formed warning for the whole connection: {message.hex()}")
    return message[36:].decode("ascii")
