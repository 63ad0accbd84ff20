"""A mesh of three services, each with a sidecar: web calls orders, orders calls prices, and a canary of prices takes over
under load. Everything is a real process on loopback."""

import contextlib
import os
import pathlib
import re
import sys
import tempfile
import time
import urllib.request

from load import Callers
from ports import free_port
from stage import SPLIT, Process, Tour, programs, stay

SERVICE_PROGRAM = pathlib.Path(__file__).resolve().parent / "service.py"
NAMESPACE = "shop"
# The service, whom it calls. prices-v1 and prices-v2 stand behind prices.
WORKLOADS = (("web", "orders"), ("orders", "prices"), ("prices-v1", None), ("prices-v2", None))
WAIT_LIMIT_S = 20
CALLERS = 4
WATCH_S = 4

SERVICE = """\
apiVersion: v1
kind: Service
metadata: {{ name: {name}, namespace: shop }}
spec: {{ ports: [{{ name: http, port: 80, appProtocol: http }}] }}
"""


class Workload:
    """A service and the sidecar next to it."""

    def __init__(self, name, calls, proxy_binary, control, token, folder):
        self.name, self.calls = name, calls
        self.app_port, self.inbound_port, self.outbound_port = free_port(), free_port(), free_port()
        command = [sys.executable, "-B", str(SERVICE_PROGRAM), name, f"127.0.0.1:{self.app_port}"]
        self._app = Process(command + ([calls, str(self.outbound_port)] if calls else []), [rf"({name}) listening on"])
        token_file = folder / f"{name}.token"
        token_file.write_text(token)
        try:
            self._sidecar = Process(
                [proxy_binary, "sidecar", "--control", control, "--namespace", NAMESPACE, "--service", name, "--app-port", str(self.app_port),
                 "--inbound-port", str(self.inbound_port), "--outbound-port", str(self.outbound_port), "--admin-address", "127.0.0.1:0",
                 "--token-file", str(token_file), "--health-http", "/healthz", "--concurrency", "1"], [r"admin listening on (\S+)"])
        except SystemExit:
            self._app.stop()
            raise
        (self.admin,) = self._sidecar.found

    def sent(self, target):
        """How many requests its sidecar has sent to a service."""
        with urllib.request.urlopen(f"http://{self.admin}/stats", timeout=5) as answer:
            match = re.search(rf"^cluster\.{NAMESPACE}/{target}:80\.upstream_rq_total: (\d+)$", answer.read().decode(), re.M)
        return int(match.group(1)) if match else 0

    def stop(self):
        self._sidecar.stop()
        self._app.stop()


def hops(workloads):
    """How many requests have gone over each hop so far."""
    web, orders = workloads["web"], workloads["orders"]
    return {"web > orders": web.sent("orders"), "orders > prices-v1": orders.sent("prices-v1"), "orders > prices-v2": orders.sent("prices-v2")}


def watch(workloads):
    """Prints for some seconds how many requests a second go over each hop."""
    before, then = hops(workloads), time.monotonic()
    for _ in range(WATCH_S):
        time.sleep(1)
        now, at = hops(workloads), time.monotonic()
        print("  " + "   ".join(f"{hop} {(now[hop] - before[hop]) / (at - then):6.0f}/s" for hop in now), flush=True)
        before, then = now, at
    return before


def wait_for_answer(url):
    deadline = time.monotonic() + WAIT_LIMIT_S
    while True:
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                return answer.read()
        except OSError:
            if time.monotonic() > deadline:
                raise SystemExit(f"{url} did not answer within {WAIT_LIMIT_S} s") from None
            time.sleep(0.1)


def shift(tour, folder, workloads, load):
    """The canary: each step of the split applied and waited for, with the rates of the hops while it holds."""
    for v1, v2 in ((90, 10), (50, 50), (0, 100)):
        path = folder / "split.yaml"
        path.write_text(SPLIT.format(v1=v1, v2=v2))
        tour.step(f"{v2} of 100 requests for prices go to v2.", f"weftctl apply -f {path} --wait", [r"(?i)applied"])
        watch(workloads)
    tour.say("While it shifted, and ever since the start:")
    load.stop()
    tour.judge(load.result)


def run(options):
    proxy, control, weftctl = programs(["WEFT_PROXY", "WEFT_CONTROL_BINARY", "WEFTCTL_BINARY"])
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="weft-demo-")))
        data = folder / "control"
        server = Process([control, "--data-dir", str(data), "--xds-address", "127.0.0.1:0", "--admin-address", "127.0.0.1:0"],
                         [r"xds listening on ([^,\s]+)", r"(serves weftctl)"])
        stack.callback(server.stop)
        # `weftctl` as a person would have it on the path.
        (folder / "weftctl").symlink_to(os.path.abspath(weftctl))
        tour = Tour({"PATH": f"{folder}:{os.environ['PATH']}", "WEFT_CONTROL": str(data / "control.sock")})
        names = [name for name, _ in WORKLOADS] + ["prices"]
        mesh = folder / "mesh.yaml"
        mesh.write_text("---\n".join([SERVICE.format(name=name) for name in names] + [SPLIT.format(v1=100, v2=0)]))
        tour.step("The control plane runs. It is told of the services.", f"weftctl apply -f {mesh}", ["prices"])
        token = tour.step("A sidecar joins with a token.", f"weftctl token create --namespace {NAMESPACE}", [r"\S+"]).strip().splitlines()[-1]
        tour.say("Each service is started with a sidecar beside it; neither has a configuration file.")
        workloads = {}
        for name, calls in WORKLOADS:
            workloads[name] = Workload(name, calls, proxy, server.found[0], token, folder)
            stack.callback(workloads[name].stop)
        url = f"http://127.0.0.1:{workloads['web'].inbound_port}/"
        wait_for_answer(url)
        tour.step("A request goes from service to service, each hop through two sidecars.", f"curl -s {url}", ["^web > orders > prices-v1$"])
        tour.step("Who is connected, and whether it runs what it should:", "weftctl proxy-status", ["prices-v2"])
        load = Callers(url, CALLERS)
        stack.callback(load.stop)
        shift(tour, folder, workloads, load)
        tour.step("Why a request goes where it goes:", f"weftctl explain --from {NAMESPACE}/orders http://prices/", ["prices-v2"])
        stay(options, f"Try it: curl {url} , weftctl --socket {data}/control.sock get all", server)
        return tour.failed
