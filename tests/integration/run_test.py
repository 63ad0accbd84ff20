"""`weft-proxy run`: an application and its sidecar begin and end together, in their order."""

import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

from tests.integration.harness import http1
from tests.integration.harness.backend import Backend
from tests.integration.harness.control_plane import ControlPlane
from tests.integration.harness.live import answer, eventually
from tests.integration.harness.mesh import service
from tests.integration.harness.proxy import SANITIZER, Output, weft_binary
from tools.demos.ports import free_ports

LIMIT_S = 30
PROXY_UID = 1337

# Says what happens to it, a line each. It answers "slow" only when it gets a line on its input; on SIGTERM it makes a call
# through its sidecar, and ends with 5.
APPLICATION = """
import http.client, http.server, os, signal, sys, threading
port, outbound = map(int, sys.argv[1:3])
say = lambda *words: print(*words, flush=True)

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        if self.path == "/slow":
            say("slow begins")
            sys.stdin.readline()
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"ok")
    def log_message(self, *_):
        pass

def stop(*_):
    say("told to end")
    connection = http.client.HTTPConnection("127.0.0.1", outbound, timeout=20)
    connection.request("GET", "/", headers={"host": "other"})
    say("other answered", connection.getresponse().status)
    os._exit(5)

signal.signal(signal.SIGTERM, stop)
signal.signal(signal.SIGUSR1, lambda *_: say("a signal"))
server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
say("started", os.getuid(), "WEFT_TOKEN" in os.environ, *sys.argv[3:])
server.serve_forever()
"""


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def start_control(self, **options):
        self.control = self.enterContext(ControlPlane(str(self.folder), arguments=["--debounce-ms", "20"], **options))
        self.control.apply(service("cart"), service("other"))

    def run_sidecar(self, *application, arguments=(), token=None, control=None):
        """Starts `weft-proxy run` with an application's command line, in which PORT and OUTBOUND stand for ports."""
        self.app_port, self.inbound, self.outbound, self.health = free_ports(4)
        own = {"PORT": self.app_port, "OUTBOUND": self.outbound}
        application = [str(own.get(word, word)) for word in application]
        command = [weft_binary(), "run", "--control", "%s:%d" % (control or self.control.xds), "--namespace", "shop", "--service", "cart",
                   "--app-port", str(self.app_port), "--inbound-address", "127.0.0.1", "--inbound-port", str(self.inbound), "--outbound-port",
                   str(self.outbound), "--admin-address", "127.0.0.1:0", "--health-port", str(self.health), "--concurrency", "1",
                   "--drain-announce-ms", "20", *arguments, *([] if token else ["--insecure"]), "--", *application]
        environment = {**os.environ, **({"WEFT_TOKEN": token} if token else {})}
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment)
        output = Output(process.stdout)

        def end():
            if process.poll() is None:
                process.kill()
            process.wait()
            # The others end with it.
            output.join()
            process.stdin.close()
            process.stdout.close()
            self.assertIsNone(SANITIZER.search(output.text()), output.text())

        self.addCleanup(end)
        return process, output

    def await_line(self, output, text):
        self.assertTrue(output.wait_for(lambda lines: any(text in line for line in lines)), f"no \"{text}\":\n{output.text()}")

    def await_code(self, process, output, code):
        try:
            self.assertEqual(code, process.wait(LIMIT_S), output.text())
        except subprocess.TimeoutExpired:
            self.fail(output.text())

    def ready(self):
        """(status, text) of the health port; None while it is not there."""
        try:
            with http1.Client(("127.0.0.1", self.health)) as client:
                client.send(b"GET /healthz/ready HTTP/1.1\r\nHost: x\r\n\r\n")
                response = client.response()
                return response.status, response.body.decode()
        except (OSError, http1.Truncated):
            return None

    def ask(self, path="/", at=None):
        with http1.Client(("127.0.0.1", at or self.inbound)) as client:
            client.send(f"GET {path} HTTP/1.1\r\nHost: cart\r\n\r\n".encode())
            return client.response()


class Together(Case):
    def test_the_application_is_held_until_the_proxy_is_ready(self):
        (port,) = free_ports(1)
        process, output = self.run_sidecar(sys.executable, "-Bc", APPLICATION, "PORT", "OUTBOUND", control=("127.0.0.1", port))
        self.assertTrue(eventually(lambda: (self.ready() or (0,))[0] == 503), output.text())
        self.assertIn("not ready", self.ready()[1])
        self.assertNotIn("started", output.text())
        self.start_control(xds=f"127.0.0.1:{port}")
        self.await_line(output, "started")
        self.assertEqual((200, "ready\n"), self.ready())
        self.assertEqual(200, self.ask().status)

    def test_it_ends_with_the_applications_exit_code(self):
        self.start_control()
        for script, code in (("exit 0", 0), ("exit 7", 7), ("kill -KILL $$", 128 + signal.SIGKILL)):
            process, output = self.run_sidecar("sh", "-c", script)
            self.await_code(process, output, code)
        process, output = self.run_sidecar("weft-there-is-no-such-program")
        self.await_code(process, output, 127)
        self.assertIn("weft-there-is-no-such-program cannot be run: No such file or directory", output.text())

    def test_inbound_ends_first_then_the_application_then_outbound(self):
        self.start_control()
        other = self.enterContext(Backend(answer(b"other")))
        self.control.apply({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
                            "metadata": {"name": "other", "namespace": "shop", "labels": {"kubernetes.io/service-name": "other"}},
                            "endpoints": [{"addresses": ["127.0.0.1"]}], "ports": [{"name": "main", "port": other.address[1]}]}, wait=True)
        process, output = self.run_sidecar(sys.executable, "-Bc", APPLICATION, "PORT", "OUTBOUND")
        self.await_line(output, "started")
        self.assertTrue(eventually(lambda: self.ask_other() == 200))
        slow = http1.Client(("127.0.0.1", self.inbound))
        self.addCleanup(slow.close)
        slow.send(b"GET /slow HTTP/1.1\r\nHost: cart\r\n\r\n")
        self.await_line(output, "slow begins")
        process.send_signal(signal.SIGTERM)
        self.assertTrue(eventually(self.inbound_refuses), output.text())
        # The exchange under way holds the application's end up, and its calls go on.
        self.assertEqual(200, self.ask_other())
        self.assertEqual(503, self.ready()[0])
        self.assertNotIn("told to end", output.text())
        process.stdin.write(b"\n")
        process.stdin.flush()
        self.assertEqual(200, slow.response().status)
        self.await_code(process, output, 5)
        self.assertIn("other answered 200", output.text())

    def ask_other(self):
        with http1.Client(("127.0.0.1", self.outbound)) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: other\r\n\r\n")
            return client.response().status

    def inbound_refuses(self):
        try:
            socket.create_connection(("127.0.0.1", self.inbound), 1).close()
        except OSError:
            return True
        return False

    def test_all_has_one_deadline(self):
        self.start_control()
        process, output = self.run_sidecar("sh", "-c", "trap '' TERM; echo deaf; while :; do read line || :; done", arguments=["--stop-time-s", "3"])
        self.await_line(output, "deaf")
        process.send_signal(signal.SIGTERM)
        self.await_code(process, output, 128 + signal.SIGKILL)

    def test_other_signals_are_the_applications(self):
        self.start_control()
        process, output = self.run_sidecar(sys.executable, "-Bc", APPLICATION, "PORT", "OUTBOUND")
        self.await_line(output, "started")
        process.send_signal(signal.SIGUSR1)
        self.await_line(output, "a signal")

    def test_the_application_does_not_go_on_without_its_proxy(self):
        self.start_control()
        process, output = self.run_sidecar("sh", "-c", "echo runs; exec sleep 1000")
        self.await_line(output, "runs")
        os.kill(self.proxy_of(process), signal.SIGKILL)
        self.await_code(process, output, 1)

    def proxy_of(self, process):
        """The child that is the same program."""
        children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        program = os.readlink(f"/proc/{process.pid}/exe")
        (proxy,) = [int(child) for child in children if os.readlink(f"/proc/{child}/exe") == program]
        return proxy

    def test_the_token_is_the_proxys_alone_and_root_is_the_applications(self):
        self.start_control(secure=True)
        process, output = self.run_sidecar(sys.executable, "-Bc", APPLICATION, "PORT", "OUTBOUND", "--an", "argument",
                                           token=self.control.token("-n", "shop"))
        self.await_line(output, f"started {os.getuid()} False --an argument")
        status = pathlib.Path(f"/proc/{self.proxy_of(process)}/status").read_text()
        uid = PROXY_UID if os.getuid() == 0 else os.getuid()
        self.assertIn(f"\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\n", status)

    def test_what_is_missing_is_said(self):
        for arguments, text in ((("run", "--control", "127.0.0.1:1", "--insecure"), "expected the application's command line"),
                                (("run", "--control", "127.0.0.1:1", "--", "true"), "a join token is missing"),
                                (("sidecar", "--control", "127.0.0.1:1", "--insecure", "--", "true"), "is for `weft-proxy run` alone")):
            run = subprocess.run([weft_binary(), *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                 timeout=LIMIT_S, env={key: value for key, value in os.environ.items() if key != "WEFT_TOKEN"})
            self.assertNotEqual(0, run.returncode)
            self.assertIn(text, run.stdout)


if __name__ == "__main__":
    unittest.main()
