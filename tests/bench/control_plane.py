"""`tools/bench control`: weft-control beside a go-control-plane server, under thousands of proxies that the load tool in
control/load plays, each with a connection of its own."""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass

from . import control_report, load, process
from .process import BenchError
from .rounds import Row

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PEERS = ("weft", "go-control-plane", "go-control-plane-shared")
FORMS = ("delta", "sotw")
PROXIES = (100, 1000, 3000, 5000)
CHANGES = ("endpoint", "route", "service", "storm", "reconnect")
LISTENING = re.compile(r"listening on ([^\s,]+)")
RSS_TOLERANCE_KIB = 256


@dataclass(frozen=True)
class Plan:
    """What one run of one server does."""

    services: int = 1000
    endpoint_changes: int = 20
    route_changes: int = 10
    new_services: int = 10
    storm_changes: int = 1000
    storm_seconds: float = 10

    def repetitions(self, change):
        return {"endpoint": self.endpoint_changes, "route": self.route_changes, "service": self.new_services}[change]


QUICK = Plan(endpoint_changes=10, route_changes=5, new_services=5, storm_changes=300, storm_seconds=3)


def say(text):
    print(text, file=sys.stderr, flush=True)


def parse_arguments(words):
    parser = argparse.ArgumentParser(
        prog="tools/bench control", description="Measures weft-control and go-control-plane servers side by side: "
        "1,000 services of ten endpoints, each proxy in the scope of twenty of them.")
    parser.add_argument("--proxies", default=",".join(map(str, PROXIES)), help="how many, comma-separated (default %(default)s)")
    parser.add_argument("--forms", default=",".join(FORMS), help="delta, sotw (default both)")
    parser.add_argument("--peers", default=",".join(PEERS), help="of: %(default)s")
    parser.add_argument("--rounds", type=int, default=1, help="interleaved rounds (default %(default)s); figures are medians")
    parser.add_argument("--quick", action="store_true", help="1,000 proxies, delta, a shorter storm: under a minute")
    parser.add_argument("--rows", default=",".join(CHANGES), help="of: %(default)s; the first sync is always measured")
    parser.add_argument("--tls", action="store_true", help="by TLS, and to weft-control with a join token, as people run it")
    parser.add_argument("--json", metavar="FILE", help="write every sample as JSON")
    parser.add_argument("--svg", metavar="FILE", help="write a plot")
    parser.add_argument("--control", metavar="FILE", help="measure this weft-control instead of building one")
    parser.add_argument("--control-arguments", default="", help="more words for weft-control's command line")
    parser.add_argument("--server-core", type=int, default=0, help="the core for the server (default 0)")
    parser.add_argument("--load-core", type=int, default=1, help="the core for the proxies (default 1)")
    parser.add_argument("--keep", action="store_true", help="keep data and logs, and say where")
    return parser.parse_args(words)


def listed(text, allowed, what):
    chosen = [word for word in text.split(",") if word]
    wrong = [word for word in chosen if word not in allowed]
    if wrong:
        raise BenchError("no %s is called %s; there are %s" % (what, wrong[0], ", ".join(allowed)))
    return chosen


def run_or_fail(words, folder, what):
    run = subprocess.run(words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if run.returncode != 0:
        raise BenchError("%s failed:\n%s" % (what, run.stdout[-4000:]))


def build(folder, control):
    """The load tool, the peer and weft-control, copied aside."""
    cache = os.path.join(os.environ.get("WEFT_CACHE", os.path.expanduser("~/.cache/weft")), "bin")
    os.environ["PATH"] += os.pathsep + cache
    say("building the load tool and the peer")
    run_or_fail(["go", "build", "-o", folder + os.sep, "./load", "./peer"], os.path.join(ROOT, "tests/bench/control"), "go build")
    if not control:
        say("building //control-plane:weft-control")
        run_or_fail(["bazel", "build", "--config=release", "//control-plane:weft-control"], ROOT, "the build")
        control = os.path.join(ROOT, "bazel-bin/control-plane/weft-control")
    shutil.copy(control, os.path.join(folder, "weft-control"))


class Load:
    """The load tool, told what to do line by line."""

    def __init__(self, folder, core, arguments):
        self._errors = open(os.path.join(folder, "load.errors"), "ab")
        words = process.pinned(core, [os.path.join(folder, "load"), *arguments])
        # Its memory is not what is measured, and collecting it would take the core from the proxies.
        self._child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True,
                                       env={**os.environ, "GOGC": "400", "GOMAXPROCS": "1"}, start_new_session=True)

    def do(self, what, **more):
        try:
            self._child.stdin.write(json.dumps({"do": what, **more}) + "\n")
            self._child.stdin.flush()
            line = self._child.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise BenchError("the load tool ended")
        return json.loads(line)

    def stop(self):
        self._child.stdin.close()
        try:
            self._child.wait(10)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._child.stdout.close()
        self._errors.close()


class Server:
    """One server, with a folder of its own, and the load tool connected to it."""

    def __init__(self, peer, folder, options, form, services, number):
        self.peer = peer
        self.folder = os.path.join(folder, "%s-%s-%d" % (peer, form, number))
        os.makedirs(self.folder)
        socket = os.path.join(self.folder, "control.sock")
        if peer == "weft":
            words = [os.path.join(folder, "weft-control"), "--data-dir", self.folder, "--xds-address", "127.0.0.1:0",
                     "--admin-address", "127.0.0.1:0", *([] if options.tls else ["--xds-insecure"]),
                     *options.control_arguments.split()]
        else:
            words = [os.path.join(folder, "peer"), "-socket", socket, "-services", services, "-tls=%s" % str(options.tls).lower(),
                     "-shared=%s" % str(peer.endswith("-shared")).lower()]
        self.process = process.Process(words, options.server_core, os.path.join(self.folder, "output"))
        self.load = None
        try:
            ready = "serves weftctl" if peer == "weft" else "listening on"
            process.wait_for(lambda: ready in self._output() and os.path.exists(socket), "%s starts" % peer, self.process)
            address = LISTENING.search(self._output()).group(1)
            arguments = ["-xds", address, "-delta=%s" % str(form == "delta").lower(), "-services", str(services),
                         "-tls=%s" % str(options.tls).lower(),
                         "-weft" if peer == "weft" else "-peer", socket]
            self.load = Load(folder, options.load_core, arguments)
        except BenchError:
            self.stop()
            raise

    def _output(self):
        return process.read_file(os.path.join(self.folder, "output"))

    def rss_kib(self):
        return load.settled(lambda: process.rss_kib([self.process.pid]), RSS_TOLERANCE_KIB)

    def measured(self, what, **more):
        """What the load tool found of a command, with the server's CPU time in milliseconds."""
        before = process.cpu_of([self.process.pid])
        found = self.load.do(what, **more)
        found["cpu_ms"] = process.cpu_of([self.process.pid]).since(before) / 1e6
        if not self.process.alive():
            raise BenchError("%s ended:\n%s" % (self.peer, self.process.tail()))
        return found

    def stop(self):
        if self.load is not None:
            self.load.stop()
        self.process.stop()


def add_sample(rows, scenario, peer, variant, found):
    """One run's figures to the row of its scenario. CPU and bytes are of one repetition."""
    row = rows.setdefault((scenario, variant, peer), Row(scenario, peer, variant))
    if found.get("error"):
        row.complain(found["error"], 1)
    elif found["samples"] != found["expected"]:
        row.complain("%d of %d arrived" % (found["samples"], found["expected"]), 1)
    share = 1 if scenario == "storm" else max(1, found["repetitions"])
    row.add(cpu_ms=found["cpu_ms"] / share, bytes=found["bytes"] / share, responses=found["responses"] / share,
            received_p50_ms=found["received"]["p50_ms"], received_p99_ms=found["received"]["p99_ms"],
            received_max_ms=found["received"]["max_ms"], acknowledged_p50_ms=found["acknowledged"]["p50_ms"],
            acknowledged_p99_ms=found["acknowledged"]["p99_ms"], commit_p99_ms=found["commit_p99_ms"])


def variant_of(options, form, proxies):
    return "%s, %d proxies%s" % (form, proxies, ", TLS" if options.tls else "")


def run_one(rows, peer, folder, options, plan, form, proxies, number):
    variant = variant_of(options, form, proxies)
    rows_wanted = listed(options.rows, CHANGES, "row")
    server = Server(peer, folder, options, form, plan.services, number)
    try:
        failed = server.load.do("setup").get("error")
        if failed:
            raise BenchError("%s: %s" % (peer, failed))
        before_kib = server.rss_kib()

        def scenario(name, what, **more):
            add_sample(rows, name, peer, variant, server.measured(what, **more))

        scenario("first sync", "connect", proxies=proxies)
        row = rows.setdefault(("memory", variant, peer), Row("memory", peer, variant))
        row.add(rss_per_proxy_kib=(server.rss_kib() - before_kib) / proxies, rss_before_kib=before_kib)
        for name in rows_wanted:
            if name == "storm":
                scenario(name, name, changes=plan.storm_changes, seconds=plan.storm_seconds)
            elif name == "reconnect":
                scenario(name, name)
            else:
                scenario(name, name, repetitions=plan.repetitions(name))
            if name == "service":
                server.load.do("forget", repetitions=plan.new_services)
        row.add(rss_after_kib=server.rss_kib(), rss_after_per_proxy_kib=(server.rss_kib() - before_kib) / proxies)
    finally:
        server.stop()


def run(options, folder):
    plan = QUICK if options.quick else Plan()
    forms = ["delta"] if options.quick else listed(options.forms, FORMS, "form")
    peers = listed(options.peers, PEERS, "peer")
    listed(options.rows, CHANGES, "row")
    counts = [1000] if options.quick else [int(word) for word in options.proxies.split(",") if word]
    if process.descriptor_limit() < max(counts) + 100:
        raise BenchError("%d proxies need as many descriptors; the limit is %d" % (max(counts), process.descriptor_limit()))
    build(folder, options.control)
    rows = {}
    number = 0
    for form in forms:
        for proxies in counts:
            for turn in range(options.rounds):
                # The order turns, so that neither always runs on what the other has warmed.
                for peer in peers if turn % 2 == 0 else reversed(peers):
                    number += 1
                    say("%s, %d proxies, round %d of %d: %s" % (form, proxies, turn + 1, options.rounds, peer))
                    try:
                        run_one(rows, peer, folder, options, plan, form, proxies, number)
                    except BenchError as error:
                        variant = variant_of(options, form, proxies)
                        rows.setdefault(("run", variant, peer), Row("run", peer, variant)).complain(str(error), 1)
                        say(str(error))
            variant = variant_of(options, form, proxies)
            print(control_report.table(variant, list(rows.values())) + "\n", flush=True)
    found = list(rows.values())
    print(control_report.verdict_table(found))
    if options.json:
        with open(options.json, "w") as file:
            file.write(control_report.to_json(found, plan))
    if options.svg:
        with open(options.svg, "w") as file:
            file.write(control_report.to_svg(found))
    return 1 if any(row.complaints for row in found) else 0


def main(words):
    """Returns the exit code: 0 when all arrived everywhere, 1 when something did not, 2 when the bench could not run."""
    options = parse_arguments(words)
    folder = tempfile.mkdtemp(prefix="weft-bench-control-")
    process.raise_descriptor_limit()
    try:
        return run(options, folder)
    except BenchError as error:
        say("tools/bench control: %s" % error)
        return 2
    except KeyboardInterrupt:
        return 130
    finally:
        if options.keep:
            say("kept: " + folder)
        else:
            shutil.rmtree(folder, ignore_errors=True)
