"""Services beyond the mesh that are known by a wildcard: each call goes to where its application made it, by the host that it
names, and everything else is refused."""

import contextlib
import ssl
import subprocess
import sys
import tempfile
import unittest

from tests.integration.harness import certificates, dns, intercepted
from tests.integration.harness.control_plane import ControlPlane
from tests.integration.harness.live import eventually
from tests.integration.harness.metrics import Metrics
from tests.integration.harness.namespaces import Network, needs_root
from tests.integration.harness.proxy import weft_binary
from tests.integration.interception_test import LIMIT_S, Clients, Server, refuse_unknown, served


def external(name, hosts, ports, **spec):
    return {"apiVersion": "weft.mesh/v1", "kind": "ExternalService", "metadata": {"name": name, "namespace": "shop"},
            "spec": {"hosts": hosts, "ports": [{"name": protocol, "port": port} for protocol, port in ports], **spec}}


@needs_root
class Wildcards(Clients, unittest.TestCase):
    """`client` calls `one` and `two`, which are beyond the mesh and have several names each."""

    @classmethod
    def setUpClass(cls):
        with contextlib.ExitStack() as stack:
            network = stack.enter_context(Network())
            cls.control_pod, cls.client, cls.one, cls.two = map(network.pod, ("control", "client", "one", "two"))
            cls.pods = {"one": cls.one, "two": cls.two}
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            with cls.control_pod.inside():
                cls.control = stack.enter_context(ControlPlane(folder, secure=True, xds=f"{cls.control_pod.ipv4}:15010"))
            cls.control.apply(
                refuse_unknown(),
                external("wild", ["*.example.com"], [("http", 8000), ("tls", 8443)], resolution="None"),
                external("api", ["api.example.com"], [("http", 8000), ("tls", 8443)], resolution="Static", endpoints=[{"address": cls.two.ipv4}]),
                external("fixed", ["*.fixed.example"], [("http", 8000)], resolution="Static", addresses=["198.51.100.7"],
                         endpoints=[{"address": cls.two.ipv4}]))
            cls.trust = cls.start_servers(stack, folder)
            cls.dns = dns.DnsServer(cls.one, {"one.example.com": [cls.one.ipv4], "two.example.com": [cls.two.ipv4]})
            stack.callback(cls.dns.close)
            cls.client.resolv_conf.write_text(f"nameserver {cls.one.ipv4}\n")
            cls.client.run(weft_binary(), "intercept", "--redirect-dns", "--dns-all")
            arguments = ["--dns", "--metrics-address", "127.0.0.1:15090"]
            cls.sidecar = stack.enter_context(intercepted.Sidecar(cls.client, cls.control.xds, cls.control.token("-n", "shop"), arguments=arguments))
            cls.addClassCleanup(stack.pop_all().close)
        if not eventually(lambda: cls.call("one", "ready.example.com") == (200, "one\n")):
            raise AssertionError(f"{cls.call('one', 'ready.example.com')}\n{cls.sidecar.output.text()}")

    @classmethod
    def start_servers(cls, stack, folder):
        authority = certificates.Authority(folder)
        certificate, key = authority.leaf("all", ["DNS:*.example.com", "DNS:elsewhere.test"])
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate, key)

        def by_tls(text):
            return lambda connection: served(text)(tls.wrap_socket(connection, server_side=True))

        for name, pod in cls.pods.items():
            stack.callback(Server(pod, 8443, by_tls(f"{name}\n".encode())).close)
            pages = stack.enter_context(tempfile.TemporaryDirectory())
            with open(pages + "/index.html", "w") as file:
                file.write(f"{name}\n")
            pod.popen(sys.executable, "-m", "http.server", "8000", "--directory", pages, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return ssl.create_default_context(cafile=str(authority.certificate))

    @classmethod
    def call(cls, pod, host):
        """What an HTTP client gets who connects to the pod and names the host."""
        return cls.get(f"http://{cls.pods[pod].ipv4}:8000/", headers={"Host": f"{host}:8000"})

    def call_by_tls(self, pod, host):
        try:
            with self.client.connect((self.pods[pod].ipv4, 8443), LIMIT_S) as connection:
                with self.trust.wrap_socket(connection, server_hostname=host) as tls:
                    return tls.makefile("rb").readline().decode()
        except OSError:
            return None

    def requests(self, **labels):
        with self.client.inside():
            return Metrics(("127.0.0.1", 15090)).total("istio_requests_total", **labels)

    def test_http_goes_where_it_was_made_by_its_host(self):
        before = self.sidecar.stat("cluster.external/shop/wild:8000.upstream_rq_total")
        for pod, host in (("one", "a.example.com"), ("two", "b.example.com"), ("two", "a.example.com"), ("one", "deep.below.example.com")):
            self.assertEqual(self.call(pod, host), (200, pod + "\n"))
        self.assertEqual(self.sidecar.stat("cluster.external/shop/wild:8000.upstream_rq_total"), before + 4)
        for host in ("example.com", "notexample.com", "a.example.com.elsewhere.test"):
            self.assertEqual(self.call("one", host)[0], 502, host)

    def test_tls_goes_where_it_was_made_by_its_server_name(self):
        before = self.sidecar.stat("cluster.external/shop/wild:8443.upstream_cx_total")
        self.assertEqual(self.call_by_tls("one", "a.example.com"), "one\n")
        self.assertEqual(self.call_by_tls("two", "b.example.com"), "two\n")
        self.assertEqual(self.sidecar.stat("cluster.external/shop/wild:8443.upstream_cx_total"), before + 2)
        self.assertIsNone(self.call_by_tls("one", "elsewhere.test"))

    def test_a_service_of_a_name_goes_before_the_wildcard(self):
        self.assertEqual(self.call("one", "api.example.com"), (200, "two\n"))
        self.assertEqual(self.call_by_tls("one", "api.example.com"), "two\n")

    def test_names_below_a_wildcard_are_the_platforms_unless_it_has_addresses(self):
        resolve = lambda name: sorted({line.split()[0] for line in self.client.run("getent", "ahostsv4", name, check=False).stdout.splitlines()})
        self.assertEqual(resolve("one.example.com"), [self.one.ipv4])
        got = self.client.run(sys.executable, "-c", "import urllib.request; print(urllib.request.urlopen('http://two.example.com:8000/').read())")
        self.assertIn("two", got.stdout)
        self.assertEqual(resolve("missing.example.com"), [])
        [virtual] = resolve("api.example.com")
        self.assertTrue(virtual.startswith("240.240."), virtual)
        self.assertEqual(resolve("any.fixed.example"), ["198.51.100.7"])
        self.assertEqual(self.get("http://198.51.100.7:8000/"), (200, "two\n"))

    def test_metrics_name_the_wildcard(self):
        self.call("one", "m.example.com")
        self.assertTrue(eventually(lambda: self.requests(destination_service="*.example.com", response_code="200") > 0))

    def test_explain_says_where_a_name_goes(self):
        told = self.control.weftctl("explain", "--from", "shop", "http://a.example.com:8000/")
        self.assertIn("external/shop/wild:8000", told)
        self.assertIn("goes to where its application connected", told)
        self.assertIn("external/shop/api:8000", self.control.weftctl("explain", "--from", "shop", "http://api.example.com:8000/"))


if __name__ == "__main__":
    unittest.main()
