"""pyln-client on the calls around the messages: the datastore, signed messages, secrets, and what clients ask at their start."""

import json
import unittest

from pyln.client import LightningRpc, RpcError

from daemon import DaemonTest

STRANGER = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"


class CallsTest(DaemonTest):
    def setUp(self):
        super().setUp()
        self.rpc = self.daemon.rpc

    def refused(self, code, message, method, *arguments, **named):
        """The call fails with this code and a message that contains these words; the whole error comes back."""
        with self.assertRaises(RpcError) as raised:
            method(*arguments, **named)
        error = raised.exception.error
        self.assertEqual(error["code"], code, error)
        self.assertIn(message, error["message"])
        return error

    def test_a_plugin_keeps_its_state(self):
        rpc = self.rpc
        self.assertEqual(rpc.listdatastore(), {"datastore": []})
        state = json.dumps({"peers": ["é☃", 'a "quoted" one'], "path": "\\a\n"})
        kept = rpc.datastore(["my-plugin", "state"], string=state)
        self.assertEqual((kept["string"], kept["generation"]), (state, 0))
        self.assertEqual(bytes.fromhex(kept["hex"]).decode(), state)
        self.refused(1202, "Key already exists", rpc.datastore, ["my-plugin", "state"], string="")
        self.refused(1205, "has children", rpc.datastore, "my-plugin", string="", mode="create-or-replace")
        self.refused(1206, "Parent key [my-plugin,state] exists", rpc.datastore, ["my-plugin", "state", "x"], hex="")

        # Read, change, and write if nobody else has.
        seen = rpc.listdatastore(["my-plugin", "state"])["datastore"][0]["generation"]
        changed = rpc.datastore(["my-plugin", "state"], hex="00ff", mode="must-replace", generation=seen)
        self.assertEqual(changed, {"key": ["my-plugin", "state"], "generation": 1, "hex": "00ff"})
        self.refused(
            1204, "generation is different",
            rpc.datastore, ["my-plugin", "state"], hex="", mode="must-replace", generation=seen,
        )
        self.assertEqual(rpc.listdatastore()["datastore"], [{"key": ["my-plugin"]}])
        usage = rpc.call("datastoreusage", {"key": "my-plugin"})["datastoreusage"]
        self.assertEqual(usage, {"key": "[my-plugin]", "total_bytes": 17})
        self.refused(1201, "generation is different", rpc.deldatastore, ["my-plugin", "state"], generation=0)
        self.assertEqual(rpc.deldatastore(["my-plugin", "state"])["hex"], "00ff")
        self.refused(1200, "Key does not exist", rpc.deldatastore, ["my-plugin", "state"])

    def test_signed_messages_and_secrets(self):
        other = self.start_daemon()
        signed = self.rpc.signmessage("for you")
        checked = other.rpc.checkmessage("for you", signed["zbase"], self.daemon.id)
        self.assertEqual(checked, {"pubkey": self.daemon.id, "verified": True})
        self.assertFalse(other.rpc.checkmessage("for me", signed["zbase"], self.daemon.id)["verified"])
        error = self.refused(
            1301, "pubkey not found in the graph", other.rpc.checkmessage, "for you", signed["zbase"]
        )
        self.assertEqual(error["data"]["claimed_key"], self.daemon.id)
        self.refused(-32602, "zbase is not valid zbase32", self.rpc.checkmessage, "x", "wrong zbase format")

        secret = self.rpc.makesecret(string="scb secret")["secret"]
        self.assertEqual(self.rpc.makesecret(hex=b"scb secret".hex())["secret"], secret)
        self.assertNotEqual(other.rpc.makesecret(string="scb secret")["secret"], secret)

    def test_what_clients_ask_at_their_start(self):
        rpc = self.rpc
        self.assertEqual(rpc.listnodes(), {"nodes": []})
        self.assertEqual(rpc.listnodes(STRANGER), {"nodes": []})
        self.assertEqual(rpc.listfunds(), {"outputs": [], "channels": []})
        self.assertEqual(rpc.listpeerchannels(), {"channels": []})
        self.assertEqual(rpc.listpeerchannels(STRANGER), {"channels": []})
        self.assertEqual(rpc.call("batching", {"enable": True}), {})
        self.assertEqual(rpc.call("deprecations", {"enable": False}), {})
        self.refused(-1, "follows no chain", rpc.waitblockheight, 800_000)

    def test_only_what_is_wanted_is_answered(self):
        for number in range(3):
            self.rpc.datastore(["f", str(number)], string="x")
        with self.rpc.reply_filter({"datastore": [{"key": True}]}):
            listed = self.rpc.listdatastore("f")
        self.assertEqual(listed, {"datastore": [{"key": ["f", str(number)]} for number in range(3)]})

    def test_a_second_client_sees_what_the_first_wrote(self):
        other = LightningRpc(self.daemon.rpc_path)
        for number in range(100):
            self.rpc.datastore("counter", string=str(number), mode="create-or-replace")
            self.assertEqual(other.listdatastore("counter")["datastore"][0]["string"], str(number))


if __name__ == "__main__":
    unittest.main()
