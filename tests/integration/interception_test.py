"""A mesh of pods whose connections the kernel brings to their sidecars: clients and servers that know nothing of it."""

import concurrent.futures
import contextlib
import json
import smtplib
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import unittest
import urllib.error
import urllib.request

import grpc

from tests.integration.harness import certificates, http2, intercepted
from tests.integration.harness.control_plane import ControlPlane
from tests.integration.harness.live import GRPC_HEADERS, GRPC_MESSAGE, eventually
from tests.integration.harness.namespaces import Network, needs_root

CART, CART6 = "10.96.0.1", "fd96::1"
LIMIT_S = 20


def served(answer):
    """Says something to whoever connects, before they have said anything, and then sends back what it gets."""
    def serve(connection):
        with connection:
            connection.sendall(answer)
            while data := connection.recv(4096):
                connection.sendall(data)
    return serve


def smtp(connection):
    """As much of a mail server as a client needs to say hello and goodbye."""
    with connection, connection.makefile("rb") as lines:
        connection.sendall(b"220 cart ESMTP\r\n")
        for line in lines:
            connection.sendall(b"221 bye\r\n" if line.upper().startswith(b"QUIT") else b"250 cart\r\n")


class Server:
    """A TCP server in a pod; `serve` has each connection, on a thread of its own."""

    def __init__(self, pod, port, serve, host="::"):
        self._socket = pod.listen(port, host)
        self._serve = serve
        self.peers = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, peer = self._socket.accept()
                self.peers.append(peer[0])
                connection.settimeout(LIMIT_S)
                threading.Thread(target=self._guard, args=(connection,), daemon=True).start()

    def _guard(self, connection):
        with contextlib.suppress(OSError):
            self._serve(connection)

    def close(self):
        # Wakes the thread that accepts.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def service(name, ports, **spec):
    listed = [{"name": port_name, "port": port, "targetPort": target} for port_name, port, target in ports]
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "shop"}, "spec": {"ports": listed, **spec}}


def refuse_unknown():
    return {"apiVersion": "weft.mesh/v1", "kind": "Scope", "metadata": {"name": "mesh", "namespace": "weft-system"},
            "spec": {"outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}}}


class Clients:
    """What ordinary clients of a pod, `client` if none is named, get."""

    @classmethod
    def get(cls, url, pod=None, headers=None):
        """(status, body) of what an ordinary client in the pod gets; the error if it gets nothing."""
        with (pod or cls.client).inside():
            try:
                with urllib.request.urlopen(urllib.request.Request(url, headers=headers or {}), timeout=LIMIT_S) as response:
                    return response.status, response.read().decode()
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, error.read().decode()
            except OSError as error:
                return 0, str(error)

    def hear(self, address, pod=None):
        """What a server says by itself."""
        with (pod or self.client).connect(address, LIMIT_S) as connection:
            return connection.makefile("rb").readline()

    def refused(self, address):
        """Whether a connection ends before anything came of it."""
        try:
            return self.hear(address) == b""
        except OSError:
            return True


@needs_root
class Interception(Clients, unittest.TestCase):
    """`cart` is a workload of the mesh, `client` calls it, `stranger` is beyond the mesh."""

    TPROXY = False

    @classmethod
    def setUpClass(cls):
        with contextlib.ExitStack() as stack:
            network = stack.enter_context(Network())
            cls.control_pod, cls.client, cls.cart, cls.stranger = map(network.pod, ("control", "client", "cart", "stranger"))
            cls.folder = stack.enter_context(tempfile.TemporaryDirectory())
            with cls.control_pod.inside():
                cls.control = stack.enter_context(ControlPlane(cls.folder, secure=True, xds=f"{cls.control_pod.ipv4}:15010"))
            token = cls.control.token("-n", "shop")
            cls.control.apply(
                service("cart", [("http", 80, 8080), ("mail", 25, 2525), ("tcp-greeter", 7000, 7000), ("grpc", 50051, 50051),
                                 ("tls-web", 443, 8443), ("plain", 8081, 8081)], clusterIP=CART, clusterIPs=[CART, CART6]),
                service("nodes", [("tcp", 7000, 7000)], clusterIP="None"),
                {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4", "ports": [{"name": "tcp", "port": 7000}],
                 "metadata": {"name": "nodes-1", "namespace": "shop", "labels": {"kubernetes.io/service-name": "nodes"}},
                 "endpoints": [{"addresses": [cls.stranger.ipv4]}]},
                {"apiVersion": "weft.mesh/v1", "kind": "ExternalService", "metadata": {"name": "web", "namespace": "shop"},
                 "spec": {"hosts": ["web.example"], "ports": [{"name": "http", "port": 8000}], "resolution": "Static",
                          "endpoints": [{"address": cls.stranger.ipv4}]}})
            cls.start_servers(stack)
            for pod in (cls.client, cls.cart):
                intercepted.intercept(pod, cls.TPROXY)
            mode = ["--interception-mode", "tproxy"] if cls.TPROXY else []
            cls.sidecar = stack.enter_context(intercepted.Sidecar(cls.cart, cls.control.xds, token, "cart", 8080, ["--health-tcp", *mode]))
            cls.clients = stack.enter_context(intercepted.Sidecar(cls.client, cls.control.xds, token, arguments=mode))
            cls.addClassCleanup(stack.pop_all().close)
        if not eventually(lambda: cls.get(f"http://{CART}/") == (200, "a cart\n")):
            raise AssertionError(f"cart is not there: {cls.get(f'http://{CART}/')}\n{cls.clients.output.text()}\n{cls.sidecar.output.text()}")

    @classmethod
    def start_servers(cls, stack):
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        with open(folder + "/index.html", "w") as file:
            file.write("a cart\n")
        # Not of the mesh's making: Python's own, as it is.
        for port in (8080, 8081):
            cls.cart.popen(sys.executable, "-m", "http.server", str(port), "--directory", folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        authority = certificates.Authority(folder)
        certificate, key = authority.leaf("cart", ["DNS:cart.shop"])
        cls.trust = ssl.create_default_context(cafile=str(authority.certificate))
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate, key)
        start = lambda *arguments: stack.callback(cls.keep(Server(*arguments)).close)
        cls.servers = {}
        start(cls.cart, 2525, smtp)
        start(cls.cart, 7000, served(b"hello from cart\n"))
        start(cls.cart, 9999, served(b"no service has me\n"))
        start(cls.cart, 5000, served(b"for the pod alone\n"), "127.0.0.1")
        start(cls.cart, 8443, lambda connection: served(b"by TLS\n")(tls.wrap_socket(connection, server_side=True)))
        start(cls.stranger, 7000, served(b"hello from beyond\n"))
        with cls.cart.inside():
            handlers = {"Call": grpc.unary_unary_rpc_method_handler(lambda request, _: request)}
            server = grpc.server(concurrent.futures.ThreadPoolExecutor(2))
            server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", handlers),))
            server.add_insecure_port("[::]:50051")
            server.start()
        stack.callback(server.stop, None)
        cls.stranger.popen(sys.executable, "-m", "http.server", "8000", "--directory", folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    @classmethod
    def keep(cls, server):
        cls.servers[len(cls.servers)] = server
        return server

    def test_http_by_virtual_address(self):
        self.assertEqual(self.get(f"http://{CART}/"), (200, "a cart\n"))
        self.assertGreater(self.sidecar.stat("cluster.inbound.upstream_rq_total"), 0)
        self.assertGreater(self.clients.stat("cluster.shop/cart:80.upstream_rq_total"), 0)

    def test_http_by_virtual_ipv6_address(self):
        self.assertEqual(self.get(f"http://[{CART6}]/"), (200, "a cart\n"))

    def test_http_on_a_port_that_does_not_say_what_it_is(self):
        before = self.clients.stat("http.captured.downstream_rq_total")
        self.assertEqual(self.get(f"http://{CART}:8081/"), (200, "a cart\n"))
        self.assertGreater(self.clients.stat("http.captured.downstream_rq_total"), before)

    def test_http2_and_grpc(self):
        with self.client.inside(), http2.Client((CART, 50051)) as client:
            stream = client.request(method="POST", path="/test.Echo/Call", headers=GRPC_HEADERS, body=GRPC_MESSAGE)
        self.assertEqual(stream.body, GRPC_MESSAGE)
        self.assertIn(("grpc-status", "0"), stream.trailers)

    def test_a_server_that_speaks_first_is_not_kept_waiting(self):
        timeouts = lambda: self.clients.stat("downstream_pre_cx_timeout") + self.sidecar.stat("downstream_pre_cx_timeout")
        before = timeouts()
        with self.client.inside(), smtplib.SMTP(CART, 25, timeout=LIMIT_S) as mail:
            self.assertEqual(mail.ehlo("client")[0], 250)
        self.assertEqual(self.hear((CART, 7000)), b"hello from cart\n")
        self.assertEqual(timeouts(), before)

    def test_tls_passes_as_it_is(self):
        with self.client.connect((CART, 443), LIMIT_S) as connection:
            with self.trust.wrap_socket(connection, server_hostname="cart.shop") as tls:
                self.assertEqual(tls.makefile("rb").readline(), b"by TLS\n")

    def test_every_port_is_reached_and_what_is_the_pods_own_is_not(self):
        self.assertEqual(self.hear((self.cart.ipv4, 9999)), b"no service has me\n")
        self.assertEqual(self.hear((self.cart.ipv6, 9999)), b"no service has me\n")
        # By its sidecar, which has an address that the rules know.
        peers = [peer for server in self.servers.values() for peer in server.peers]
        self.assertIn("::ffff:127.0.0.6", peers)
        self.assertIn("::6", peers)
        self.assertTrue(self.refused((self.cart.ipv4, 5000)))
        self.assertEqual(self.hear(("127.0.0.1", 5000), self.cart), b"for the pod alone\n")

    def test_an_application_calls_itself_by_its_service(self):
        before = self.sidecar.stat("cluster.inbound.upstream_rq_total")
        self.assertEqual(self.get(f"http://{CART}/", self.cart), (200, "a cart\n"))
        self.assertGreater(self.sidecar.stat("cluster.inbound.upstream_rq_total"), before)

    def test_an_endpoint_of_a_headless_service(self):
        self.assertEqual(self.hear((self.stranger.ipv4, 7000)), b"hello from beyond\n")
        self.assertGreater(self.clients.stat("cluster.shop/nodes:7000@%s:7000.upstream_cx_total" % self.stranger.ipv4), 0)

    def test_a_service_beyond_the_mesh(self):
        names = self.clients.listeners()
        virtual = names["captured/external/shop/web:8000"]["address"]["socket_address"]["address"]
        self.assertTrue(virtual.startswith("240.240."), virtual)
        self.assertEqual(self.get(f"http://{virtual}:8000/")[0], 200)
        before = self.clients.stat("cluster.external/shop/web:8000.upstream_rq_total")
        self.assertGreater(before, 0)
        # By the host that the call names, whatever its address is.
        self.assertEqual(self.get(f"http://{self.stranger.ipv4}:8000/", headers={"Host": "web.example:8000"})[0], 200)
        self.assertGreater(self.clients.stat("cluster.external/shop/web:8000.upstream_rq_total"), before)

    def test_connections_to_the_proxy_itself_end(self):
        for address in (("127.0.0.1", intercepted.OUTBOUND), ("127.0.0.1", intercepted.INBOUND)):
            self.assertTrue(self.refused(address), address)
        with contextlib.suppress(OSError), self.stranger.connect((self.cart.ipv4, intercepted.INBOUND), LIMIT_S) as connection:
            self.assertEqual(connection.recv(1), b"")

    def test_unknown_destinations(self):
        unknown = (self.stranger.ipv6, 7000)
        self.assertEqual(self.hear(unknown), b"hello from beyond\n")
        self.assertEqual(self.get(f"http://{self.stranger.ipv4}:8000/", headers={"Host": "elsewhere"})[0], 200)
        self.control.apply(refuse_unknown(), wait=True)
        try:
            self.assertTrue(self.refused(unknown))
            status, body = self.get(f"http://{self.stranger.ipv4}:8001/")
            self.assertEqual(status, 502, body)
            self.assertIn("the mesh does not know this destination", body)
            status, body = self.get(f"http://{self.stranger.ipv4}:8000/", headers={"Host": "elsewhere"})
            self.assertEqual(status, 502, body)
            # What the mesh knows is reached as before.
            self.assertEqual(self.get(f"http://{CART}/"), (200, "a cart\n"))
            self.assertEqual(self.get(f"http://{self.stranger.ipv4}:8000/", headers={"Host": "web.example:8000"})[0], 200)
            self.assertEqual(self.hear((self.stranger.ipv4, 7000)), b"hello from beyond\n")
        finally:
            self.control.weftctl("delete", "scope", "mesh", "-n", "weft-system", "--wait")
        self.assertEqual(self.hear(unknown), b"hello from beyond\n")

    def test_the_workload_is_an_endpoint_at_its_applications_own_port(self):
        listed = json.loads(self.control.weftctl("get", "workloads", "-A", "-o", "json"))["workloads"]
        self.assertEqual([(each["name"], each["state"], each["address"]) for each in listed],
                         [("cart", "ready", f"{self.cart.ipv4}:8080")])


class Transparent(Interception):
    """The same where others' connections come by TPROXY, which changes no packet."""

    TPROXY = True


if __name__ == "__main__":
    unittest.main()
