"""Other people's clients on our control plane's xDS: the real Envoy in both forms of ADS, and gRPC's own clients in C++
(grpcio) and Go, through weighted routes and changes of endpoints. All of them acknowledge everything."""

import collections
import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import grpc

from tests.integration.harness import bootstrap
from tests.integration.harness.backend import Backend
from tests.integration.harness.control_plane import ControlPlane
from tests.integration.harness.http1 import Client
from tests.integration.harness.mesh import service, split
from tests.integration.harness.proxy import Proxy
from tools.demos.ports import free_port

LIMIT_S = 30
PROGRAMS = pathlib.Path(os.environ.get("WEFT_CACHE", pathlib.Path.home() / ".cache/weft")) / "bin"


def wait_until(condition, what):
    """Waits until condition() is true, looking again and again; says what it was that did not come."""
    deadline = time.monotonic() + LIMIT_S
    pause = threading.Event()
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(what() if callable(what) else what)
        pause.wait(0.02)



def endpoint(name, port):
    """The one endpoint of a service, on a port of loopback."""
    return {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": name, "namespace": "shop", "labels": {"kubernetes.io/service-name": name}},
            "endpoints": [{"addresses": ["127.0.0.1"]}], "ports": [{"name": "main", "port": port}]}


def says(name):
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(name)}\r\n\r\n{name}".encode()


def get(port, host="cart"):
    """(status, body) of a GET through the proxy's outbound port."""
    with Client(("127.0.0.1", port)) as client:
        client.send(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        response = client.response()
        return response.status, response.body.decode()


def envoy_bootstrap(control_plane, api_type, port, token=None):
    control = bootstrap.cluster("control", [control_plane.xds], http2=True)
    service = {"envoy_grpc": {"cluster_name": "control"}}
    if token is not None:
        validation = {"trusted_ca": {"filename": control_plane.certificate}}
        control["transport_socket"] = {"name": "tls", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
            "common_tls_context": {"validation_context": validation}}}
        service["initial_metadata"] = [{"key": "authorization", "value": "Bearer " + token}]
    return {
        "node": {"id": "envoy-1", "cluster": "test", "metadata": {"namespace": "shop", "outbound_port": port}},
        "admin": {"address": bootstrap.address("127.0.0.1", 0)},
        "static_resources": {"listeners": [], "clusters": [control]},
        "dynamic_resources": {
            "ads_config": {"api_type": api_type, "transport_api_version": "V3", "grpc_services": [service]},
            "cds_config": {"ads": {}, "resource_api_version": "V3"},
            "lds_config": {"ads": {}, "resource_api_version": "V3"},
        },
    }


class EnvoyCases:
    api_type = None
    secure = False

    def setUp(self):
        self.control = self.enterContext(ControlPlane(self.enterContext(tempfile.TemporaryDirectory()), secure=self.secure))
        self.v1, self.v2, self.v3 = (self.enterContext(Backend(says(name))) for name in ("v1", "v2", "v3"))
        self.control.apply(service("cart", 80), service("cart-v1", 80), service("cart-v2", 80), endpoint("cart", self.v1.address[1]),
                           endpoint("cart-v1", self.v1.address[1]), endpoint("cart-v2", self.v2.address[1]))
        self.port = free_port()
        token = self.control.token("-n", "shop") if self.secure else None
        self.enterContext(Proxy(envoy_bootstrap(self.control, self.api_type, self.port, token), kind="envoy"))

    def answer(self):
        try:
            return get(self.port)
        except OSError:
            return None

    def assert_all_acknowledged(self):
        def settled():
            nodes = self.control.nodes()
            self.assertEqual([], [n["refusals"] for n in nodes.values() if n["refused"]])
            return len(nodes) == 4 and all(n["sent"] == n["acknowledged"] and n["due"] == 0 for n in nodes.values())

        wait_until(settled, lambda: f"not all is acknowledged: {self.control.nodes()}")

    def test_it_serves_what_it_is_told_and_acknowledges_all_of_it(self):
        wait_until(lambda: self.answer() == (200, "v1"), "no answer from v1")
        self.assert_all_acknowledged()

    def test_a_split_goes_by_its_weights_and_an_endpoint_change_moves_it(self):
        wait_until(lambda: self.answer() == (200, "v1"), "no answer from v1")
        self.control.apply(split("cart", 80, cart_v1=75, cart_v2=25))
        wait_until(lambda: self.answer() == (200, "v2"), "no answer from v2")
        counts = collections.Counter(self.answer() for _ in range(400))
        self.assertEqual({(200, "v1"), (200, "v2")}, set(counts))
        self.assertTrue(50 < counts[200, "v2"] < 150, counts)
        self.control.apply(endpoint("cart-v2", self.v3.address[1]))
        wait_until(lambda: self.answer() == (200, "v3"), "no answer from v3")
        self.assertEqual({(200, "v1"), (200, "v3")}, {self.answer() for _ in range(60)})
        self.assert_all_acknowledged()

    def test_a_split_changed_twenty_times_fails_no_request(self):
        wait_until(lambda: self.answer() == (200, "v1"), "no answer from v1")
        ended = threading.Event()
        failed = []

        def load():
            while not ended.is_set():
                answer = self.answer()
                if answer is None or answer[0] != 200:
                    failed.append(answer)

        thread = threading.Thread(target=load)
        thread.start()
        try:
            for i in range(20):
                # Each to a service that is new with it, so that clusters, endpoints and the route come together.
                name = f"cart-n{i}"
                self.control.apply(service(name, 80), endpoint(name, self.v2.address[1]), split("cart", 80, cart_v1=i + 1, **{name: 50}))
                self.assert_all_acknowledged()
        finally:
            ended.set()
            thread.join()
        self.assertEqual([], failed)


class EnvoyStateOfTheWorld(EnvoyCases, unittest.TestCase):
    api_type = "GRPC"


class EnvoyDelta(EnvoyCases, unittest.TestCase):
    api_type = "DELTA_GRPC"


class EnvoyByTlsAndToken(EnvoyCases, unittest.TestCase):
    """The way to be let in, of which the split's changes know nothing."""
    api_type = "DELTA_GRPC"
    secure = True
    test_a_split_changed_twenty_times_fails_no_request = None


WHO = "/weft.test.Who/Ask"
# Makes so many calls as each line of its input says, and prints how often each answer came.
GRPCIO_CLIENT = """
import collections, grpc, json, sys
with grpc.insecure_channel("xds:///" + sys.argv[1]) as channel:
    ask = channel.unary_unary(sys.argv[2])
    for line in sys.stdin:
        counts = collections.Counter()
        for _ in range(int(line)):
            try:
                counts[ask(b"", timeout=20, wait_for_ready=True).decode()] += 1
            except grpc.RpcError as error:
                counts[error.code().name] += 1
        print(json.dumps(counts), flush=True)
"""


class Named(grpc.GenericRpcHandler):
    def __init__(self, name):
        self._name = name.encode()

    def service(self, call):
        return grpc.unary_unary_rpc_method_handler(lambda request, context: self._name) if call.method == WHO else None


class GrpcClientCases:
    program = None

    def server(self, name):
        server = grpc.server(concurrent.futures.ThreadPoolExecutor(2), handlers=[Named(name)])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        self.addCleanup(lambda: server.stop(None).wait())
        return port

    def client(self, control, target):
        config = {
            "xds_servers": [{"server_uri": "%s:%d" % control.xds, "channel_creds": [{"type": "insecure"}], "server_features": ["xds_v3"]}],
            "node": {"id": "client-1", "metadata": {"namespace": "shop"}},
        }
        process = subprocess.Popen([*self.program, target, WHO], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                   env={**os.environ, "GRPC_XDS_BOOTSTRAP_CONFIG": json.dumps(config)})

        def stop():
            process.stdin.close()
            process.stdout.close()
            process.terminate()
            process.wait()

        self.addCleanup(stop)
        return process

    def ask(self, client, count=1):
        """{name: how often it answered} of so many calls; an error by its code."""
        client.stdin.write(f"{count}\n")
        client.stdin.flush()
        return json.loads(client.stdout.readline())

    def test_it_calls_a_service_by_name_through_a_split_and_a_change_of_endpoints(self):
        first, second, third = (self.server(name) for name in ("first", "second", "third"))
        with tempfile.TemporaryDirectory() as folder, ControlPlane(folder) as control:
            control.apply(service("who", 50, "kubernetes.io/h2c"), service("who-two", 50, "kubernetes.io/h2c"), endpoint("who", first),
                          endpoint("who-two", second))
            for target in ("who:50", "who.shop.svc.cluster.local:50"):
                client = self.client(control, target)
                self.assertEqual({"first": 20}, self.ask(client, 20))
            control.apply(split("who", 50, who=50, who_two=50))
            wait_until(lambda: "second" in self.ask(client), "nothing goes to the second service")
            counts = self.ask(client, 200)
            self.assertEqual({"first", "second"}, set(counts))
            self.assertTrue(50 < counts["second"] < 150, counts)
            control.apply(endpoint("who-two", third))
            wait_until(lambda: "third" in self.ask(client), "nothing goes to the new endpoint")
            self.assertEqual({"first", "third"}, set(self.ask(client, 60)))
            nodes = control.nodes()
            self.assertEqual({"cluster", "endpoint", "listener", "route"}, {kind for _, kind in nodes})
            self.assertEqual([0, 0, 0, 0], [state["refused"] for state in nodes.values()])


class GrpcioClient(GrpcClientCases, unittest.TestCase):
    program = [sys.executable, "-c", GRPCIO_CLIENT]


class GrpcGoClient(GrpcClientCases, unittest.TestCase):
    program = [PROGRAMS / "grpc_xds_client"]


class Admin(unittest.TestCase):
    def test_the_admin_port_tells_health_and_counts(self):
        with tempfile.TemporaryDirectory() as folder, ControlPlane(folder) as control:
            control.apply(service("who", 50))
            self.assertEqual("ok\n", control.get_admin("/healthz"))
            wait_until(lambda: "weft_control_services 1\n" in control.get_admin("/metrics"), "the service is not counted")


if __name__ == "__main__":
    unittest.main()
