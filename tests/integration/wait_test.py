"""`weft-proxy wait`, which holds what must not start before its sidecar is ready."""

import http.server
import subprocess
import threading
import unittest

from tests.integration.harness.proxy import weft_binary
from tools.demos.ports import free_port

LIMIT_S = 30


class Sidecar(http.server.BaseHTTPRequestHandler):
    """Answers as a sidecar's health port does: not ready, and ready from the third question on."""

    asked = []

    def do_GET(self):
        self.asked.append(self.path)
        self.send_response(200 if len(self.asked) > 2 else 503)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Wait(unittest.TestCase):
    def wait(self, *arguments):
        return subprocess.run([weft_binary(), "wait", *map(str, arguments)], capture_output=True, text=True, timeout=LIMIT_S)

    def test_it_ends_once_the_sidecar_is_ready(self):
        Sidecar.asked.clear()
        with http.server.ThreadingHTTPServer(("127.0.0.1", free_port()), Sidecar) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            done = self.wait("--health-port", server.server_address[1], "--period-ms", 10, "--timeout-s", LIMIT_S)
            server.shutdown()
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(Sidecar.asked, ["/healthz/ready"] * 3)

    def test_a_sidecar_that_is_not_ready_in_time_is_an_error(self):
        port = free_port()
        done = self.wait("--health-port", port, "--timeout-s", 1)
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"not ready after 1 s; http://127.0.0.1:{port}/healthz/ready", done.stderr)

    def test_wrong_use(self):
        self.assertEqual(self.wait("--timeout-s", 0).returncode, 1)
        self.assertEqual(self.wait("--health-port", "x").returncode, 1)


if __name__ == "__main__":
    unittest.main()
