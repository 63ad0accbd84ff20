"""TCPRoutes and TLSRoutes of our control plane through a real Envoy as the sidecar: TLS goes by its server name, and passes as it
is; connections to a port of loopback go to a service; both are split by weight."""

import collections
import pathlib
import socket
import ssl
import tempfile
import threading
import unittest

from tests.conformance.xds_server_test import endpoint, envoy_bootstrap, free_port, get, says, service, wait_until
from tests.integration.harness.backend import Backend
from tests.integration.harness.certificates import Authority
from tests.integration.harness.control_plane import ControlPlane
from tests.integration.harness.proxy import Proxy

LIMIT_S = 20


class Named:
    """Says its name to whoever connects, over TLS if it has a context, and closes."""

    def __init__(self, name, context=None):
        self._name = name.encode()
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._greet, args=(connection,), daemon=True).start()

    def _greet(self, connection):
        try:
            connection.settimeout(LIMIT_S)
            if self._context is not None:
                connection = self._context.wrap_socket(connection, server_side=True)
            connection.sendall(self._name)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):
                pass
        except OSError:
            pass
        finally:
            connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listener.close()


def route(kind, name, parent, backends, **spec):
    return {"apiVersion": "gateway.networking.k8s.io/v1", "kind": kind, "metadata": {"name": name, "namespace": "shop"},
            "spec": {"parentRefs": [{"group": "", "kind": "Service", "name": parent}], **spec,
                     "rules": [{"backendRefs": [{"name": n, "port": port, "weight": weight} for n, port, weight in backends]}]}}


class StreamCases:
    def setUp(self):
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.control = self.enterContext(ControlPlane(str(folder / "data")))
        self.outbound, self.db = free_port(), free_port()
        config = envoy_bootstrap(self.control, "DELTA_GRPC", self.outbound)
        config["node"]["metadata"]["outbound_tcp"] = {str(self.db): "db.shop:5432"}
        self.proxy = self.enterContext(Proxy(config, kind=self.kind))
        authority = Authority(folder)
        self.client = ssl.create_default_context(cafile=str(authority.certificate))
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server.load_cert_chain(*authority.leaf("vault", ("DNS:vault.example", "DNS:*.deep.example", "DNS:vault")))

    def ask(self, port, name=None):
        """What the server says; empty if it closes without a word or nothing listens."""
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S) as connection:
                if name is None:
                    return connection.recv(100).decode()
                with self.client.wrap_socket(connection, server_hostname=name) as stream:
                    return stream.recv(100).decode()
        except OSError:
            return ""

    def assert_nothing_refused(self):
        self.assertEqual([], [n["refusals"] for n in self.control.nodes().values() if n["refused"]])

    def test_connections_to_a_port_of_loopback_are_split_between_services(self):
        one, two = (self.enterContext(Named(name)) for name in ("one", "two"))
        self.control.apply(service("db", 5432, "tcp"), endpoint("db", one.port), service("db-2", 5432, "tcp"), endpoint("db-2", two.port))
        wait_until(lambda: self.ask(self.db) == "one", "no answer from the service")
        self.control.apply(route("TCPRoute", "split", "db", [("db", 5432, 70), ("db-2", 5432, 30)]))
        wait_until(lambda: self.ask(self.db) == "two", "no answer from the second service")
        counts = collections.Counter(self.ask(self.db) for _ in range(300))
        self.assertEqual({"one", "two"}, set(counts))
        self.assertTrue(45 < counts["two"] < 145, counts)
        # The share of a backend that is not there is closed, no other answers for it.
        self.control.apply(route("TCPRoute", "split", "db", [("db", 5432, 50), ("gone", 5432, 50)]))
        wait_until(lambda: self.ask(self.db) == "", "nothing is closed")
        wait_until(lambda: set(self.ask(self.db) for _ in range(20)) == {"one", ""}, "not both")
        self.control.apply(route("TCPRoute", "split", "db", [("db-2", 5432, 1)]))
        wait_until(lambda: set(self.ask(self.db) for _ in range(20)) == {"two"}, "not all go to the second")
        self.assert_nothing_refused()

    def test_tls_passes_by_its_server_name_to_a_split(self):
        one, two, three = (self.enterContext(Named(name, self.server)) for name in ("one", "two", "three"))
        self.control.apply(service("vault", 443, "tls"), endpoint("vault", one.port), service("vault-2", 443, "tls"),
                           endpoint("vault-2", two.port), service("other", 443, "tls"), endpoint("other", three.port))
        wait_until(lambda: self.ask(self.outbound, "vault") == "one", "no answer under the service's own name")
        self.control.apply(route("TLSRoute", "split", "vault", [("vault", 443, 60), ("vault-2", 443, 40)],
                                 hostnames=["vault.example", "*.deep.example"]),
                           route("TLSRoute", "exact", "other", [("other", 443, 1)], hostnames=["a.deep.example"]))
        wait_until(lambda: self.ask(self.outbound, "vault.example") == "two", "no answer from the second service")
        for name in ("vault.example", "b.deep.example"):
            counts = collections.Counter(self.ask(self.outbound, name) for _ in range(100))
            self.assertEqual({"one", "two"}, set(counts))
            self.assertTrue(15 < counts["two"] < 70, counts)
        self.assertEqual({"three"}, {self.ask(self.outbound, "a.deep.example") for _ in range(20)})
        # A name that nobody has is closed.
        self.assertEqual("", self.ask(self.outbound, "nobody.example"))
        self.assert_nothing_refused()

    def test_http_and_tls_share_the_outbound_port(self):
        web = self.enterContext(Backend(says("web")))
        vault = self.enterContext(Named("vault", self.server))
        self.control.apply(service("web", 80), endpoint("web", web.address[1]))

        def answer():
            try:
                return get(self.outbound, "web")
            except OSError:
                return None

        wait_until(lambda: answer() == (200, "web"), "no answer over HTTP")
        self.control.apply(service("vault", 443, "tls"), endpoint("vault", vault.port))
        wait_until(lambda: self.ask(self.outbound, "vault") == "vault", "no answer over TLS")
        self.assertEqual((200, "web"), answer())
        self.assert_nothing_refused()


class Envoy(StreamCases, unittest.TestCase):
    kind = "envoy"


if __name__ == "__main__":
    unittest.main()
