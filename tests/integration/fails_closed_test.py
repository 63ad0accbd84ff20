"""A sidecar that takes connections by interception is not ready before a test from inside shows that it does."""

import tempfile
import unittest

from tests.integration.harness import dns, http1
from tests.integration.harness.control_plane import ControlPlane
from tests.integration.harness.live import eventually
from tests.integration.harness.mesh import service
from tests.integration.harness.namespaces import Network, for_all_users, needs_root
from tests.integration.harness.proxy import Output, weft_binary

PROXY_UID = 1337
XDS_PORT = 15010


@needs_root
class FailsClosed(unittest.TestCase):
    def setUp(self):
        self.network = self.enterContext(Network())
        self.pod, control = self.network.pod("cart"), self.network.pod("control")
        with control.inside():
            self.control = self.enterContext(ControlPlane(self.enterContext(tempfile.TemporaryDirectory()), secure=True,
                                                          xds=f"{control.ipv4}:{XDS_PORT}"))
        self.control.apply(service("cart"))
        self.token = self.control.token("-n", "shop")

    def sidecar(self, uid, *arguments):
        process = self.pod.popen("env", f"WEFT_TOKEN={self.token}", for_all_users(weft_binary()), "sidecar", "--interception", "--control",
                                 "%s:%d" % self.control.xds, "--namespace", "shop", "--service", "cart", "--app-port", "8080", "--concurrency", "1",
                                 *arguments, uid=uid, stdout=-1, stderr=-2)
        output = Output(process.stdout)

        def end():
            process.terminate()
            process.wait()
            output.join()
            process.stdout.close()

        self.addCleanup(end)
        return output

    def ready(self):
        """(status, text), as the platform asks from another host."""
        try:
            with self.network.pods["control"].inside(), http1.Client((self.pod.ipv4, 15021)) as client:
                client.send(b"GET /healthz/ready HTTP/1.1\r\nHost: x\r\n\r\n")
                response = client.response()
                return response.status, response.body.decode()
        except (OSError, http1.Truncated):
            return 0, ""

    def await_lack(self, text, output):
        self.assertTrue(eventually(lambda: self.ready()[0] == 503 and text in self.ready()[1]), f"{self.ready()}\n{output.text()}")

    def intercept(self, *arguments):
        self.pod.run(weft_binary(), "intercept", *arguments)

    def test_it_is_ready_once_the_rules_are_there(self):
        output = self.sidecar(PROXY_UID)
        self.await_lack("a test of outbound ones, to 127.0.0.6:15002, did not arrive at port 15001 (connection refused)", output)
        # Nothing serves yet.
        with self.assertRaises(ConnectionRefusedError):
            self.pod.connect((self.pod.ipv4, 8080))
        self.intercept("--no-inbound")
        self.await_lack(f"a test of inbound ones, to {self.pod.ipv4}:15002, did not arrive at port 15006, for user {PROXY_UID}", output)
        self.assertEqual({}, self.control.workloads())
        self.intercept()
        self.assertTrue(eventually(lambda: self.ready() == (200, "ready\n")), output.text())
        self.assertTrue(eventually(lambda: "ready" in self.control.workloads().values()), self.control.workloads())

    def test_rules_of_one_family_alone_are_not_enough(self):
        self.intercept("--backend", "iptables", "--no-ipv6")
        output = self.sidecar(PROXY_UID)
        self.await_lack("a test of outbound ones, to [::6]:15002", output)
        self.intercept("--backend", "iptables")
        self.assertTrue(eventually(lambda: self.ready()[0] == 200), output.text())

    def check_dns(self, backend):
        self.pod.resolv_conf.write_text("nameserver 192.0.2.53\n")
        self.intercept("--backend", backend)
        output = self.sidecar(PROXY_UID, "--dns")
        self.await_lack("questions of DNS of this network namespace are not taken: a test, by UDP to 127.0.0.6:15002, was not answered from "
                        "port 15053 (connection refused); `weft-proxy intercept --redirect-dns` writes the rules", output)
        # Nobody answers there.
        self.intercept("--backend", backend, "--redirect-dns", "--dns-port", "15054")
        self.await_lack("was not answered from port 15053", output)
        self.assertEqual({}, self.control.workloads())
        self.intercept("--backend", backend, "--redirect-dns")
        self.assertTrue(eventually(lambda: self.ready() == (200, "ready\n")), output.text())
        # As a question of the application's is.
        for tcp in (False, True):
            [address] = dns.ask(self.pod, "192.0.2.53", "cart", tcp=tcp).addresses
            self.assertTrue(address.startswith("240.240."), address)

    def test_questions_are_taken_by_nft(self):
        self.check_dns("nft")

    def test_questions_are_taken_by_iptables(self):
        self.check_dns("iptables")

    def test_rules_for_another_port_or_user_are_not_enough(self):
        self.intercept("--outbound-port", "15101")
        output = self.sidecar(PROXY_UID)
        self.await_lack("a test of outbound ones", output)
        self.intercept("--uid", "1338", "--gid", "1338")
        self.await_lack(f"a test of inbound ones, to {self.pod.ipv4}:15002, did not arrive at port 15006, for user {PROXY_UID}", output)
        self.intercept()
        self.assertTrue(eventually(lambda: self.ready()[0] == 200), output.text())


if __name__ == "__main__":
    unittest.main()
