"""The real Envoy behind rules of the kernel, driven by our control plane: it takes all that our own proxy takes, and serves by it."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import unittest

from tests.conformance.xds_server_test import envoy_bootstrap, wait_until
from tests.integration.harness import intercepted
from tests.integration.harness.control_plane import ControlPlane
from tests.integration.harness.namespaces import Network, needs_root
from tests.integration.harness.proxy import Output, envoy_binary
from tests.integration.interception_test import CART, Clients, Server, refuse_unknown, served, service, smtp

def slice_of(name, address, *ports):
    return {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": name, "namespace": "shop", "labels": {"kubernetes.io/service-name": name}},
            "endpoints": [{"addresses": [address]}], "ports": [{"name": port_name, "port": port} for port_name, port in ports]}


@needs_root
class Envoy(Clients, unittest.TestCase):
    """`client` is a workload with an Envoy, which calls services of `stranger`, and which `stranger` calls."""

    @classmethod
    def setUpClass(cls):
        with contextlib.ExitStack() as stack:
            network = stack.enter_context(Network())
            cls.control_pod, cls.client, cls.stranger = map(network.pod, ("control", "client", "stranger"))
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            with cls.control_pod.inside():
                cls.control = stack.enter_context(ControlPlane(folder, secure=True, xds=f"{cls.control_pod.ipv4}:15010"))
            cls.control.apply(
                service("cart", [("http", 80, 8080), ("mail", 25, 2525), ("tcp", 7000, 7000), ("any", 8081, 8080)], clusterIP=CART),
                slice_of("cart", cls.stranger.ipv4, ("http", 8080), ("mail", 2525), ("tcp", 7000), ("any", 8080)),
                service("nodes", [("tcp", 7000, 7000)], clusterIP="None"), slice_of("nodes", cls.stranger.ipv4, ("tcp", 7000)),
                service("own", [("http", 80, 8080), ("any", 9000, 9000)]),
                {"apiVersion": "weft.mesh/v1", "kind": "ExternalService", "metadata": {"name": "web", "namespace": "shop"},
                 "spec": {"hosts": ["web.example"], "resolution": "Static", "endpoints": [{"address": cls.stranger.ipv4}],
                          "ports": [{"name": "http", "port": 8080}, {"name": "tls", "port": 8443}]}})
            with open(folder + "/index.html", "w") as file:
                file.write("a cart\n")
            for pod in (cls.stranger, cls.client):
                pod.popen(sys.executable, "-m", "http.server", "8080", "--directory", folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            for port, serve in ((2525, smtp), (7000, served(b"hello\n"))):
                stack.callback(Server(cls.stranger, port, serve).close)
            stack.callback(Server(cls.client, 9999, served(b"no service has me\n")).close)
            intercepted.intercept(cls.client)
            cls.start_envoy(stack, folder)
            cls.addClassCleanup(stack.pop_all().close)

    @classmethod
    def start_envoy(cls, stack, folder):
        bootstrap = envoy_bootstrap(cls.control, "DELTA_GRPC", 0, cls.control.token("-n", "shop"))
        bootstrap["node"]["metadata"] = {
            "namespace": "shop", "service": "own", "app_port": 8080, "inbound_address": cls.client.ipv4,
            "interception": {"outbound_port": intercepted.OUTBOUND, "inbound_port": intercepted.INBOUND}}
        process = cls.client.popen("setpriv", "--regid", str(intercepted.GROUP), "--clear-groups", envoy_binary(), "--config-yaml",
                                   json.dumps(bootstrap), "--concurrency", "1", "--disable-hot-restart", "-l", "info",
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=os.environ)
        output = Output(process.stdout)
        stack.callback(output.join)
        stack.callback(process.wait)
        stack.callback(process.kill)
        wait_until(lambda: "all dependencies initialized" in output.text() and cls.get(f"http://{CART}/")[0] == 200,
                   lambda: "envoy does not serve:\n" + output.text()[-4000:])
        cls.output = output

    def tearDown(self):
        with self.control_pod.inside():
            nodes = self.control.nodes()
        self.assertTrue(nodes)
        self.assertEqual([], [node["refusals"] for node in nodes.values() if node["refused"]])

    def test_services_by_virtual_address(self):
        self.assertEqual(self.get(f"http://{CART}/"), (200, "a cart\n"))
        self.assertEqual(self.get(f"http://{CART}:8081/"), (200, "a cart\n"))
        self.assertEqual(self.hear((CART, 7000)), b"hello\n")
        self.assertEqual(self.hear((CART, 25)), b"220 cart ESMTP\r\n")

    def test_endpoints_hosts_and_unknown_destinations(self):
        self.assertEqual(self.hear((self.stranger.ipv4, 7000)), b"hello\n")
        self.assertEqual(self.get(f"http://{self.stranger.ipv4}:8080/", headers={"Host": "web.example:8080"})[0], 200)
        self.assertEqual(self.hear((self.stranger.ipv4, 2525)), b"220 cart ESMTP\r\n")
        self.control.apply(refuse_unknown(), wait=True)
        wait_until(lambda: self.refused((self.stranger.ipv4, 2525)), "an unknown destination is not refused")
        wait_until(lambda: self.get(f"http://{self.stranger.ipv4}:8082/")[0] == 502, "HTTP to an unknown destination is not answered")
        self.control.weftctl("delete", "scope", "mesh", "-n", "weft-system", "--wait")
        wait_until(lambda: not self.refused((self.stranger.ipv4, 2525)), "an unknown destination is refused still")

    def test_others_reach_every_port(self):
        self.assertEqual(self.get(f"http://{self.client.ipv4}:8080/", self.stranger), (200, "a cart\n"))
        self.assertEqual(self.hear((self.client.ipv4, 9999), self.stranger), b"no service has me\n")
        self.assertEqual(self.hear((self.client.ipv6, 9999), self.stranger), b"no service has me\n")


if __name__ == "__main__":
    unittest.main()
