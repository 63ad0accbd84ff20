"""weft-proxy before two small servers, and a tour of it by curl."""

import http.server
import pathlib
import shlex
import tempfile
import threading

from ports import free_port
from stage import Process, Tour, programs, stay

BOOTSTRAP = """\
admin:
  address: {{ socket_address: {{ address: 127.0.0.1, port_value: 0 }} }}
static_resources:
  listeners:
  - name: web
    address: {{ socket_address: {{ address: 127.0.0.1, port_value: 0 }} }}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: web
          access_log:
          - name: envoy.access_loggers.file
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
              path: {folder}/access.log
              log_format:
                text_format_source:
                  inline_string: "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL% -> %RESPONSE_CODE% %CAUSE% by %UPSTREAM_HOST% in %DURATION% ms\\n"
          route_config:
            name: local
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - match: {{ prefix: /tea }}
                route: {{ cluster: tea }}
              - match: {{ prefix: /coffee }}
                route: {{ cluster: coffee }}
              - match: {{ prefix: /flaky }}
                route: {{ cluster: tea, retry_policy: {{ retry_on: 5xx, num_retries: 3 }} }}
              - match: {{ prefix: /slow }}
                route: {{ cluster: coffee, timeout: 0.3s }}
              - match: {{ prefix: /gone }}
                route: {{ cluster: gone }}
              - match: {{ path: /hello }}
                direct_response: {{ status: 200, body: {{ inline_string: "hello from the proxy itself\\n" }} }}
          http_filters:
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
  clusters:
  - {{ name: tea, type: STATIC, load_assignment: {{ cluster_name: tea, endpoints: [{{ lb_endpoints: [{{ endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {tea} }} }} }} }}] }}] }} }}
  - {{ name: coffee, type: STATIC, load_assignment: {{ cluster_name: coffee, endpoints: [{{ lb_endpoints: [{{ endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {coffee} }} }} }} }}] }}] }} }}
  - {{ name: gone, type: STATIC, load_assignment: {{ cluster_name: gone, endpoints: [{{ lb_endpoints: [{{ endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {gone} }} }} }} }}] }}] }} }}
"""


def serve(name, over):
    """A small server: says its name; under /flaky it fails twice of three times, under /slow it takes its time."""
    turns = iter(range(10**9))
    lock = threading.Lock()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            status, body = 200, f"this is {name}, you asked for {self.path}\n"
            if self.path.startswith("/flaky"):
                with lock:
                    turn = next(turns)
                if turn % 3 != 2:
                    status, body = 503, "not now\n"
            if self.path.startswith("/slow"):
                over.wait(5)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            try:
                self.wfile.write(body.encode())
            except ConnectionError:
                pass

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def tour(web, admin, folder):
    t, web, admin = Tour(), f"http://{web}", f"http://{admin}"
    t.step("A path chooses the server.", f"curl -s {web}/tea; curl -s {web}/coffee", ["^this is tea", "^this is coffee"])
    t.step("The same over HTTP/2; the server still speaks HTTP/1.1.", f"curl -s --http2-prior-knowledge -w '%{{http_version}}\\n' {web}/tea", ["^this is tea", "^2$"])
    t.step("The proxy can answer by itself.", f"curl -si {web}/hello", ["200", "hello from the proxy"])
    t.step("This server fails twice of three times. The proxy tries again, the caller sees nothing of it.",
           f"for i in 1 2 3; do curl -s -o /dev/null -w '%{{http_code}} ' {web}/flaky; done; curl -s {admin}/stats | grep cluster.tea.upstream_rq_retry:",
           ["^200 200 200", "upstream_rq_retry: [1-9]"])
    t.step("A server that is too slow: the route's time is up, and the answer says so.", f"curl -si {web}/slow", ["504", "time"])
    t.step("A server that is not there: the answer says why, and who closed.", f"curl -si {web}/gone", ["503", r"\w+ \w+ \w+"])
    t.step("No route: that is said, too.", f"curl -si {web}/nowhere", ["404"])
    t.step("All of it stands in the access log, each with its cause.", f"until [ $(wc -l < {shlex.quote(str(folder / 'access.log'))}) -ge 10 ]; do :; done; "
           f"cat {shlex.quote(str(folder / 'access.log'))}", ["GET /tea HTTP/2 -> 200", "GET /gone .* -> 503", "GET /slow .* -> 504"])
    t.step("And in the metrics, under the names that dashboards know.", f"curl -s '{admin}/stats?filter=^http.web.downstream_rq_[0-9]'", ["downstream_rq_5xx: 2", "downstream_rq_2xx: [0-9]"])
    t.step("Prometheus reads them, too.", f"curl -s {admin}/stats/prometheus | grep '^envoy_cluster_upstream_rq_total'", ['envoy_cluster_name="tea"'])
    return t.failed


def run(options):
    (binary,) = programs(["WEFT_PROXY"])
    over = threading.Event()
    with tempfile.TemporaryDirectory(prefix="weft-demo-") as name:
        folder = pathlib.Path(name)
        servers = [serve(n, over) for n in ("tea", "coffee")]
        bootstrap = BOOTSTRAP.format(folder=folder, tea=servers[0].server_port, coffee=servers[1].server_port, gone=free_port())
        path = folder / "weft.yaml"
        path.write_text(bootstrap)
        proxy = Process([binary, "-c", str(path), "--concurrency", "1"], [r"listener web listening on (\S+)", r"admin listening on (\S+)"])
        web, admin = proxy.found
        try:
            print(f"weft-proxy runs with {path}: requests at http://{web}, administration at http://{admin}")
            failed = tour(web, admin, folder)
            stay(options, f"Try it: http://{web}/tea, http://{admin}/", proxy)
        finally:
            over.set()
            proxy.stop()
            for server in servers:
                server.shutdown()
    return failed
