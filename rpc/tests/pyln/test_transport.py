"""`oddwired` and a peer made with pyln-proto: BOLT 8 and BOLT 1 against code that we did not write."""

import random
import socket
import struct
import threading
import unittest

from pyln.proto.wire import LightningConnection

import bolt8
from bolt8 import PONG, ExactSocket, Listener, Peer, init, kind_of, ping, warning_text
from daemon import DaemonTest, Worker

# 5,000 nonces a direction: five key rotations (BOLT 8 rotates every 1,000 nonces).
MESSAGES = 2500
# Most messages that are on their way in a direction: both directions move at once and no backlog overflows.
WINDOW = 50
EDGE_LENGTHS = [0, 1, 2, 61, 62, 63, 64, 65, 253, 254, 1446, 1447, 65532, 65533]


def messages(seed):
    """Odd custom messages of 2 to 65535 bytes with their type; every sixteenth of any length, the others short."""
    generator = random.Random(seed)
    for index in range(MESSAGES):
        kind = generator.choice([32769, 44443, 50001, 65535])
        length = generator.randrange(65534 if generator.random() < 1 / 16 else 400)
        if index < len(EDGE_LENGTHS):
            length = EDGE_LENGTHS[index]
        yield struct.pack("!H", kind) + generator.randbytes(length)


class TransportTest(DaemonTest):
    def peer_that_dials(self):
        peer = Peer.dial(self.daemon)
        self.addCleanup(peer.close)
        peer.exchange_init()
        # `oddwired` sends its `init` before it has read ours; the pong shows that it has.
        peer.send(ping(0))
        self.assertEqual(peer.receive(), struct.pack("!HH", PONG, 0))
        return peer

    def peer_that_is_dialled(self):
        listener = Listener()
        self.addCleanup(listener.close)
        connecting = Worker(self.daemon.rpc.connect, listener.id, "127.0.0.1", listener.port)
        peer = listener.accept()
        self.addCleanup(peer.close)
        self.assertEqual(
            peer.noise.remote_pubkey.to_bytes().hex(), self.daemon.id, "act three carries our node id"
        )
        peer.exchange_init()
        answer = connecting.result()
        self.assertEqual((answer["id"], answer["direction"]), (listener.id, "out"))
        self.assertEqual(answer["features"], bolt8.FEATURES.hex())
        return peer

    def exchange(self, peer):
        """2,500 messages each way at once; every byte and the order are compared."""
        subscription = self.daemon.subscribe()
        self.addCleanup(subscription.close)
        to_us, from_us = threading.Semaphore(WINDOW), threading.Semaphore(WINDOW)

        def peer_sends():
            for message in messages("to us"):
                to_us.acquire()
                peer.send(message)

        def we_receive():
            for index, expected in enumerate(messages("to us")):
                sender, message = subscription.next()
                to_us.release()
                self.assertEqual(sender, peer.id)
                self.assertTrue(
                    message == expected,
                    f"message {index} to us is {message[:20].hex()}..., {len(message)} bytes",
                )

        def we_send():
            for message in messages("from us"):
                from_us.acquire()
                self.daemon.rpc.sendcustommsg(peer.id, message.hex())

        def peer_receives():
            for index, expected in enumerate(messages("from us")):
                message = peer.receive()
                from_us.release()
                self.assertTrue(
                    message == expected,
                    f"message {index} from us is {message[:20].hex()}..., {len(message)} bytes",
                )

        workers = [Worker(part) for part in (peer_sends, we_receive, we_send, peer_receives)]
        # The receivers first: if one fails, its message says more than that of a sender that starves.
        for worker in (workers[1], workers[3], workers[0], workers[2]):
            worker.result()

    def still_serves(self):
        """The daemon takes a new peer: what happened before hurt nobody else."""
        peer = self.peer_that_dials()
        self.assertTrue(self.daemon.connected(peer.id))

    def test_it_dials_and_2500_messages_go_each_way_at_once(self):
        self.exchange(self.peer_that_dials())

    def test_we_dial_and_2500_messages_go_each_way_at_once(self):
        self.exchange(self.peer_that_is_dialled())

    def test_our_init_offers_our_features_and_names_our_chain(self):
        peer = Peer.dial(self.daemon)
        self.addCleanup(peer.close)
        theirs = peer.exchange_init()
        global_len = struct.unpack("!H", theirs[2:4])[0]
        features_at = 4 + global_len
        features_len = struct.unpack("!H", theirs[features_at : features_at + 2])[0]
        features, tlvs = theirs[features_at + 2 :][:features_len], theirs[features_at + 2 + features_len :]
        self.assertEqual(features, bolt8.FEATURES, "the bits that LND and LDK ask for, and no required one")
        self.assertEqual(tlvs[:34], bytes([1, 32]) + bolt8.REGTEST, "TLV 1, networks, comes first")

    def test_a_ping_is_answered_with_as_many_bytes_as_it_asks_for(self):
        peer = self.peer_that_dials()
        for num_pong_bytes, byteslen in [(0, 0), (1, 1), (2, 65529), (1000, 7), (65531, 0)]:
            peer.send(ping(num_pong_bytes, byteslen))
            self.assertEqual(peer.receive(), struct.pack("!HH", PONG, num_pong_bytes) + bytes(num_pong_bytes))

    def test_a_ping_that_asks_for_65532_or_more_is_not_answered(self):
        peer = self.peer_that_dials()
        for num_pong_bytes in (65532, 65533, 65535):
            peer.send(ping(num_pong_bytes, 10))
        peer.send(ping(3))
        self.assertEqual(
            peer.receive(), struct.pack("!HH", PONG, 3) + bytes(3), "the only pong is the last ping's"
        )

    def test_pings_of_ours_are_answered(self):
        peer = self.peer_that_dials()
        pinging = Worker(self.daemon.rpc.ping, peer.id, 20, 30)
        received = peer.receive()
        self.assertEqual(received[:6], struct.pack("!HHH", bolt8.PING, 30, 20))
        self.assertEqual(len(received), 6 + 20)
        peer.send(struct.pack("!HH", PONG, 30) + bytes(30))
        self.assertEqual(pinging.result(), {"totlen": 34})

    def test_an_unknown_even_type_is_answered_with_a_warning_and_the_end(self):
        peer = self.peer_that_dials()
        peer.send(struct.pack("!H", 40000) + b"\xab\xcd")
        self.assertEqual(warning_text(peer.receive()), "Invalid unknown even msg 9c40abcd")
        peer.expect_end()
        self.daemon.log.wait_for("Invalid unknown even msg")
        self.assertFalse(self.daemon.connected(peer.id))
        self.still_serves()

    def test_what_came_before_the_offence_arrives(self):
        subscription = self.daemon.subscribe()
        self.addCleanup(subscription.close)
        peer = self.peer_that_dials()
        sent = [struct.pack("!H", 32769) + bytes([number]) for number in range(100)]
        for message in sent:
            peer.send(message)
        peer.send(struct.pack("!H", 40000))
        self.assertEqual([subscription.next() for _ in sent], [(peer.id, message) for message in sent])

    def test_a_message_without_a_whole_type_ends_the_connection(self):
        for message in (b"", b"\x80"):
            with self.subTest(length=len(message)):
                peer = self.peer_that_dials()
                peer.send(message)
                self.assertIn(f"Invalid message of {len(message)} bytes", warning_text(peer.receive()))
                peer.expect_end()
                self.still_serves()

    def test_a_second_init_ends_the_connection(self):
        peer = self.peer_that_dials()
        peer.send(init())
        self.assertIn("init", warning_text(peer.receive()))
        peer.expect_end()
        self.still_serves()

    def test_anything_before_init_ends_the_connection(self):
        for message in (ping(1), struct.pack("!H", 32769) + b"early"):
            with self.subTest(type=kind_of(message)):
                peer = Peer.dial(self.daemon)
                self.addCleanup(peer.close)
                peer.send(message)
                self.assertEqual(kind_of(peer.receive()), bolt8.INIT)
                self.assertIn("before init", warning_text(peer.receive()))
                peer.expect_end()
                self.still_serves()

    def test_networks_without_ours_end_the_connection(self):
        peer = Peer.dial(self.daemon)
        self.addCleanup(peer.close)
        peer.exchange_init(init(networks=[bolt8.BITCOIN]))
        self.assertEqual(warning_text(peer.receive()), "No common network")
        peer.expect_end()
        self.still_serves()

    def test_networks_with_ours_among_others_or_none_are_welcome(self):
        for networks in ([bolt8.BITCOIN, bolt8.REGTEST], []):
            with self.subTest(networks=len(networks)):
                peer = Peer.dial(self.daemon)
                self.addCleanup(peer.close)
                peer.exchange_init(init(networks=networks))
                peer.send(ping(5))
                self.assertEqual(kind_of(peer.receive()), PONG)

    def test_an_unknown_even_feature_bit_ends_the_connection(self):
        peer = Peer.dial(self.daemon)
        self.addCleanup(peer.close)
        peer.exchange_init(init(features=(1 << 2000).to_bytes(251, "big")))
        self.assertIn("2000", warning_text(peer.receive()))
        peer.expect_end()
        self.still_serves()

    def test_unknown_odd_feature_bits_are_welcome(self):
        peer = Peer.dial(self.daemon)
        self.addCleanup(peer.close)
        peer.exchange_init(init(features=(1 << 2001).to_bytes(251, "big")))
        peer.send(ping(5))
        self.assertEqual(kind_of(peer.receive()), PONG)

    def test_a_frame_with_a_wrong_tag_ends_the_connection(self):
        for damaged in (0, 10, 18, 30):
            with self.subTest(byte=damaged):
                peer = self.peer_that_dials()
                frame = bytearray(seal(peer, ping(1)))
                frame[damaged] ^= 1
                peer.send_raw(frame)
                peer.expect_end()
                self.still_serves()

    def test_a_replayed_frame_ends_the_connection(self):
        peer = self.peer_that_dials()
        frame = seal(peer, ping(1))
        peer.send_raw(frame)
        self.assertEqual(kind_of(peer.receive()), PONG)
        peer.send_raw(frame)
        peer.expect_end()
        self.still_serves()

    def test_a_key_that_is_not_ours_is_met_with_silence_and_the_end(self):
        stranger = bolt8.new_key().public_key()
        connection = socket.create_connection(("127.0.0.1", self.daemon.port))
        self.addCleanup(connection.close)
        noise = LightningConnection(ExactSocket(connection), stranger, bolt8.new_key(), is_initiator=True)
        with self.assertRaises((ValueError, ConnectionResetError)) as raised:
            noise.shake()
        if isinstance(raised.exception, ValueError):
            self.assertIn("50 != 0", str(raised.exception), "not a byte of act two")
        self.still_serves()


def seal(peer, message):
    """A frame by pyln-proto's cipher that is handed out instead of sent."""
    sink = Sink()
    connection, peer.noise.connection = peer.noise.connection, sink
    peer.send(message)
    peer.noise.connection = connection
    return bytes(sink.frame)


class Sink:
    def __init__(self):
        self.frame = bytearray()

    def send(self, data):
        self.frame += data


if __name__ == "__main__":
    unittest.main()
