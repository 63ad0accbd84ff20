"""Who may open a stream to weft-control: TLS and join tokens, by gRPC's own client."""

import os
import pathlib
import queue
import re
import signal
import stat
import subprocess
import tempfile
import unittest

import grpc
from google.protobuf import struct_pb2

from tests.integration.harness.certificates import Authority
from tests.integration.harness.control_plane import ControlPlane, binary

LIMIT_S = 30
METHOD = "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources"
CLUSTERS = b"type.googleapis.com/envoy.config.cluster.v3.Cluster"
SERVICE = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "cart", "namespace": "shop"}, "spec": {"ports": [{"port": 80}]}}


def field(number, content):
    """A length-delimited field of a protobuf message."""
    size, length = len(content), b""
    while size >= 0x80:
        length += bytes([size & 0x7f | 0x80])
        size >>= 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + content


def first_request(node, **metadata):
    """A DiscoveryRequest for all clusters, from this node."""
    struct = struct_pb2.Struct()
    struct.update(metadata)
    return field(2, field(1, node.encode()) + field(3, struct.SerializeToString())) + field(4, CLUSTERS)


class Stream:
    """One stream; closed by close()."""

    def __init__(self, channel, node, metadata, **claims):
        self._requests = queue.Queue()
        self._requests.put(first_request(node, **claims))
        self._call = channel.stream_stream(METHOD)(iter(self._requests.get, None), metadata=metadata, timeout=LIMIT_S)

    def answer(self):
        """The first response's bytes, or (status, why) when the stream ended."""
        try:
            return next(self._call)
        except grpc.RpcError as error:
            return error.code(), error.details()

    def acknowledge(self):
        """The first response."""
        self._requests.put(field(5, b"1") + field(4, CLUSTERS))

    def close(self):
        self._requests.put(None)
        self._call.cancel()


class Case(unittest.TestCase):
    def start(self, arguments=(), **more):
        # What was applied is there for whoever connects next.
        self.control = ControlPlane(self.folder, secure=True, arguments=["--debounce-ms", "0", *arguments], **more)

    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory())
        self.start()
        self.addCleanup(lambda: self.control.process.poll() is None and self.control.stop())
        self.control.apply(SERVICE)

    def channel(self, root=None):
        certificate = pathlib.Path(root or self.control.certificate).read_bytes()
        channel = grpc.secure_channel("%s:%d" % self.control.xds, grpc.ssl_channel_credentials(certificate))
        self.addCleanup(channel.close)
        return channel

    def open(self, token, node="one", metadata=None, **claims):
        if metadata is None:
            metadata = [("authorization", "Bearer " + token)]
        stream = Stream(self.channel(), node, metadata, **{"namespace": "shop", **claims})
        self.addCleanup(stream.close)
        return stream

    def assert_refused(self, status, why, *arguments, **more):
        answer = self.open(*arguments, **more).answer()
        self.assertIsInstance(answer, tuple, "it was let in")
        self.assertEqual(status, answer[0], answer)
        self.assertRegex(answer[1], why)

    def assert_admitted(self, *arguments, **more):
        stream = self.open(*arguments, **more)
        answer = stream.answer()
        self.assertIsInstance(answer, bytes, answer)
        return stream

    def refused(self):
        """Streams refused since the start, by reason."""
        return {reason: int(count) for reason, count in
                re.findall(r'refused_streams_total\{reason="([^"]+)"\} (\d+)', self.control.get_admin("/metrics"))}


class Tokens(Case):
    def test_a_good_token_lets_a_node_of_its_namespace_in_and_gets_it_its_configuration(self):
        token = self.control.token("-n", "shop")
        stream = self.open(token)
        self.assertIn(b"shop/cart:80", stream.answer())
        # In the way of gRPC's own credentials for calls.
        call = grpc.composite_channel_credentials(grpc.ssl_channel_credentials(pathlib.Path(self.control.certificate).read_bytes()),
                                                  grpc.access_token_call_credentials(token))
        channel = grpc.secure_channel("%s:%d" % self.control.xds, call)
        self.addCleanup(channel.close)
        stream = Stream(channel, "two", [], namespace="shop")
        self.addCleanup(stream.close)
        self.assertIn(b"shop/cart:80", stream.answer())
        self.assertEqual({0}, set(self.refused().values()))

    def test_without_a_good_token_nobody_gets_anything_and_is_told_why(self):
        token = self.control.token("-n", "shop")
        cart = self.control.token("-n", "shop", "--service", "cart")
        other = ("1" if token[30] == "0" else "0").join([token[:30], token[31:]])
        unauthenticated, denied = grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED
        self.assert_refused(unauthenticated, "a join token is missing", "", metadata=[])
        self.assert_refused(unauthenticated, "a join token is missing", "", metadata=[("authorization", token)])
        self.assert_refused(unauthenticated, "this is no join token", "weft1_x")
        self.assert_refused(unauthenticated, "there is no such join token", other)
        self.assert_refused(denied, "for the namespace shop, and node .one. says that it belongs to pay", token, namespace="pay")
        self.assert_refused(denied, "for the namespace shop, and node .one. says that it belongs to default", token, namespace="")
        self.assert_refused(denied, "for the service cart, and node .one. says of none", cart)
        self.assert_refused(denied, "for the service cart, and node .one. says pay", cart, service="pay")
        self.assert_refused(grpc.StatusCode.INVALID_ARGUMENT, "metadata.namespace", token, namespace="A B")
        self.assert_admitted(cart, service="cart")
        expected = {"no token": 2, "no such token": 2, "namespace": 2, "service": 2}
        self.assertEqual(expected, {reason: count for reason, count in self.refused().items() if count})
        log = self.control.output.text()
        self.assertIn("a node is refused", log)
        for each in (token, cart, other):
            self.assertNotIn(each[23:60], log)

    def test_a_token_that_is_revoked_ends_the_streams_by_it_and_no_others(self):
        token, kept = self.control.token("-n", "shop"), self.control.token("-n", "shop")
        stream, other = self.assert_admitted(token), self.assert_admitted(kept, node="two")
        self.control.weftctl("token", "revoke", token[6:22])
        status, why = stream.answer()
        self.assertEqual(grpc.StatusCode.UNAUTHENTICATED, status)
        self.assertIn("was revoked", why)
        self.assert_refused(grpc.StatusCode.UNAUTHENTICATED, "was revoked at", token)
        # The other one still gets what is new.
        self.control.apply({**SERVICE, "metadata": {"name": "pay", "namespace": "shop"}})
        other_answer = None
        other.acknowledge()
        other_answer = other.answer()
        self.assertIsInstance(other_answer, bytes, other_answer)
        self.assertIn(b"shop/pay:80", other_answer)

    def test_an_expired_token_and_one_that_is_used_up_bring_no_new_node(self):
        self.assert_refused(grpc.StatusCode.UNAUTHENTICATED, "has expired at", self.control.token("-n", "shop", "--ttl", "1ms"))
        once = self.control.token("-n", "shop", "--uses", "1")
        self.assert_admitted(once)
        self.assert_admitted(once)
        self.assert_refused(grpc.StatusCode.PERMISSION_DENIED, "is for 1 nodes", once, node="two")

    def test_tokens_outlive_a_restart_and_no_rollback_touches_them(self):
        once, revoked = self.control.token("-n", "shop", "--uses", "1"), self.control.token("-n", "shop")
        self.assert_admitted(once)
        self.control.weftctl("token", "revoke", revoked[6:22])
        self.control.apply({**SERVICE, "metadata": {"name": "pay", "namespace": "shop"}})
        self.control.weftctl("rollback", "1")
        self.control.stop(signal.SIGKILL)
        self.start()
        self.assert_admitted(once)
        self.assert_refused(grpc.StatusCode.PERMISSION_DENIED, "is for 1 nodes", once, node="two")
        self.assert_refused(grpc.StatusCode.UNAUTHENTICATED, "was revoked", revoked)
        listed = self.control.weftctl("token", "list")
        self.assertRegex(listed, once[6:22] + r" +shop +- +1/1 +used up")
        self.assertRegex(listed, revoked[6:22] + r" +shop +- +0/65536 +revoked")
        self.assertNotIn(once[23:60], listed)

    def test_mistakes_are_told(self):
        for arguments, expected in [
            (["create", "-n", "Shop"], 'the namespace is "Shop"'),
            (["create", "--ttl", "soon"], 'the time to live is "soon"; expected a duration'),
            (["create", "--ttl", "0s"], "must be above 0"),
            (["create", "--uses", "100000"], "at most 65536"),
            (["revoke", "nobody"], 'there is no token "nobody"'),
        ]:
            with self.subTest(arguments):
                run = subprocess.run([binary("WEFTCTL_BINARY"), "--socket", self.control.socket, "token", *arguments], capture_output=True,
                                     text=True, timeout=LIMIT_S)
                self.assertEqual(3, run.returncode, run.stdout)
                self.assertIn(expected, run.stderr)


class Certificate(Case):
    def test_the_certificate_is_made_once_and_its_key_is_the_owners(self):
        before = pathlib.Path(self.control.certificate).read_bytes()
        self.assertEqual(0o600, stat.S_IMODE(os.stat(os.path.join(self.folder, "xds.key")).st_mode))
        self.control.stop()
        self.start()
        self.assertEqual(before, pathlib.Path(self.control.certificate).read_bytes())

    def test_a_certificate_of_ones_own_is_shown(self):
        self.control.stop()
        authority = Authority(self.folder)
        certificate, key = authority.leaf("control")
        self.start(arguments=["--tls-cert", str(certificate), "--tls-key", str(key)])
        stream = Stream(self.channel(authority.certificate), "one", [("authorization", "Bearer " + self.control.token("-n", "shop"))],
                        namespace="shop")
        self.addCleanup(stream.close)
        self.assertIsInstance(stream.answer(), bytes)

    def test_who_speaks_plaintext_gets_nothing(self):
        with grpc.insecure_channel("%s:%d" % self.control.xds) as channel:
            stream = Stream(channel, "one", [("authorization", "Bearer " + self.control.token("-n", "shop"))], namespace="shop")
            self.assertEqual(grpc.StatusCode.UNAVAILABLE, stream.answer()[0])

    def test_beyond_loopback_only_tls_serves(self):
        self.control.stop()
        for arguments, expected in [
            (["--xds-insecure", "--xds-address", "0.0.0.0:0"], "0.0.0.0:0 is not of loopback"),
            (["--xds-insecure", "--tls-cert", "a", "--tls-key", "b"], "excludes"),
            (["--tls-cert", "a"], "--tls-cert requires --tls-key"),
            (["--tls-cert", "/none/a", "--tls-key", "/none/b"], "/none/a: cannot be read"),
        ]:
            with self.subTest(arguments):
                run = subprocess.run([binary("WEFT_CONTROL_BINARY"), "--data-dir", self.folder, *arguments], capture_output=True, text=True,
                                     timeout=LIMIT_S)
                self.assertNotEqual(0, run.returncode)
                self.assertIn(expected, run.stderr)
        self.start(xds="0.0.0.0:0")
        self.control.xds = ("127.0.0.1", self.control.xds[1])
        self.assert_admitted(self.control.token("-n", "shop"))

    def test_where_nobody_is_asked_for_a_token_none_is_made(self):
        self.control.stop()
        self.control = ControlPlane(self.folder)
        run = subprocess.run([binary("WEFTCTL_BINARY"), "--socket", self.control.socket, "token", "create"], capture_output=True, text=True,
                             timeout=LIMIT_S)
        self.assertEqual(3, run.returncode)
        self.assertIn("--xds-insecure", run.stderr)


if __name__ == "__main__":
    unittest.main()
