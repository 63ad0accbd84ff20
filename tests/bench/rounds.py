"""Runs a scenario: starts every peer's proxies, then measures them in interleaved rounds and keeps each sample."""

import os
import time
from dataclasses import dataclass, field

from . import load, process
from .process import BenchError, Process
from .setup import Setup, route_prefix

POLICIES = 100
CLUSTERS = 1_000
ROUTES = 1_000


@dataclass(frozen=True)
class Options:
    """How thoroughly to measure. `scale` multiplies the requests of a closed-loop run."""

    rounds: int = 5
    scale: float = 0.6
    rate_seconds: float = 2.0
    churn_seconds: int = 1
    proxy_core: int = 0
    load_core: int = 1
    log: bool = True


@dataclass
class Row:
    """What was measured of one peer in one variant of a scenario: the samples of each figure, one per round."""

    scenario: str
    peer: str
    variant: str = ""
    samples: dict = field(default_factory=dict)
    failed: int = 0
    complaints: list = field(default_factory=list)

    def add(self, **figures):
        for name, value in figures.items():
            self.samples.setdefault(name, []).append(value)

    def complain(self, text, failed=0):
        self.failed += failed
        first = text.strip().splitlines()[0][:160] if text.strip() else "failed"
        if first not in self.complaints:
            self.complaints.append(first)

    def median(self, name):
        """The median of a figure's samples, None when it was not measured."""
        return load.median(self.samples[name]) if self.samples.get(name) else None


class Instance:
    """A peer's running proxies (two in the mesh scenario), and the port that clients use."""

    def __init__(self, peer, setups, options):
        self.peer = peer
        self.port = setups[-1].port
        self.processes = []
        try:
            for setup in setups:  # the one next to the application first
                started = Process(peer.command(setup), options.proxy_core, setup.path("output"))
                self.processes.append(started)
                process.wait_for(lambda port=setup.port: process.listens(port), "%s starts" % peer.name, started)
        except BenchError:
            self.stop()
            raise

    @property
    def pids(self):
        return [one.pid for one in self.processes]

    def check_alive(self):
        for one in self.processes:
            if not one.alive():
                raise BenchError("%s ended during the run:\n%s" % (self.peer.name, one.tail()))

    def stop(self):
        for one in reversed(self.processes):
            one.stop()


class Bench:
    """Everything that scenarios share: folder, backend, certificates, peers. stop() ends all that was started."""

    def __init__(self, folder, peers, backend_binary, certificates, options, say):
        self.folder = folder
        self.peers = peers
        self.certificates = certificates
        self.options = options
        self.say = say
        self._count = 0
        self._log_path = os.path.join("/dev/shm" if os.path.isdir("/dev/shm") else folder,
                                      "weft-bench-%d.log" % os.getpid())
        self.backend_port = process.free_port()
        self._backend = Process([backend_binary, self.backend_port], options.load_core,
                                os.path.join(folder, "backend.output"))
        process.wait_for(lambda: process.listens(self.backend_port), "the backend starts", self._backend)

    def stop(self):
        self._backend.stop()
        if os.path.exists(self._log_path):
            os.unlink(self._log_path)

    def run(self, scenario):
        """All rows of a scenario."""
        runner = {"load": self._run_load, "churn": self._run_load, "policies": self._run_policies, "routes": self._run_routes,
                  "clusters": self._run_clusters, "idle": self._run_idle, "conns": self._run_connections}
        return runner[scenario.kind](scenario, [self.peers[name] for name in self.peers if name in scenario.peers])

    # - Starting

    def _setup(self, name, **fields):
        self._count += 1
        fields.setdefault("upstream_port", self.backend_port)
        return Setup(folder=os.path.join(self.folder, "%03d-%s" % (self._count, name)),
                     certificates=self.certificates, log=self.options.log, **fields)

    def _start(self, scenario, peer, **fields):
        """Starts a peer for a scenario and waits until it answers as it must."""
        if scenario.mesh:
            inner = self._setup(peer.name, downstream_tls="mutual", **fields)
            outer = self._setup(peer.name, upstream="h2", upstream_tls=True, upstream_port=inner.port, **fields)
            setups = [inner, outer]
        else:
            setups = [self._setup(peer.name, downstream_tls="server" if scenario.tls else "",
                                  upstream=scenario.upstream, **fields)]
        instance = Instance(peer, setups, self.options)
        try:
            self._wait_until_it_answers(scenario, instance)
        except BenchError:
            instance.stop()
            raise
        return instance

    def _wait_until_it_answers(self, scenario, instance):
        path = scenario.path if scenario.kind != "routes" else route_prefix(0)
        last = []

        def answers():
            last[:] = [self._h2load(scenario, instance, [path], 1, 1, 1)]
            return not last[0].failed

        try:
            process.wait_for(answers, "%s answers" % instance.peer.name, instance.processes[-1], 10)
        except BenchError as error:
            raise BenchError("%s (%s)" % (error, last[0].complaint if last else "")) from error

    def _start_all(self, scenario, peers, rows):
        """Peer name -> instance, for those that start; the rows of the others say why not."""
        instances = {}
        for peer in peers:
            try:
                instances[peer.name] = self._start(scenario, peer)
            except BenchError as error:
                rows[peer.name].complain(str(error), 1)
                self.say("%s: %s: %s" % (scenario.name, peer.name, error))
        return instances

    # - Measuring

    def _h2load(self, scenario, instance, paths, clients, streams, requests, rate_per_s=0):
        base = "%s://127.0.0.1:%d" % ("https" if scenario.tls else "http", instance.port)
        return load.h2load([base + path for path in paths], self.options.load_core, self._log_path,
                           scenario.downstream, clients, streams, requests, scenario.body_bytes, rate_per_s)

    def _measure(self, row, instance, run):
        """Runs a load. Returns the client's result, and what a request of it cost the proxies, in microseconds."""
        core = self.options.proxy_core
        busy, wall, cpu = process.core_busy_ns(core), time.monotonic_ns(), process.cpu_of(instance.pids)
        result = run()
        used = process.cpu_of(instance.pids).since(cpu)
        busy, wall = process.core_busy_ns(core) - busy, time.monotonic_ns() - wall
        instance.check_alive()
        if result.failed:
            row.complain(result.complaint, result.failed)
        row.add(others_share=max(0.0, (busy - used) / wall))
        return result, used / 1e3 / max(1, result.requests)

    def _closed_loop(self, row, instance, run):
        result, cpu_us = self._measure(row, instance, run)
        row.add(cpu_us=cpu_us, requests_per_s=result.requests / result.seconds, p50_us=result.p50_us,
                p99_us=result.p99_us, requests=result.requests)

    def _h2load_closed_loop(self, scenario, row, instance, paths):
        requests = int(scenario.requests * self.options.scale)
        self._closed_loop(row, instance, lambda: self._h2load(scenario, instance, paths, scenario.clients,
                                                              scenario.streams, requests))

    def _churn(self, scenario, row, instance):
        url = "http://127.0.0.1:%d%s" % (instance.port, scenario.path)
        self._closed_loop(row, instance, lambda: load.wrk_churn(url, self.options.load_core, scenario.clients,
                                                                self.options.churn_seconds))

    def _fixed_rate(self, scenario, row, instance):
        requests = int(scenario.rate_per_s * self.options.rate_seconds)
        result, cpu_us = self._measure(row, instance, lambda: self._h2load(
            scenario, instance, [scenario.path], scenario.clients, scenario.streams, requests, scenario.rate_per_s))
        row.add(rate_cpu_us=cpu_us, rate_p50_us=result.p50_us, rate_p99_us=result.p99_us,
                rate_requests_per_s=result.requests / result.seconds)

    def _warm_up(self, scenario, instance, paths):
        if scenario.kind == "churn":
            load.wrk_churn("http://127.0.0.1:%d%s" % (instance.port, scenario.path), self.options.load_core,
                           scenario.clients, 1)
        else:
            self._h2load(scenario, instance, paths, scenario.clients, scenario.streams, scenario.requests // 20)

    def _each(self, scenario, rows, instances, measure):
        """Calls `measure(row, instance)` for every instance still in the race; one that fails drops out."""
        for name in list(instances):
            try:
                measure(rows[name], instances[name])
            except BenchError as error:
                rows[name].complain(str(error), 1)
                self.say("%s: %s: %s" % (scenario.name, name, error))
                instances.pop(name).stop()

    # - Kinds of scenario

    def _run_load(self, scenario, peers):
        rows = {peer.name: Row(scenario.name, peer.name) for peer in peers}
        instances = self._start_all(scenario, peers, rows)

        def one_round(row, instance):
            if scenario.kind == "churn":
                self._churn(scenario, row, instance)
            else:
                self._h2load_closed_loop(scenario, row, instance, [scenario.path])
                self._fixed_rate(scenario, row, instance)

        try:
            self._each(scenario, rows, instances, lambda row, instance: row.add(rss_idle_kib=self._rss(instance)))
            self._each(scenario, rows, instances,
                       lambda row, instance: self._warm_up(scenario, instance, [scenario.path]))
            for number in range(self.options.rounds):
                self.say("%s: round %d of %d" % (scenario.name, number + 1, self.options.rounds))
                self._each(scenario, rows, instances, one_round)
            self._each(scenario, rows, instances, lambda row, instance: row.add(rss_loaded_kib=self._rss(instance)))
        finally:
            for instance in instances.values():
                instance.stop()
        return list(rows.values())

    def _run_policies(self, scenario, peers):
        # Others have nothing that does the same; their bare hop is there to compare with.
        variants = {(peer, title): policies for title, policies in (("bare", 0), ("measured, %d policies" % POLICIES, POLICIES))
                    for peer in peers if peer.name == "weft" or not policies}
        rows = {(peer.name, title): Row(scenario.name, peer.name, title) for peer, title in variants}
        instances = {}

        def one_round(row, instance):
            self._h2load_closed_loop(scenario, row, instance, [scenario.path])

        try:
            for (peer, title), policies in variants.items():
                instances[peer.name, title] = self._start(scenario, peer, policies=policies)
                self._warm_up(scenario, instances[peer.name, title], [scenario.path])
            for number in range(self.options.rounds):
                self.say("%s: round %d of %d" % (scenario.name, number + 1, self.options.rounds))
                self._each(scenario, rows, instances, one_round)
        finally:
            for instance in instances.values():
                instance.stop()
        return list(rows.values())

    def _run_routes(self, scenario, peers):
        spread = [route_prefix(number) for number in range(0, ROUTES, 10)]
        variants = (("one route", 1, [route_prefix(0)]), ("the last of 1,000", ROUTES, [route_prefix(ROUTES - 1)]),
                    ("100 spread over 1,000", ROUTES, spread))
        rows = {(peer.name, title): Row(scenario.name, peer.name, title) for title, _, _ in variants for peer in peers}
        instances = {}
        try:
            for peer in peers:
                for title, count, _ in variants[:2]:
                    try:
                        instances[peer.name, count] = self._start(scenario, peer, routes=count)
                    except BenchError as error:
                        rows[peer.name, title].complain(str(error), 1)
                        self.say("%s: %s: %s" % (scenario.name, peer.name, error))
            for number in range(self.options.rounds):
                self.say("%s: round %d of %d" % (scenario.name, number + 1, self.options.rounds))
                for peer in peers:
                    for title, count, paths in variants:
                        instance = instances.get((peer.name, count))
                        if instance is None:
                            continue
                        if number == 0:
                            self._warm_up(scenario, instance, paths)
                        self._h2load_closed_loop(scenario, rows[peer.name, title], instance, paths)
            for (name, count), instance in instances.items():
                for title, of, _ in variants:
                    if of == count:
                        rows[name, title].add(rss_loaded_kib=self._rss(instance))
        finally:
            for instance in instances.values():
                instance.stop()
        return list(rows.values())

    def _run_clusters(self, scenario, peers):
        rows = {peer.name: Row(scenario.name, peer.name) for peer in peers}
        for _ in range(min(3, self.options.rounds)):
            for peer in peers:
                self.say("%s: %s" % (scenario.name, peer.name))
                rss = []
                for count in (1, CLUSTERS):
                    try:
                        instance = self._start(scenario, peer, clusters=count)
                    except BenchError as error:
                        rows[peer.name].complain(str(error), 1)
                        break
                    rss.append(self._rss(instance))
                    instance.stop()
                if len(rss) == 2:
                    rows[peer.name].add(rss_idle_kib=rss[0], rss_clusters_kib=rss[1],
                                        bytes_per_cluster=(rss[1] - rss[0]) * 1024 / (CLUSTERS - 1))
        return list(rows.values())

    def _run_idle(self, scenario, peers):
        rows = {peer.name: Row(scenario.name, peer.name) for peer in peers}
        for _ in range(min(3, self.options.rounds)):
            for peer in peers:
                self.say("%s: %s" % (scenario.name, peer.name))
                try:
                    instance = Instance(peer, [self._setup(peer.name)], self.options)
                except BenchError as error:
                    rows[peer.name].complain(str(error), 1)
                    continue
                try:
                    rows[peer.name].add(rss_idle_kib=self._rss(instance), pss_idle_kib=process.pss_kib(instance.pids))
                    result = self._h2load(scenario, instance, [scenario.path], 1, 1, 100)
                    if result.failed:
                        rows[peer.name].complain(result.complaint, result.failed)
                    rows[peer.name].add(rss_loaded_kib=self._rss(instance))
                finally:
                    instance.stop()
        return list(rows.values())

    def _run_connections(self, scenario, peers):
        rows = {peer.name: Row(scenario.name, peer.name) for peer in peers}
        instances = self._start_all(scenario, peers, rows)

        def measure(row, instance):
            self.say("%s: %s" % (scenario.name, instance.peer.name))
            before = self._rss(instance)
            crowd = load.IdleConnections(instance.port, scenario.clients)
            try:
                opened = self._rss(instance)
                failed = crowd.request_on_each(scenario.path, scenario.body_bytes)
                if failed:
                    row.complain("%d of %d connections were not served" % (failed, scenario.clients), failed)
                served = self._rss(instance)
            finally:
                crowd.close()
            row.add(rss_idle_kib=before, rss_loaded_kib=served,
                    bytes_per_new_connection=(opened - before) * 1024 / scenario.clients,
                    bytes_per_used_connection=(served - before) * 1024 / scenario.clients)
            instance.check_alive()

        try:
            self._each(scenario, rows, instances, measure)
        finally:
            for instance in instances.values():
                instance.stop()
        return list(rows.values())

    def _rss(self, instance):
        return load.settled(lambda: process.rss_kib(instance.pids), 64)
