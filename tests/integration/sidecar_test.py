"""A mesh without Kubernetes and without a hand-written bootstrap: applications with sidecars find one another by name, and
whoever goes, drains or is unwell gets no calls."""

import signal
import socket
import tempfile
import threading
import types
import unittest

from tests.integration.harness.live import eventually
from tests.integration.harness.backend import Backend
from tests.integration.harness.control_plane import ControlPlane
from tests.integration.harness.sidecar import Sidecar

GRACE_MS = 400
# For who must come back in time, however slow the machine.
LONG_GRACE_MS = 30_000


def answer(text, status="200 OK"):
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode()


def service(name, app_protocol="http"):
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "shop"},
            "spec": {"ports": [{"port": 80, "appProtocol": app_protocol}]}}


class Load:
    """Calls a service again and again through a sidecar, and keeps what did not get 200."""

    def __init__(self, sidecar, host):
        self.failed, self.bodies = [], set()
        self._ended = threading.Event()
        self._sidecar, self._host = sidecar, host
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        while not self._ended.is_set():
            got = self._sidecar.get(self._host)
            if got is None or got[0] != 200:
                self.failed.append(got)
            else:
                self.bodies.add(got[1])

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()


class Case(unittest.TestCase):
    secure = True

    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory())
        self.start_control()
        self.addCleanup(lambda: self.control.process.poll() is None and self.control.stop())
        self.tokens = {}

    def start_control(self, grace_ms=GRACE_MS, **more):
        self.control = ControlPlane(self.folder, secure=self.secure, arguments=["--workload-grace-ms", str(grace_ms), "--debounce-ms", "20"],
                                    **more)

    def app(self, text):
        return self.enterContext(Backend(answer(text)))

    def sidecar(self, name, app, *arguments, await_ready=True):
        if self.secure and "shop" not in self.tokens:
            self.tokens["shop"] = self.control.token("-n", "shop")
        sidecar = self.enterContext(Sidecar(self.control, name, app.address[1], self.tokens.get("shop"), arguments=arguments))
        if await_ready:
            self.await_state(sidecar, "ready")
        return sidecar

    def await_state(self, sidecar, state):
        """Waits for the state of its workload; None: it is gone."""
        def reached():
            now = self.control.workloads().get(sidecar.name)
            return now == state or (state is not None and now is not None and now.startswith(state))

        self.assertTrue(eventually(reached), f"{sidecar.name} is not {state}: {self.control.workloads()}\n{sidecar.output.text()}\n"
                                             f"{self.control.output.text()}")

    def await_answer(self, sidecar, host, wanted):
        self.assertTrue(eventually(lambda: sidecar.get(host) == wanted), f"{host}: {sidecar.get(host)}\n{sidecar.output.text()}")


class Mesh(Case):
    def test_three_services_call_one_another_by_name(self):
        self.control.apply(*(service(name) for name in ("cart", "orders", "pay")))
        sidecars = {name: self.sidecar(name, self.app(name)) for name in ("cart", "orders", "pay")}
        for caller in sidecars.values():
            for name in sidecars:
                for host in (name, f"{name}.shop", f"{name}.shop.svc.cluster.local:80"):
                    self.await_answer(caller, host, (200, name))
        self.assertEqual(404, sidecars["cart"].get("nobody")[0])
        self.assertEqual([], [state for state in self.control.nodes().values() if state["refused"]])

    def test_a_service_that_comes_later_takes_the_workloads_that_wait_for_it(self):
        sidecar = self.sidecar("cart", self.app("cart"), await_ready=False)
        self.await_state(sidecar, "unattached")
        self.control.apply(service("cart"))
        self.await_state(sidecar, "ready")
        self.await_answer(sidecar, "cart", (200, "cart"))

    def test_one_that_is_killed_is_gone_after_the_time_of_grace(self):
        self.control.apply(service("cart"), service("front"))
        front, first, second = self.sidecar("front", self.app("front")), self.sidecar("cart", self.app("one")), self.sidecar("cart", self.app("two"))
        self.await_answer(front, "cart", (200, "one"))
        self.await_answer(front, "cart", (200, "two"))
        first.stop(signal.SIGKILL)
        self.await_state(first, None)
        # What is pushed takes a moment more.
        self.assertTrue(eventually(lambda: {front.get("cart") for _ in range(20)} == {(200, "two")}))
        second.stop(signal.SIGKILL)
        self.await_state(second, None)
        self.assertTrue(eventually(lambda: front.get("cart")[0] == 503))

    def test_one_that_ends_fails_no_request_while_another_serves(self):
        self.control.apply(service("cart"), service("front"))
        front = self.sidecar("front", self.app("front"))
        first, second = self.sidecar("cart", self.app("one")), self.sidecar("cart", self.app("two"))
        for text in ("one", "two"):
            self.await_answer(front, "cart", (200, text))
        with Load(front, "cart") as load:
            self.assertTrue(eventually(lambda: load.bodies == {"one", "two"}))
            self.assertEqual(0, first.stop())
            self.assertNotIn(first.name, self.control.workloads())
            load.bodies.clear()
            self.assertTrue(eventually(lambda: load.bodies == {"two"}))
            # And one that comes is called only when it serves.
            self.sidecar("cart", self.app("three"))
            self.assertTrue(eventually(lambda: load.bodies == {"two", "three"}))
        self.assertEqual([], load.failed)
        self.assertIn("the control plane is told", first.output.text())

    def test_one_that_ends_serves_on_until_the_slowest_caller_knows(self):
        self.control.apply(service("cart"), service("front"), service("quick"))
        front, quick = self.sidecar("front", self.app("front")), self.sidecar("quick", self.app("quick"))
        cart = self.sidecar("cart", self.app("one"), "--drain-announce-ms", "600000")
        self.sidecar("cart", self.app("two"))
        for caller in (front, quick):
            for text in ("one", "two"):
                self.await_answer(caller, "cart", (200, text))
        front.process.send_signal(signal.SIGSTOP)
        try:
            cart.process.send_signal(signal.SIGTERM)
            # This one knows, so that the other has been told as well.
            self.assertTrue(eventually(lambda: {quick.get("cart") for _ in range(20)} == {(200, "two")}))
            self.assertIsNone(cart.process.poll())
            self.assertNotIn("draining:", cart.output.text())
        finally:
            front.process.send_signal(signal.SIGCONT)
        # Without a second signal, which would end it at once.
        self.assertEqual(0, cart.process.wait(30))
        self.assertEqual({(200, "two")}, {front.get("cart") for _ in range(20)})

    def test_an_application_that_fails_its_check_gets_no_calls_until_it_is_well(self):
        self.control.apply(service("cart"), service("front"))
        front, well = self.sidecar("front", self.app("front")), self.sidecar("cart", self.app("well"))
        app = self.app("other")
        app.default = answer("not yet", "503 Service Unavailable")
        checked = self.sidecar("cart", app, "--health-http", "/healthz", "--health-interval-ms", "100", await_ready=False)
        self.await_state(checked, f"unhealthy: its application on 127.0.0.1:{app.address[1]} fails its health check")
        self.await_answer(front, "cart", (200, "well"))
        self.assertEqual({(200, "well")}, {front.get("cart") for _ in range(20)})
        app.default = answer("other")
        self.await_state(checked, "ready")
        self.await_answer(front, "cart", (200, "other"))
        app.default = answer("gone", "500 Oh")
        self.await_state(checked, "unhealthy")
        self.assertTrue(eventually(lambda: {front.get("cart") for _ in range(20)} == {(200, "well")}))
        self.await_state(well, "ready")

    def test_a_control_plane_that_is_killed_and_comes_back_loses_nobody(self):
        self.control.apply(service("cart"), service("front"))
        front, cart = self.sidecar("front", self.app("front")), self.sidecar("cart", self.app("cart"))
        self.await_answer(front, "cart", (200, "cart"))
        with Load(front, "cart") as load:
            for _ in range(2):
                where = "%s:%d" % self.control.xds
                self.control.stop(signal.SIGKILL)
                self.start_control(LONG_GRACE_MS, xds=where)
                self.assertTrue(self.control.workloads()[cart.name].startswith("ready"), self.control.workloads())
                self.await_state(cart, "ready")
                self.assertTrue(eventually(lambda: self.control.workloads() == {front.name: "ready", cart.name: "ready"}))
        self.assertEqual([], load.failed)

    def test_what_is_not_http_passes_as_it_is_even_if_the_server_speaks_first(self):
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        app = types.SimpleNamespace(address=listener.getsockname())

        def serve():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.sendall(b"hello\n")
                    connection.sendall(connection.recv(100).upper())

        threading.Thread(target=serve, daemon=True).start()
        for name, protocol in (("db", "tcp"), ("unknown", "")):
            self.control.apply(service(name, protocol))
            sidecar = self.sidecar(name, app)
            with socket.create_connection(("127.0.0.1", sidecar.inbound_port), 10) as client:
                self.assertEqual(b"hello\n", client.recv(100))
                client.sendall(b"bye\n")
                self.assertEqual(b"BYE\n", client.recv(100))
        listener.shutdown(socket.SHUT_RDWR)


class Refused(Case):
    def test_a_sidecar_without_a_token_or_with_a_foreign_one_says_what_is_wrong(self):
        app = self.app("cart")
        for arguments, expected in [(["-n", "other"], "is for the namespace other"), (["-n", "shop", "--service", "pay"], "is for the service pay")]:
            token = self.control.token(*arguments)
            with Sidecar(self.control, "cart", app.address[1], token) as sidecar:
                self.assertTrue(sidecar.output.wait_for(lambda lines: expected in "\n".join(lines)), sidecar.output.text())
                self.assertNotIn(token[23:60], sidecar.output.text())

    def test_a_control_plane_with_another_certificate_is_not_told_the_token(self):
        token = self.control.token("-n", "shop")
        wrong = token[:-1] + ("1" if token[-1] == "0" else "0")
        with Sidecar(self.control, "cart", self.app("cart").address[1], wrong) as sidecar:
            self.assertTrue(sidecar.output.wait_for(lambda lines: "is away" in "\n".join(lines)), sidecar.output.text())
        self.assertIn('weft_control_refused_streams_total{reason="no such token"} 0', self.control.get_admin("/metrics"))


if __name__ == "__main__":
    unittest.main()
