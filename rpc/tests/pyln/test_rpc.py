"""pyln-client, the library that Core Lightning's Python users have, on `oddwired`'s socket."""

import stat
import struct
import unittest
from concurrent.futures import ThreadPoolExecutor

from pyln.client import LightningRpc, RpcError
from pyln.client.lightning import UnixDomainSocketRpc

from bolt8 import PONG, Listener, Peer, kind_of, new_key, ping
from daemon import PATIENCE, DaemonTest, Worker

STRANGER = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"


class RpcTest(DaemonTest):
    def setUp(self):
        super().setUp()
        self.rpc = self.daemon.rpc

    def connected_peer(self, key=None):
        """A pyln-proto peer that `oddwired` counts as connected: the pong shows that it read our `init`."""
        peer = Peer.dial(self.daemon, key)
        self.addCleanup(peer.close)
        peer.exchange_init()
        peer.send(ping(0))
        self.assertEqual(kind_of(peer.receive()), PONG)
        return peer

    def refused(self, code, message, method, *arguments, **named):
        """The call fails with this code and a message that contains these words."""
        with self.assertRaises(RpcError) as raised:
            method(*arguments, **named)
        error = raised.exception.error
        self.assertIsInstance(error, dict, error)
        self.assertEqual(error["code"], code, error)
        self.assertIn(message, error["message"])

    def test_getinfo(self):
        info = self.rpc.getinfo()
        self.assertRegex(info["id"], "^0[23][0-9a-f]{64}$")
        self.assertEqual(info["network"], "regtest")
        self.assertEqual(
            info["binding"], [{"type": "ipv4", "address": "127.0.0.1", "port": self.daemon.port}]
        )
        self.assertEqual(info["lightning-dir"], str(self.daemon.directory / "regtest"))
        self.assertEqual(info["color"], info["id"][:6])
        for count in (
            "num_peers",
            "num_pending_channels",
            "num_active_channels",
            "num_inactive_channels",
            "blockheight",
        ):
            self.assertIsInstance(info[count], int, count)
        # pyln-client makes its own type of fields whose names end in msat.
        self.assertEqual(int(info["fees_collected_msat"]), 0)
        self.assertEqual([name for name in info if name.startswith("warning")], [])

    def test_the_socket_is_for_its_owner_only(self):
        self.assertEqual(stat.S_IMODE(self.daemon.rpc_path.stat().st_mode), 0o600)

    def test_two_daemons_from_connect_to_disconnect(self):
        other = self.start_daemon()
        answer = self.rpc.connect(other.id, "127.0.0.1", other.port)
        self.assertEqual(answer["id"], other.id)
        self.assertEqual(answer["direction"], "out")
        self.assertEqual(answer["address"], {"type": "ipv4", "address": "127.0.0.1", "port": other.port})
        again = self.rpc.connect(f"{other.id}@127.0.0.1:{other.port}")
        self.assertEqual(again, answer, "connected already: the same answer")

        [peer] = self.rpc.listpeers()["peers"]
        self.assertEqual((peer["id"], peer["connected"], peer["num_channels"]), (other.id, True, 0))
        self.assertEqual(peer["netaddr"], [f"127.0.0.1:{other.port}"])
        self.assertEqual(peer["features"], answer["features"])
        self.assertEqual(self.rpc.listpeers(other.id)["peers"], [peer])
        self.assertEqual(self.rpc.listpeers(STRANGER)["peers"], [])
        self.assertEqual(self.rpc.getinfo()["num_peers"], 1)

        self.assertEqual(self.rpc.ping(other.id), {"totlen": 132})
        self.assertEqual(self.rpc.ping(other.id, length=0, pongbytes=0), {"totlen": 4})
        self.assertEqual(self.rpc.ping(other.id, length=10, pongbytes=65532), {"totlen": 0})

        arriving = other.subscribe()
        self.addCleanup(arriving.close)
        self.assertEqual(
            self.rpc.sendcustommsg(other.id, "77770012"), {"status": "Message sent to connectd for delivery"}
        )
        self.assertEqual(arriving.next(), (self.daemon.id, bytes.fromhex("77770012")))

        self.assertEqual(self.rpc.disconnect(other.id), {})
        self.assertFalse(self.daemon.connected(other.id))
        self.refused(-32602, f"Unknown peer '{other.id}'", self.rpc.disconnect, other.id)

    def test_connect_fails_with_the_codes_of_connect(self):
        listener = Listener()
        listener.close()
        self.refused(401, "Connection refused", self.rpc.connect, STRANGER, "127.0.0.1", listener.port)
        self.refused(-32602, "id", self.rpc.connect, "nonsense", "127.0.0.1", 1)

    def test_sendcustommsg_refuses_what_cannot_work(self):
        peer = self.connected_peer()
        self.refused(
            -32600, "Cannot send messages of type 16 (WIRE_INIT).", self.rpc.sendcustommsg, STRANGER, "0010"
        )
        self.refused(-32600, f"No such peer: {STRANGER}", self.rpc.sendcustommsg, STRANGER, "8001")
        for message in ("zz01", "800", "0x8001"):
            with self.subTest(message=message):
                self.refused(
                    -32602,
                    "msg: should be a hex value: invalid token",
                    self.rpc.sendcustommsg,
                    peer.id,
                    message,
                )
        for message in ("", "80", "8001" + "00" * 65534):
            with self.subTest(digits=len(message)):
                self.refused(-32602, "msg", self.rpc.sendcustommsg, peer.id, message)
        self.refused(-32602, "node_id", self.rpc.sendcustommsg, "02", "8001")
        self.refused(
            -32602, "missing required parameter: msg", self.rpc.call, "sendcustommsg", {"node_id": STRANGER}
        )
        self.refused(
            -32602,
            "unknown parameter: x",
            self.rpc.call,
            "sendcustommsg",
            {"node_id": STRANGER, "msg": "8001", "x": 1},
        )

    def test_the_longest_message_goes_through(self):
        peer = self.connected_peer()
        message = b"\x80\x01" + bytes(range(256)) * 255 + bytes(253)
        self.assertEqual(len(message), 65535)
        self.rpc.sendcustommsg(peer.id, message.hex())
        self.assertTrue(peer.receive() == message)

    def test_ids_come_back_as_pyln_sends_them(self):
        # pyln-client raises ValueError when the id of an answer is not, byte for byte, the one it sent.
        for caller in ("plain", "with space", 'quo"te', "back\\slash", "snow\N{SNOWMAN}man", "x" * 1000):
            with self.subTest(caller=caller[:12]):
                self.assertIn("id", UnixDomainSocketRpc(self.daemon.rpc_path, caller_name=caller).getinfo())

    def test_filter(self):
        self.assertEqual(self.rpc.call("getinfo", filter={"id": True}), {"id": self.daemon.id})
        with self.rpc.reply_filter({"network": True}):
            self.assertEqual(self.rpc.getinfo(), {"network": "regtest"})

    def test_help(self):
        commands = {entry["command"].split()[0] for entry in self.rpc.help()["help"]}
        expected = {
            "getinfo",
            "connect",
            "disconnect",
            "listpeers",
            "ping",
            "sendcustommsg",
            "notifications",
            "help",
            "check",
            "stop",
        }
        self.assertLessEqual(expected, commands)
        [entry] = self.rpc.help("sendcustommsg")["help"]
        self.assertEqual(entry["command"], "sendcustommsg node_id msg")
        self.refused(-32601, "Unknown command", self.rpc.help, "nosuch")

    def test_check(self):
        peer = self.connected_peer()
        self.assertEqual(
            self.rpc.check("sendcustommsg", node_id=peer.id, msg="8001"),
            {"command_to_check": "sendcustommsg"},
        )
        self.refused(
            -32602, "missing required parameter: msg", self.rpc.check, "sendcustommsg", node_id=peer.id
        )
        self.refused(-32600, "WIRE_PING", self.rpc.check, "sendcustommsg", node_id=peer.id, msg="0012")
        self.rpc.check("stop")
        self.assertEqual(self.rpc.getinfo()["id"], self.daemon.id, "a check does nothing")

    def test_a_method_that_is_not_there(self):
        self.refused(-32601, "Unknown command 'nosuch'", self.rpc.call, "nosuch")

    def test_calls_with_notifications_enabled(self):
        heard = []
        with self.rpc.notify(lambda **notification: heard.append(notification)):
            self.assertEqual(self.rpc.getinfo()["id"], self.daemon.id)
            self.refused(-32601, "Unknown command", self.rpc.call, "nosuch")
        self.assertEqual(self.rpc.getinfo()["id"], self.daemon.id)
        for notification in heard:
            self.assertIn("message", notification)

    def test_many_threads_at_once(self):
        peer = self.connected_peer()
        threads, calls = 16, 50

        def one_thread(thread):
            rpc = LightningRpc(self.daemon.rpc_path)
            for number in range(calls):
                rpc.sendcustommsg(peer.id, struct.pack("!HBH", 32769, thread, number).hex())
                self.assertEqual(rpc.getinfo()["id"], self.daemon.id)

        with ThreadPoolExecutor(threads) as pool:
            futures = [pool.submit(one_thread, thread) for thread in range(threads)]
            received = [struct.unpack("!HBH", peer.receive()) for _ in range(threads * calls)]
            for future in futures:
                future.result(PATIENCE)
        for thread in range(threads):
            order = [number for _, sender, number in received if sender == thread]
            self.assertEqual(
                order, list(range(calls)), f"the messages of thread {thread} in the order of its calls"
            )

    def test_a_slow_call_does_not_hold_up_the_others(self):
        listener = Listener()
        self.addCleanup(listener.close)
        connecting = Worker(self.rpc.connect, listener.id, "127.0.0.1", listener.port)
        rpc = LightningRpc(self.daemon.rpc_path)
        peer = listener.accept_slowly(lambda: self.assertEqual(rpc.getinfo()["id"], self.daemon.id))
        self.addCleanup(peer.close)
        peer.exchange_init()
        self.assertEqual(connecting.result()["id"], listener.id)

    def test_a_new_connection_of_the_same_peer_takes_over(self):
        key = new_key()
        first, second = self.connected_peer(key), self.connected_peer(key)
        first.expect_end()
        self.assertEqual([peer["id"] for peer in self.rpc.listpeers()["peers"]], [second.id])

    def test_stop_answers_and_the_daemon_ends(self):
        self.assertEqual(self.rpc.stop(), {"result": "Shutdown complete"})
        self.assertEqual(self.daemon.process.wait(PATIENCE), 0)
        self.assertFalse(self.daemon.rpc_path.exists(), "the socket is removed")


if __name__ == "__main__":
    unittest.main()
