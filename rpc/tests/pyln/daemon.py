"""Starts the real `oddwired` for a test, in a directory of its own, and makes sure that it is gone afterwards.

Nothing here sleeps: a test waits for a log line, an answer or a message, each with a deadline after which it fails
and shows the daemon's log.
"""

import json
import os
import pathlib
import queue
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from pyln.client import LightningRpc

# Longer than any single step takes on a slow and busy machine, in seconds.
PATIENCE = 60


class DaemonTest(unittest.TestCase):
    """A test with a daemon of its own. When it fails, the daemons' logs follow."""

    def run(self, result=None):
        result = result or self.defaultTestResult()
        self.daemons = []
        failed_before = len(result.failures) + len(result.errors)
        super().run(result)
        if len(result.failures) + len(result.errors) > failed_before:
            for daemon in self.daemons:
                print(f"\n{self.id()}: log of {daemon.id}:\n{daemon.log}", file=sys.stderr)
        return result

    def setUp(self):
        self.daemon = self.start_daemon()

    def start_daemon(self):
        daemon = Daemon()
        self.addCleanup(daemon.stop)
        self.daemons.append(daemon)
        return daemon


class Daemon:
    """A running `oddwired` on regtest that listens on a loopback port of the system's choice."""

    def __init__(self, *options):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="oddwire-"))
        self.log = Log()
        command = [
            binary("ODDWIRED"),
            "--network=regtest",
            "--addr=127.0.0.1:0",
            f"--lightning-dir={self.directory}",
            "--log-level=debug",
        ]
        self.process = subprocess.Popen(
            [*command, *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        self.log_reader = threading.Thread(target=self.log.read, args=[self.process.stdout], daemon=True)
        self.log_reader.start()
        try:
            self.log.wait_for("Server started with public key")
            # Core Lightning's clients find the socket here, and it is there once that line is.
            self.rpc_path = self.directory / "regtest" / "lightning-rpc"
            self.rpc = LightningRpc(self.rpc_path)
            info = self.rpc.getinfo()
            self.id, self.port = info["id"], info["binding"][0]["port"]
        except BaseException:
            self.kill()
            raise

    def subscribe(self):
        """What `oddwire-cli listen` sees: custom messages that arrive from now on."""
        return Subscription(self)

    def connected(self, peer_id):
        return any(peer["id"] == peer_id and peer["connected"] for peer in self.rpc.listpeers()["peers"])

    def stop(self):
        """Ends the daemon in the orderly way; fails the test if that takes long or went wrong."""
        try:
            if self.process.poll() is None:
                self.rpc.stop()
            status = self.process.wait(timeout=PATIENCE)
            self.log_reader.join(timeout=PATIENCE)
            if status != 0:
                raise AssertionError(f"oddwired ended with status {status}")
            if re.search(r"panicked at|\*\*BROKEN\*\*", str(self.log)):
                raise AssertionError("oddwired had an internal error: see its log")
        finally:
            self.kill()

    def kill(self):
        """Ends the daemon whatever state it is in, and removes what it left."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.log_reader.join(timeout=PATIENCE)
        self.process.stdout.close()
        shutil.rmtree(self.directory, ignore_errors=True)


class Log:
    """The daemon's log, which a test can wait on."""

    def __init__(self):
        self.lines = []
        self.changed = threading.Condition()
        self.ended = False

    def read(self, stream):
        for line in stream:
            with self.changed:
                self.lines.append(line.rstrip("\n"))
                self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def wait_for(self, text):
        """Returns the first line with this text; lines that were logged before count, too."""
        deadline = time.monotonic() + PATIENCE
        seen = 0
        with self.changed:
            while True:
                for line in self.lines[seen:]:
                    if text in line:
                        return line
                seen = len(self.lines)
                left = deadline - time.monotonic()
                if self.ended or left <= 0:
                    reason = "oddwired ended" if self.ended else f"{PATIENCE} s passed"
                    raise AssertionError(
                        f"{reason} without the log line {text!r}; the log:\n" + "\n".join(self.lines)
                    )
                self.changed.wait(left)

    def __str__(self):
        with self.changed:
            return "\n".join(self.lines)


class Subscription:
    """A `subscribecustommsg` connection, read by hand: in pyln-client nothing comes without a call."""

    def __init__(self, daemon):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(str(daemon.rpc_path))
        self.received = b""
        self.socket.sendall(
            json.dumps(
                {"jsonrpc": "2.0", "id": "listen", "method": "subscribecustommsg", "params": {}}
            ).encode()
        )
        answer = self.read_object()
        if "result" not in answer:
            raise AssertionError(f"subscribecustommsg was refused: {answer}")

    def next(self):
        """The next message: (peer id, type and payload)."""
        notification = self.read_object()
        if notification.get("method") != "custommsg":
            raise AssertionError(f"not a message: {notification}")
        params = notification["params"]
        message = bytes.fromhex(params["payload"])
        if params["type"] != int.from_bytes(message[:2], "big"):
            raise AssertionError(f"type {params['type']} and payload {params['payload'][:20]}... disagree")
        return params["peer_id"], message

    def read_object(self):
        while b"\n\n" not in self.received:
            more = self.socket.recv(1 << 20)
            if not more:
                raise AssertionError(f"oddwired closed the subscription after {self.received!r}")
            self.received += more
        one, self.received = self.received.split(b"\n\n", 1)
        return json.loads(one)

    def close(self):
        self.socket.close()


class Worker:
    """A thread that keeps its result or its exception for whoever waits for it."""

    def __init__(self, function, *arguments):
        self.outcome = queue.SimpleQueue()
        self.thread = threading.Thread(target=self.run, args=[function, arguments], daemon=True)
        self.thread.start()

    def run(self, function, arguments):
        try:
            self.outcome.put((function(*arguments), None))
        except BaseException as error:  # Whatever it is, it belongs to the one who waits.
            self.outcome.put((None, error))

    def result(self):
        try:
            result, error = self.outcome.get(timeout=PATIENCE)
        except queue.Empty:
            raise AssertionError(f"a thread did not finish within {PATIENCE} s") from None
        self.thread.join()
        if error is not None:
            raise error
        return result


def binary(variable):
    path = os.environ.get(variable)
    if not path or not os.access(path, os.X_OK):
        raise RuntimeError(
            f"set {variable} to the built program (cargo build --package oddwire-rpc --bins); it is {path!r}"
        )
    return path
