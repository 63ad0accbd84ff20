"""A mesh of pods: network namespaces with ordinary services in them, and a sidecar next to each to which the kernel brings all
connections. web (Python) calls orders (nginx), orders calls prices (Python, two versions); there are a gRPC service and Redis.
None of them knows of the mesh. Needs root; without it see mesh_tour.
"""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import types

from namespaces import Network
from stage import SPLIT, Process, Tour, programs, stay
from wire import Wire

FOLDER = pathlib.Path(__file__).resolve().parent
# Of tools/setup: it has gRPC.
PYTHON = pathlib.Path(os.environ.get("WEFT_CACHE", pathlib.Path.home() / ".cache/weft")) / "venv/bin/python"
NAMESPACE = "shop"
XDS_PORT = 15012
WAIT_LIMIT_S = 30
CALLERS = 4
WATCH_S = 4
CERTIFICATE_TTL = "30s"
STOP_LIMIT_S = 20
HTTP_HEALTH = ("--health-http", "/healthz")
SECRET = "4111-1111-1111-1111"
# The service, its port, what its port speaks. As the platform does, each gets an address and a name (in /etc/hosts here).
SERVICES = (("web", 80, "http"), ("orders", 80, "http"), ("prices", 80, "http"), ("prices-v1", 80, "http"), ("prices-v2", 80, "http"),
            ("greeter", 9000, "grpc"), ("cache", 6379, "tcp"))
NGINX = """\
daemon off; worker_processes 1; error_log stderr; pid {folder}/nginx.pid;
events {{ }}
http {{
  access_log off;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{
    listen 8080;
    location = /healthz {{ return 204; }}
    location / {{ proxy_pass http://prices/; proxy_http_version 1.1; proxy_set_header Connection ""; }}
  }}
}}
"""
SERVICE = """\
apiVersion: v1
kind: Service
metadata: {{ name: {name}, namespace: shop }}
spec: {{ clusterIP: {address}, ports: [{{ name: main, port: {port}, targetPort: {target}, appProtocol: {protocol} }}] }}
"""
STRICT = """\
apiVersion: weft.mesh/v1
kind: PeerAuthentication
metadata: { name: mesh, namespace: weft-system }
spec: { mtls: { mode: STRICT } }
"""
ONLY_ORDERS = """\
apiVersion: weft.mesh/v1
kind: AuthorizationPolicy
metadata: { name: only-orders, namespace: shop }
spec:
  targetRefs: [{ group: "", kind: Service, name: prices-v1 }, { group: "", kind: Service, name: prices-v2 }]
  action: DENY
  rules:
  - from: [{ source: { notPrincipals: [cluster.local/ns/shop/sa/orders] } }]
"""


class Load:
    """load.py in a pod."""

    def __init__(self, pod, url):
        self._process = pod.space.popen(str(PYTHON), "-B", FOLDER / "load.py", url, CALLERS, stdout=subprocess.PIPE, text=True)
        self._process.stdout.readline()
        self.result = None

    def stop(self):
        if self.result is None:
            self._process.send_signal(signal.SIGTERM)
            self.result = json.loads(self._process.communicate(timeout=WAIT_LIMIT_S)[0])


def address(service):
    return f"10.96.0.{1 + [name for name, *_ in SERVICES].index(service)}"


def wait_for(pod, *command):
    """Until a program in a pod ends well."""
    deadline = time.monotonic() + WAIT_LIMIT_S
    while (done := pod.space.run(*command, check=False)).returncode:
        if time.monotonic() > deadline:
            raise SystemExit(f"{' '.join(command)} in the pod of {pod.name} does not end well within {WAIT_LIMIT_S} s:\n{done.stdout}{done.stderr}")
        time.sleep(0.2)


class Mesh:
    """The control plane and the pods, until the stack that it was given ends."""

    def __init__(self, stack, folder, binaries):
        proxy, control, weftctl = map(os.path.abspath, binaries)
        self._stack, self._folder = stack, folder
        # The proxy runs as a user of its own, who may not read everywhere.
        folder.chmod(0o755)
        self.proxy = shutil.copy(proxy, folder / "weft-proxy")
        self.network = stack.enter_context(Network())
        self._control_pod = self.network.pod("control")
        data = folder / "control"
        self.server = Process(
            self._control_pod.command(control, "--data-dir", data, "--xds-address", f"{self._control_pod.ipv4}:{XDS_PORT}", "--admin-address",
                                      "127.0.0.1:0", "--certificate-ttl", CERTIFICATE_TTL),
            [r"xds listening on ([^,\s]+)", r"(serves weftctl)"])
        stack.callback(self.server.stop)
        # `weftctl` as a person would have it on the path.
        (folder / "weftctl").symlink_to(weftctl)
        self.socket = data / "control.sock"
        self.environment = {"PATH": f"{folder}:{os.environ['PATH']}", "WEFT_CONTROL": str(self.socket)}
        self.pods = {}

    def add(self, token, name, service, port, *command, arguments=("--health-tcp",)):
        """A program in a pod with a sidecar; its service may be another's, too."""
        space = self.network.pod(name)
        space.hosts.write_text("127.0.0.1 localhost\n" + "".join(f"{address(each)} {each}\n" for each, *_ in SERVICES))
        space.run(self.proxy, "intercept")
        sidecar = [self.proxy, "run", "--control", f"{self._control_pod.ipv4}:{XDS_PORT}", "--namespace", NAMESPACE, "--service", service,
                   "--app-port", port, "--inbound-address", space.ipv4, "--interception", "--concurrency", 1, *arguments, "--", *command]
        log = open(self._folder / f"{name}.log", "w")
        self._stack.callback(log.close)
        process = space.popen(*sidecar, stdout=log, stderr=subprocess.STDOUT, env={**os.environ, "WEFT_TOKEN": token})
        self._stack.callback(self._stop, process)
        self.pods[name] = types.SimpleNamespace(space=space, name=name, process=process)

    @staticmethod
    def _stop(process):
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()

    def add_all(self, token):
        python = [str(PYTHON), "-B"]
        service, grpc_service = FOLDER / "service.py", FOLDER / "grpc_service.py"
        nginx = self._folder / "nginx"
        nginx.mkdir()
        # Its workers are ordinary users.
        nginx.chmod(0o777)
        (nginx / "nginx.conf").write_text(NGINX.format(folder=nginx))
        for version in ("prices-v1", "prices-v2"):
            self.add(token, version, version, 8080, *python, service, version, "0.0.0.0:8080", arguments=(*HTTP_HEALTH, "--access-log", "/dev/stdout"))
        self.add(token, "greeter", "greeter", 9000, *python, grpc_service, "serve", "0.0.0.0:9000")
        self.add(token, "cache", "cache", 6379, "redis-server", "--bind", "0.0.0.0", "--protected-mode", "no", "--save", "", "--port", 6379)
        self.add(token, "web", "web", 8080, *python, service, "web", "0.0.0.0:8080", "orders", arguments=HTTP_HEALTH)
        # nginx looks names up when it starts.
        self.add(token, "orders", "orders", 8080, "nginx", "-c", nginx / "nginx.conf", arguments=HTTP_HEALTH)

    def run_in(self, pod):
        """What to put before a command for it to run in a pod."""
        return " ".join(self.pods[pod].space.command())

    def count(self, pod, pattern):
        """The sum of the metrics of a pod's sidecar whose names match."""
        stats = self.pods[pod].space.run("curl", "-s", "http://127.0.0.1:15000/stats").stdout
        return sum(int(value) for value in re.findall(rf"^(?:{pattern}): (\d+)$", stats, re.M))


def show_the_wire(tour, mesh):
    """The same requests with sidecars, and from a pod without one."""
    tour.say("What can be read on the wire between the pods, while a card number goes to the cache, and calls go from hop to hop:")
    with Wire(mesh.network.switch, SECRET.encode(), b"GET / HTTP/1.1") as wire:
        mesh.pods["web"].space.run("redis-cli", "-h", "cache", "set", "card", SECRET)
        for _ in range(10):
            mesh.pods["web"].space.run("curl", "-s", "http://orders/")
    seen = {word.decode(): count for word, count in wire.seen.items()}
    print(f"  {wire.packets} packets, {wire.tls} with TLS records; that could be read: {seen}")
    tour.failed += any(seen.values()) or wire.tls == 0
    outside = mesh.network.pod("outside")
    with Wire(mesh.network.switch, SECRET.encode()) as wire:
        outside.run("redis-cli", "-h", mesh.pods["cache"].space.ipv4, "set", "card", SECRET)
    print(f"  and from a pod without a sidecar, as mutual TLS is not demanded yet: {wire.seen[SECRET.encode()]} packets with the number")
    tour.failed += wire.seen[SECRET.encode()] == 0
    return outside


def rotate(tour, mesh, load):
    tour.say(f"Certificates live {CERTIFICATE_TTL} here. Each sidecar renews its own by itself, under load:")
    deadline = time.monotonic() + WAIT_LIMIT_S + 30
    while (renewals := {name: mesh.count(name, r"identity\.certificates_issued") for name in mesh.pods}) and min(renewals.values()) < 3:
        if time.monotonic() > deadline:
            break
        time.sleep(1)
    print(f"  certificates so far: {renewals}")
    tour.failed += min(renewals.values()) < 3
    load.stop()
    tour.say("While the canary shifted and certificates were renewed:")
    tour.judge(load.result)


def shift(tour, folder):
    for v1, v2 in ((90, 10), (50, 50), (0, 100)):
        path = folder / "split.yaml"
        path.write_text(SPLIT.format(v1=v1, v2=v2))
        tour.step(f"{v2} of 100 requests for prices go to v2.", f"weftctl apply -f {path} --wait", [r"(?i)applied"])
        time.sleep(WATCH_S)
        tour.step("Every hop, as its two ends measure it:", f"weftctl top --once -n {NAMESPACE}", ["prices-v2" if v2 > 10 else "prices-v1"])


def run(options):
    binaries = programs(["WEFT_PROXY", "WEFT_CONTROL_BINARY", "WEFTCTL_BINARY"])
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="weft-demo-")))
        mesh = Mesh(stack, folder, binaries)
        tour = Tour(mesh.environment)
        objects = folder / "mesh.yaml"
        objects.write_text("---\n".join([SERVICE.format(name=name, address=address(name), port=port, target=8080 if port == 80 else port,
                                                        protocol=protocol)
                                         for name, port, protocol in SERVICES] + [SPLIT.format(v1=100, v2=0)]))
        tour.step("The control plane runs in a pod of its own. It is told of the services.", f"weftctl apply -f {objects}", ["prices"])
        token = tour.step("A workload joins with a token.", f"weftctl token create --namespace {NAMESPACE}", [r"\S+"]).strip().splitlines()[-1]
        tour.say("Each program is started in a pod, with rules of the kernel and a sidecar; none of them is told of the mesh.")
        mesh.add_all(token)
        web = mesh.pods["web"]
        wait_for(web, "curl", "-sf", "--max-time", "2", "http://orders/")
        wait_for(web, "redis-cli", "-h", "cache", "ping")
        wait_for(web, str(PYTHON), "-B", str(FOLDER / "grpc_service.py"), "call", "greeter:9000", "nobody")
        tour.step("They are up.", f"weftctl get workloads -n {NAMESPACE}", [rf"{name}.*ready" for name in mesh.pods])
        in_web = mesh.run_in("web")
        tour.step("HTTP, from Python to nginx to Python:", f"{in_web} curl -s http://web/", ["^web > prices-v1$"])
        tour.step("gRPC:", f"{in_web} {str(PYTHON)} {FOLDER}/grpc_service.py call greeter:9000 Weft", ["^hello, Weft$"])
        tour.step("Redis, of whose protocol the mesh knows nothing:", f"{in_web} redis-cli -h cache incr visits", ["1"])
        outside = show_the_wire(tour, mesh)
        strict = folder / "strict.yaml"
        strict.write_text(STRICT)
        tour.step("From now on nobody comes in without a certificate of the mesh.", f"weftctl apply -f {strict} --wait", [r"(?i)applied"])
        tour.step("The pod without a sidecar:", " ".join(outside.command()) + f" redis-cli -h {mesh.pods['cache'].space.ipv4} get card; echo ended with $?",
                  ["ended with [1-9]"])
        only = folder / "only-orders.yaml"
        only.write_text(ONLY_ORDERS)
        tour.step("Only orders may call prices.", f"weftctl apply -f {only} --wait", [r"(?i)applied"])
        tour.step("web does, and is told no; orders still may:",
                  f"{in_web} curl -s -o /dev/null -w '%{{http_code}}\\n' http://prices/; {in_web} curl -s http://orders/", ["^403$", "^prices-v1$"])
        log = folder / "prices-v1.log"
        tour.step("Why, as the sidecar of prices-v1 noted it:", f"timeout {WAIT_LIMIT_S} sh -c 'until grep denied {log}; do sleep 0.1; done'",
                  [r"403 .*AuthorizationPolicy/shop/only-orders/0.*spiffe://cluster\.local/ns/shop/sa/web"])
        load = Load(web, "http://orders/")
        stack.callback(load.stop)
        shift(tour, folder)
        rotate(tour, mesh, load)
        tour.step("Who is connected, and whether it runs what it should:", "weftctl proxy-status", ["prices-v2"])
        tour.step("The graph of services, as measured:", f"weftctl graph -n {NAMESPACE}", ["orders"])
        stay(options, f"Try it: weftctl --socket {mesh.socket} top ; {in_web} curl http://orders/", mesh.server)
        return tour.failed
