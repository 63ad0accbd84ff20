"""The application's probes, which its platform asks the proxy for: /app-health/… on the health port."""

import concurrent.futures
import contextlib
import json
import os
import ssl
import subprocess
import tempfile
import threading
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from tests.integration.harness import http1
from tests.integration.harness.certificates import Authority
from tests.integration.harness.control_plane import ControlPlane
from tests.integration.harness.live import eventually
from tests.integration.harness.proxy import Output, weft_binary
from tools.demos.ports import free_ports

LIMIT_S = 30


class Application(ThreadingHTTPServer):
    """Answers /200, /301, /500 as the path says, /late never before it is closed, and keeps the headers of each path."""

    # As many as come at once: of more than wait to be accepted the kernel lets some wait for a second, a probe's limit.
    request_queue_size = 64

    def __init__(self, tls=None):
        self.headers = {}
        self.closing = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                server.headers[self.path] = self.headers
                if self.path == "/late":
                    server.closing.wait()
                with contextlib.suppress(OSError):
                    self.send_response(int(self.path[1:]) if self.path[1:].isdigit() else 200)
                    self.end_headers()

            def log_message(self, *_):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        self.daemon_threads = True
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_side=True)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def __exit__(self, *_):
        self.closing.set()
        self.shutdown()
        self.server_close()


class Probes(unittest.TestCase):
    def launch(self, probes, control):
        """A sidecar with these probes."""
        self.health, outbound, inbound = free_ports(3)
        process = subprocess.Popen([weft_binary(), "sidecar", "--control", "%s:%d" % control, "--insecure", "--outbound-port", str(outbound),
                                    "--inbound-address", "127.0.0.1", "--service", "cart", "--app-port", "1", "--inbound-port", str(inbound),
                                    "--admin-address", "127.0.0.1:0", "--health-port", str(self.health), "--concurrency", "1"],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   env={**os.environ, "WEFT_APP_PROBES": probes if isinstance(probes, str) else json.dumps(probes)})
        output = Output(process.stdout)

        def end():
            process.terminate()
            process.wait(LIMIT_S)
            output.join()
            process.stdout.close()

        self.addCleanup(end)
        return process, output

    def start(self, probes):
        control = self.enterContext(ControlPlane(self.enterContext(tempfile.TemporaryDirectory()), arguments=["--debounce-ms", "20"]))
        _, output = self.launch(probes, control.xds)
        self.assertTrue(eventually(lambda: self.status("/healthz/ready") == 200), output.text())

    def status(self, path):
        try:
            with http1.Client(("127.0.0.1", self.health)) as client:
                client.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                return client.response().status
        except (OSError, http1.Truncated):
            return None

    def test_http(self):
        application = self.enterContext(Application())
        port = application.server_address[1]

        def probe(path, **more):
            return {"httpGet": {"path": path, "port": port, **more}, "timeoutSeconds": 1}

        headers = [{"name": "X-Probe", "value": "1"}, {"name": "Host", "value": "cart.example"}]
        self.start({"/app-health/cart/livez": probe("/200", httpHeaders=headers), "/app-health/cart/readyz": probe("/500"),
                    "/app-health/cart/startupz": probe("/301"), "/app-health/late/livez": probe("/late"),
                    "/app-health/gone/livez": {"httpGet": {"port": 1}}})
        self.assertEqual(200, self.status("/app-health/cart/livez"))
        self.assertEqual(("1", "cart.example"), tuple(application.headers["/200"][name] for name in ("x-probe", "host")))
        self.assertEqual(503, self.status("/app-health/cart/readyz"))
        self.assertEqual(200, self.status("/app-health/cart/startupz"))
        # Each is asked for itself, also at the same time.
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            late = pool.submit(self.status, "/app-health/late/livez")
            self.assertEqual([200] * 20, list(pool.map(self.status, ["/app-health/cart/livez"] * 20)))
            self.assertEqual(503, late.result())
        self.assertEqual(503, self.status("/app-health/gone/livez"))
        self.assertEqual(404, self.status("/app-health/nobody/livez"))
        self.assertEqual(404, self.status("/config_dump"))

    def test_https_whose_certificate_nobody_knows(self):
        certificate, key = Authority(self.enterContext(tempfile.TemporaryDirectory())).leaf("application")
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate, key)
        application = self.enterContext(Application(tls))
        self.start({"/app-health/cart/livez": {"httpGet": {"path": "200", "port": application.server_address[1], "scheme": "HTTPS"}}})
        self.assertEqual(200, self.status("/app-health/cart/livez"))

    def test_tcp_and_grpc(self):
        application = self.enterContext(Application())
        server = grpc.server(concurrent.futures.ThreadPoolExecutor(2))
        servicer = health.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        self.addCleanup(lambda: server.stop(None).wait())
        servicer.set("cart", health_pb2.HealthCheckResponse.NOT_SERVING)
        self.start({"/app-health/a/livez": {"tcpSocket": {"port": application.server_address[1]}}, "/app-health/b/livez": {"tcpSocket": {"port": 1}},
                    "/app-health/c/livez": {"grpc": {"port": port, "service": ""}}, "/app-health/d/livez": {"grpc": {"port": port, "service": "cart"}}})
        self.assertEqual([200, 503, 200, 503], [self.status(f"/app-health/{name}/livez") for name in "abcd"])
        servicer.set("cart", health_pb2.HealthCheckResponse.SERVING)
        self.assertEqual(200, self.status("/app-health/d/livez"))

    def test_what_is_no_probe_is_refused_at_the_start(self):
        good = {"httpGet": {"port": 80}}
        for probes, text in (("{", "expected a JSON object of probes by path"), ({"/healthz": good}, "/healthz: expected a path below /app-health/"),
                             ({"/app-health/a/livez": {"httpGet": {}}}, ".httpGet.port: expected a number from 1 to 65535"),
                             ({"/app-health/a/livez": {"exec": {}}}, "expected one of httpGet, tcpSocket and grpc"),
                             ({"/app-health/a/livez": {**good, "grpc": {"port": 1}}}, "expected one of httpGet, tcpSocket and grpc"),
                             ({"/app-health/a/livez": {"httpGet": {"port": 80, "scheme": "FTP"}}}, ".scheme: expected HTTP or HTTPS"),
                             ({"/app-health/a/livez": {"httpGet": {"port": 80, "httpHeaders": [{"name": "a\nb", "value": "c"}]}}}, "without line ends"),
                             ({"/app-health/a/livez": {**good, "timeoutSeconds": "1"}}, ".timeoutSeconds: expected a number"),
                             ({"/app-health/a/livez": {"tcpSocket": {"port": 80, "path": "/"}}}, ".tcpSocket.path: expected no such field")):
            process, output = self.launch(probes, ("127.0.0.1", 1))
            self.assertEqual(1, process.wait(LIMIT_S))
            output.join()
            self.assertIn(text, output.text())


if __name__ == "__main__":
    unittest.main()
