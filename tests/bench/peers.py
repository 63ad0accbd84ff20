"""The proxies: what each is given, as an operator who wants it fast would configure it, and what is on for it.

Like for like: one worker, upstream connections kept and shared, an access log in a file, limits on connections,
x-forwarded-for, x-forwarded-proto and x-request-id added where the proxy can, metrics where it has them.
"""

import os
import shutil

from .certificates import SERVER_NAME
from .envoy_bootstrap import LIMIT, bootstrap
from .process import BenchError, descriptor_limit
from .setup import route_prefix

IDLE_S = 300
# Beside PATH: where Debian puts servers, and where tools/setup puts Envoy.
ELSEWHERE = os.pathsep.join(["/usr/sbin", "/usr/local/sbin", os.path.join(
    os.environ.get("WEFT_CACHE", os.path.expanduser("~/.cache/weft")), "venv/bin")])
TLS13_CIPHER = "TLS_AES_128_GCM_SHA256"


def _lines(*parts):
    return "\n".join(part for part in parts if part) + "\n"


class Peer:
    """A proxy by name. `command(setup)` writes its configuration and returns the words that start it."""

    name = ""
    features = ""

    def __init__(self, binaries):
        self.binary = binaries.get(self.name, "")

    def command(self, setup):
        raise NotImplementedError

    def version_command(self):
        return [self.binary, "--version"]


class Weft(Peer):
    name = "weft"
    features = ("metrics, circuit breakers and connection limit, file access log (buffered), "
                "x-forwarded-for/-proto, x-request-id; the same bootstrap as Envoy")

    def command(self, setup):
        return [self.binary, "-c", setup.write("bootstrap.json", bootstrap(setup)), "--concurrency", "1"]


class Envoy(Peer):
    name = "envoy"
    features = ("metrics, circuit breakers and connection limit, file access log (buffered), "
                "x-forwarded-for/-proto, x-request-id")

    def command(self, setup):
        return [self.binary, "-c", setup.write("bootstrap.json", bootstrap(setup)), "--concurrency", "1",
                "--disable-hot-restart", "--log-level", "error"]


class Haproxy(Peer):
    name = "haproxy"
    features = ("metrics (Prometheus exporter), maxconn at all three levels, httplog to a file by stdout (one write a "
                "request, it has no buffered file), x-forwarded-for/-proto, x-request-id; http-reuse always")

    def version_command(self):
        return [self.binary, "-v"]

    def _server_tls(self, setup):
        if not setup.upstream_tls:
            return " proto h2" if setup.upstream == "h2" else ""
        certificates = setup.certificates
        return (" ssl alpn h2 ssl-min-ver TLSv1.3 ciphersuites %s crt %s ca-file %s verify required sni str(%s) "
                "verifyhost %s" % (TLS13_CIPHER, certificates.both("client"), certificates.ca, SERVER_NAME,
                                   SERVER_NAME))

    def _bind_tls(self, setup):
        if not setup.downstream_tls:
            return ""
        text = " ssl crt %s alpn h2,http/1.1 ssl-min-ver TLSv1.3 ciphersuites %s" % (
            setup.certificates.both("server"), TLS13_CIPHER)
        if setup.downstream_tls == "mutual":
            text += " ca-file %s verify required" % setup.certificates.ca
        return text

    def _routing(self, setup):
        if setup.routes == 1:
            return "  default_backend app"
        routes = setup.write("routes.map", "".join("%s app\n" % route_prefix(n) for n in range(setup.routes)))
        return "  use_backend %%[path,map_beg(%s)]" % routes

    def command(self, setup):
        idle = ["backend idle-%04d\n  server s1 127.0.0.1:%d maxconn %d" % (n, setup.upstream_port, LIMIT)
                for n in range(1, setup.clusters)]
        text = _lines(
            "global",
            "  nbthread 1",
            "  maxconn %d" % LIMIT,
            "  no strict-limits",  # starts, with a warning, where a container allows fewer descriptors than 2 * maxconn
            "  log stdout format raw local0" if setup.log else "",
            "defaults",
            "  mode http",
            "  option forwardfor",
            "  http-reuse always",
            "  timeout connect 5s",
            "  timeout client %ds" % IDLE_S,
            "  timeout server %ds" % IDLE_S,
            "frontend ingress",
            "  bind 127.0.0.1:%d maxconn %d backlog 4096%s" % (setup.port, LIMIT, self._bind_tls(setup)),
            "  log global" if setup.log else "",
            "  option httplog" if setup.log else "",
            "  http-request set-header x-forwarded-proto %s" % ("https" if setup.downstream_tls else "http"),
            "  http-request set-header x-request-id %[uuid()] unless { req.hdr(x-request-id) -m found }",
            # It leaves the reason empty for an answer that came by HTTP/2, which h2load does not take for an answer.
            "  http-response set-status 200 if { status 200 }" if setup.upstream == "h2" else "",
            self._routing(setup),
            "backend app",
            "  server s1 127.0.0.1:%d maxconn %d%s" % (setup.upstream_port, LIMIT, self._server_tls(setup)),
            *idle,
            "frontend metrics",
            "  bind 127.0.0.1:%d" % setup.admin_port,
            "  http-request use-service prometheus-exporter if { path /metrics }",
        )
        return [self.binary, "-f", setup.write("haproxy.cfg", text)]


class Nginx(Peer):
    name = "nginx"
    features = ("stub_status, worker_connections, limit_conn and max_conns, access log buffered 64k, "
                "x-forwarded-for/-proto, x-request-id; upstream keepalive 256")

    def version_command(self):
        return [self.binary, "-v"]

    def _locations(self, setup):
        if setup.routes == 1:
            return "    location / { proxy_pass http://app; }"
        return "\n".join("    location %s { proxy_pass http://app; }" % route_prefix(n) for n in range(setup.routes))

    def command(self, setup):
        tls = setup.downstream_tls
        idle = ["  upstream idle-%04d { server 127.0.0.1:%d max_conns=%d; keepalive 256; }"
                % (n, setup.upstream_port, LIMIT) for n in range(1, setup.clusters)]
        text = _lines(
            "daemon off;",
            "worker_processes 1;",
            "worker_rlimit_nofile %d;" % min(2 * LIMIT, descriptor_limit()),
            "pid %s;" % setup.path("nginx.pid"),
            "error_log %s error;" % setup.path("error.log"),
            "events { worker_connections %d; multi_accept on; }" % LIMIT,
            "http {",
            *("  %s_temp_path %s;" % (kind, setup.path("temp_" + kind))
              for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")),
            "  access_log %s combined buffer=64k flush=1s;" % setup.path("access.log") if setup.log
            else "  access_log off;",
            "  keepalive_timeout %ds;" % IDLE_S,
            "  keepalive_requests 1000000000;",
            "  client_header_timeout %ds;" % IDLE_S,
            "  tcp_nodelay on;",
            "  limit_conn_zone $server_port zone=all:1m;",
            "  upstream app {",
            "    server 127.0.0.1:%d max_conns=%d;" % (setup.upstream_port, LIMIT),
            "    keepalive 256;",
            "    keepalive_requests 1000000000;",
            "    keepalive_timeout %ds;" % IDLE_S,
            "  }",
            *idle,
            "  proxy_http_version 1.1;",
            "  proxy_set_header Host $host;",
            '  proxy_set_header Connection "";',
            "  proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;",
            "  proxy_set_header X-Forwarded-Proto $scheme;",
            "  proxy_set_header X-Request-ID $request_id;",
            "  proxy_buffers 16 16k;",
            "  proxy_max_temp_file_size 0;",
            "  server {",
            "    listen 127.0.0.1:%d backlog=4096%s;" % (setup.port, " ssl http2" if tls else ""),
            "    ssl_certificate %s;" % setup.certificates.certificate("server") if tls else "",
            "    ssl_certificate_key %s;" % setup.certificates.key("server") if tls else "",
            "    ssl_protocols TLSv1.3;" if tls else "",
            "    limit_conn all %d;" % LIMIT,
            self._locations(setup),
            "  }",
            "  server {",
            "    listen 127.0.0.1:%d;" % setup.admin_port,
            "    access_log off;",
            "    location /status { stub_status; }",
            "  }",
            "}",
        )
        return [self.binary, "-c", setup.write("nginx.conf", text), "-p", setup.folder]


class Nghttpx(Peer):
    name = "nghttpx"
    features = ("no metrics (it has none), frontend connection limit, access log to a file (one write a request), "
                "x-forwarded-for/-proto, no request id")

    def command(self, setup):
        params = ";proto=" + ("h2" if setup.upstream == "h2" else "http/1.1")
        if setup.upstream_tls:
            params += ";tls;sni=" + SERVER_NAME
        patterns = [";"] + [";/idle-%04d/" % n for n in range(1, setup.clusters)]
        words = [self.binary, "--conf=/dev/null", "--single-process", "-n1",
                 "--frontend=127.0.0.1,%d%s" % (setup.port, "" if setup.downstream_tls else ";no-tls")]
        words += ["--backend=127.0.0.1,%d%s%s" % (setup.upstream_port, pattern, params) for pattern in patterns]
        words += ["--worker-frontend-connections=%d" % LIMIT, "--backlog=4096",
                  "--rlimit-nofile=%d" % min(2 * LIMIT, descriptor_limit()),
                  "--backend-keep-alive-timeout=%ds" % IDLE_S, "--frontend-read-timeout=%ds" % IDLE_S,
                  "--frontend-http2-read-timeout=%ds" % IDLE_S, "--add-x-forwarded-for", "--no-ocsp",
                  "--frontend-http2-max-concurrent-streams=1000",
                  "--accesslog-file=" + (setup.path("access.log") if setup.log else "/dev/null"),
                  "--errorlog-file=" + setup.path("error.log"), "--pid-file=" + setup.path("pid"),
                  "--log-level=ERROR", "--tls-min-proto-version=TLSv1.3"]
        certificates = setup.certificates
        if setup.downstream_tls == "mutual":
            words += ["--verify-client", "--verify-client-cacert=" + certificates.ca]
        if setup.upstream_tls:
            words += ["--cacert=" + certificates.ca, "--tls13-client-ciphers=" + TLS13_CIPHER,
                      "--client-cert-file=" + certificates.certificate("client"),
                      "--client-private-key-file=" + certificates.key("client")]
        if setup.downstream_tls:
            words += [certificates.key("server"), certificates.certificate("server")]
        return words


class Relay(Peer):
    name = "relay"
    features = "nothing: the floor, moves bytes unread, one upstream connection per downstream one"

    def version_command(self):
        return []

    def command(self, setup):
        return [self.binary, setup.port, setup.upstream_port]


CLASSES = {peer.name: peer for peer in (Weft, Envoy, Haproxy, Nginx, Nghttpx, Relay)}


def find_binaries(built):
    """Paths of the proxies that are there: `built` maps the names of those that this tree builds."""
    found = {name: path for name, path in built.items() if path}
    for name in ("envoy", "haproxy", "nginx", "nghttpx"):
        path = shutil.which(name) or shutil.which(name, path=ELSEWHERE)
        if path:
            found[name] = path
    return found


def make_peers(names, binaries):
    """Peers by name. Raises BenchError for one that is not installed."""
    peers = {}
    for name in names:
        if name not in CLASSES:
            raise BenchError("no peer is called '%s'; there are %s" % (name, ", ".join(CLASSES)))
        if name not in binaries:
            raise BenchError("%s is not installed; tools/setup installs it (or leave it out with --peers)" % name)
        peers[name] = CLASSES[name](binaries)
    return peers
