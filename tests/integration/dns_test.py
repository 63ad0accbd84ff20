"""Applications that call by names which the mesh alone knows, with the resolver that the system gives them."""

import contextlib
import json
import socket
import subprocess
import sys
import tempfile
import unittest

from tests.integration.harness import dns, intercepted
from tests.integration.harness.control_plane import ControlPlane
from tests.integration.harness.live import eventually
from tests.integration.harness.namespaces import Network, needs_root
from tests.integration.harness.proxy import weft_binary

# What the platform knows. The domains that pods search are Kubernetes'.
PLATFORM = {"web.platform.example": ["192.0.2.80", "2001:db8::80"], "large.platform.example": ["192.0.2.81"], "cart.elsewhere.example": ["192.0.2.82"]}
SEARCH = "shop.svc.cluster.local svc.cluster.local cluster.local"
# Prints what an ordinary client gets of a URL, and what a server says by itself to whoever connects to a name.
GET = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=10).read().decode(), end='')"
HEAR = "import socket, sys; print(socket.create_connection((sys.argv[1], int(sys.argv[2])), 10).makefile().readline(), end='')"


def service(name, port=80, target=8080, **spec):
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "shop"},
            "spec": {"ports": [{"name": "http", "port": port, "targetPort": target}], **spec}}


def slice_of(name, addresses):
    return {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4", "ports": [{"name": "http", "port": 7000}],
            "metadata": {"name": f"{name}-1", "namespace": "shop", "labels": {"kubernetes.io/service-name": name}},
            "endpoints": [{"addresses": [address]} for address in addresses]}


@needs_root
class Names(unittest.TestCase):
    """`cart` is a workload, `client` calls by names, `platform` has the DNS server, `stranger` is beyond the mesh."""

    @classmethod
    def setUpClass(cls):
        with contextlib.ExitStack() as stack:
            network = stack.enter_context(Network())
            cls.control_pod, cls.client, cls.cart, cls.platform, cls.stranger = map(network.pod, ("control", "client", "cart", "platform", "stranger"))
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            with cls.control_pod.inside():
                cls.control = stack.enter_context(ControlPlane(folder, secure=True, xds=f"{cls.control_pod.ipv4}:15010"))
            token = cls.control.token("-n", "shop")
            cls.control.apply(
                service("cart"), service("kafka", clusterIP="None"), slice_of("kafka", [cls.stranger.ipv4, cls.cart.ipv4]),
                {"apiVersion": "weft.mesh/v1", "kind": "ExternalService", "metadata": {"name": "legacy", "namespace": "shop"},
                 "spec": {"hosts": ["legacy.example"], "ports": [{"name": "tcp", "port": 7000}], "resolution": "Static",
                          "endpoints": [{"address": cls.stranger.ipv4}]}})
            cls.dns = dns.DnsServer(cls.platform, PLATFORM, only_by_tcp=["large.platform.example"])
            stack.callback(cls.dns.close)
            cls.client.resolv_conf.write_text(f"nameserver {cls.platform.ipv4}\nsearch {SEARCH}\noptions ndots:5\n")
            served = stack.enter_context(tempfile.TemporaryDirectory())
            with open(served + "/index.html", "w") as file:
                file.write("a cart\n")
            cls.cart.popen(sys.executable, "-m", "http.server", "8080", "--directory", served, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            cls.stranger.popen(sys.executable, "-c", "import socket\nserver = socket.create_server(('::', 7000), family=socket.AF_INET6, dualstack_ipv6=True)\n"
                               "while True: server.accept()[0].sendall(b'hello from beyond\\n')", stdout=subprocess.DEVNULL)
            intercepted.intercept(cls.cart)
            cls.client.run(weft_binary(), "intercept", "--redirect-dns", "--dns-all")
            cls.sidecar = stack.enter_context(intercepted.Sidecar(cls.cart, cls.control.xds, token, "cart", 8080, ["--health-tcp"]))
            cls.clients = stack.enter_context(intercepted.Sidecar(cls.client, cls.control.xds, token, arguments=["--dns"]))
            cls.addClassCleanup(stack.pop_all().close)
        if not eventually(lambda: cls.program(GET, "http://cart/").stdout == "a cart\n"):
            raise AssertionError(f"cart is not there: {cls.program(GET, 'http://cart/').stderr}\n{cls.clients.output.text()}\n{cls.sidecar.output.text()}")

    @classmethod
    def program(cls, *arguments):
        """A Python of its own in the client's pod, whose resolver reads the pod's files."""
        return cls.client.run(sys.executable, "-c", *arguments, check=False)

    def resolve(self, name, database="ahostsv4"):
        """The addresses that glibc finds; empty if it finds none."""
        done = self.client.run("getent", database, name, check=False)
        return sorted({line.split()[0] for line in done.stdout.splitlines()})

    def ask(self, *arguments, **options):
        return dns.ask(self.client, self.platform.ipv4, *arguments, **options)

    def stat(self, name):
        return self.clients.stat(f"dns.{name}")

    def test_a_service_that_no_dns_knows_is_called_by_its_name(self):
        answered = self.stat("answered_from_table")
        for name in ("cart", "cart.shop", "cart.shop.svc", "cart.shop.svc.cluster.local", "CART.Shop"):
            with self.subTest(name):
                [address] = self.resolve(name)
                self.assertTrue(address.startswith("240.240."), address)
                self.assertEqual(self.program(GET, f"http://{name}/").stdout, "a cart\n")
        self.assertTrue(all(address.startswith("2001:2::") for address in self.resolve("cart", "ahostsv6")), self.resolve("cart", "ahostsv6"))
        self.assertGreater(self.stat("answered_from_table"), answered)
        # By one question each, and nobody else was asked.
        self.assertFalse({name for name in self.dns.names_asked() if name.startswith("cart.shop")})
        self.assertGreater(self.clients.stat("cluster.shop/cart:80.upstream_rq_total"), 0)

    def test_a_service_beyond_the_mesh_that_does_not_speak_http(self):
        self.assertEqual(self.program(HEAR, "legacy.example", "7000").stdout, "hello from beyond\n")
        self.assertGreater(self.clients.stat("cluster.external/shop/legacy:7000.upstream_cx_total"), 0)
        # Its name with a search domain behind it was answered, too.
        self.assertFalse({name for name in self.dns.names_asked() if name.startswith("legacy")})

    def test_a_headless_service_is_its_endpoints(self):
        self.assertEqual(self.resolve("kafka"), sorted([self.stranger.ipv4, self.cart.ipv4]))
        self.control.apply(slice_of("kafka", [self.stranger.ipv4]), wait=True)
        self.assertTrue(eventually(lambda: self.resolve("kafka") == [self.stranger.ipv4]), self.resolve("kafka"))

    def test_all_other_names_are_the_platforms(self):
        self.assertEqual(self.resolve("web.platform.example"), ["192.0.2.80"])
        self.assertEqual(self.resolve("web.platform.example", "ahostsv6"), ["2001:db8::80"])
        self.assertEqual(self.resolve("nowhere.platform.example"), [])
        self.assertIn("nowhere.platform.example", self.dns.names_asked())
        # It has its own, of another domain.
        self.assertEqual(self.resolve("cart.elsewhere.example"), ["192.0.2.82"])

    def test_a_large_answer_comes_by_tcp(self):
        self.assertTrue(self.ask("large.platform.example").truncated)
        self.assertEqual(self.ask("large.platform.example", tcp=True).addresses, ["192.0.2.81"])
        self.assertIn(("large.platform.example", dns.A, "tcp"), self.dns.asked)
        self.assertEqual(self.resolve("large.platform.example"), ["192.0.2.81"])

    def test_udp_and_tcp_ipv4_and_ipv6(self):
        for server in (self.platform.ipv4, self.platform.ipv6):
            for tcp in (False, True):
                with self.subTest(server=server, tcp=tcp):
                    answer = dns.ask(self.client, server, "cart.shop.svc", tcp=tcp)
                    self.assertTrue(answer.authoritative)
                    self.assertTrue(answer.addresses[0].startswith("240.240."))
                    self.assertEqual(answer.lifetimes, [30])
                    self.assertEqual(dns.ask(self.client, server, "web.platform.example", dns.AAAA, tcp=tcp).addresses, ["2001:db8::80"])

    def test_what_else_is_asked_of_a_service(self):
        answer = self.ask("cart.shop.svc", dns.MX)
        # The platform does not know the name, but there is one.
        self.assertEqual((answer.rcode, answer.addresses), (dns.NO_ERROR, []))
        self.assertEqual(self.ask("nowhere.example", dns.MX).rcode, dns.NO_SUCH_NAME)

    def test_a_change_of_services_changes_the_answers(self):
        self.assertEqual(self.resolve("pay"), [])
        self.control.apply(service("pay"), wait=True)
        self.assertTrue(eventually(lambda: self.resolve("pay")))
        listed = self.control.weftctl("proxy-config", "names", "client")
        self.assertRegex(listed, r"shop/pay +pay\.shop\.svc\.cluster\.local +240\.240\.\S+ +\S+ +SYNCED")
        [names] = [each for each in json.loads(self.clients.admin("/config_dump"))["configs"] if each["@type"].endswith("NamesConfigDump")]
        shown = {each["name_table"]["name"]: each["name_table"] for each in names["dynamic_names"]}
        self.assertEqual(shown["shop/pay"]["addresses"][0], self.resolve("pay")[0])
        self.control.weftctl("delete", "service", "pay", "-n", "shop", "--wait")
        self.assertTrue(eventually(lambda: self.resolve("pay") == []))

    def test_servers_are_those_that_the_file_names_now(self):
        before = self.client.resolv_conf.read_text()
        other = dns.DnsServer(self.stranger, {"new.platform.example": ["192.0.2.99"]})
        try:
            # The first one does not answer: nobody listens there.
            self.client.resolv_conf.write_text(f"nameserver {self.control_pod.ipv4}\nnameserver {self.stranger.ipv4}\n")
            self.assertTrue(eventually(lambda: self.resolve("new.platform.example") == ["192.0.2.99"]))
            self.client.resolv_conf.write_text(f"nameserver {self.control_pod.ipv4}\n")
            self.assertTrue(eventually(lambda: self.ask("new.platform.example").rcode == dns.SERVER_FAILURE))
        finally:
            self.client.resolv_conf.write_text(before)
            other.close()
        self.assertTrue(eventually(lambda: self.resolve("web.platform.example") == ["192.0.2.80"]))
        # What the mesh knows needs none of them.
        self.assertTrue(self.resolve("cart"))

    def test_hostile_bytes_are_answered_or_dropped(self):
        malformed = self.stat("malformed")
        with self.client.inside(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.settimeout(10)
            asking.connect((self.platform.ipv4, 53))
            for message in (b"", b"x", b"\0" * 12, b"\xff" * 5000, dns.question("cart")[:-1], dns.question("cart")[:12] + b"\xc0\x0c\0\1\0\1"):
                asking.send(message)
            asking.send(dns.question("cart.shop", number=77))
            numbers = set()
            while 77 not in numbers:
                numbers.add(dns.Answer(asking.recv(4096)).number)
        self.assertGreater(self.stat("malformed"), malformed)
        with self.client.inside(), socket.create_connection((self.platform.ipv4, 53), 10) as asking:
            asking.sendall(b"\0\0\0\1x")
            self.assertEqual(asking.recv(1), b"")


if __name__ == "__main__":
    unittest.main()
