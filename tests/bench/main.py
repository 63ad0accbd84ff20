"""The command line of tools/bench: builds what is measured, runs the scenarios, reports."""

import argparse
import dataclasses
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time

from . import control_plane, instructions, process, report, scenarios
from .certificates import Certificates
from .peers import find_binaries, make_peers
from .process import BenchError
from .rounds import Bench, Options

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
COMMITTED = os.path.join(ROOT, "tests/bench/instructions.json")
TARGETS = {"weft": "proxy/weft-proxy", "relay": "tests/bench/relay", "backend": "tests/bench/backend"}


def say(text):
    print(text, file=sys.stderr, flush=True)


def parse_arguments(words):
    parser = argparse.ArgumentParser(
        prog="tools/bench", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Measures Weft and its peers side by side: CPU per request, latency, memory.",
        epilog="scenarios:\n" + "\n".join("  %-14s %s" % (one.name, one.title) for one in scenarios.SCENARIOS) +
        "\n  %-14s %s" % ("instructions", "per request, by callgrind, against tests/bench/instructions.json") +
        "\n  %-14s %s" % ("control", "weft-control beside a go-control-plane server; `tools/bench control --help`"))
    parser.add_argument("scenario", nargs="*", help="scenarios to run (default: all), or 'instructions'")
    parser.add_argument("--quick", action="store_true", help="two short rounds: an impression, not a measurement")
    parser.add_argument("--rounds", type=int, help="interleaved rounds per scenario (default 5, quick 2)")
    parser.add_argument("--peers", help="comma-separated, of: %s" % ",".join(scenarios.PEERS))
    parser.add_argument("--json", metavar="FILE", help="write every sample as JSON")
    parser.add_argument("--svg", metavar="FILE", help="write a plot")
    parser.add_argument("--weft", metavar="FILE", help="measure this weft-proxy instead of building one")
    parser.add_argument("--no-log", action="store_true", help="access logs off, for everyone")
    parser.add_argument("--update", action="store_true", help="with 'instructions': write the committed figures")
    parser.add_argument("--proxy-core", type=int, default=0, help="the core for proxies (default 0)")
    parser.add_argument("--load-core", type=int, default=1, help="the core for client and backend (default 1)")
    parser.add_argument("--keep", action="store_true", help="keep configurations and logs, and say where")
    return parser.parse_args(words)


def build(folder, names, weft_path):
    """Builds the tree's own programs with --config=release and copies them, so that a later build changes nothing."""
    wanted = [name for name in names if not (name == "weft" and weft_path)]
    labels = ["//%s:%s" % tuple(TARGETS[name].rsplit("/", 1)) for name in wanted]
    say("building " + " ".join(labels))
    run = subprocess.run(["bazel", "build", "--config=release", *labels], cwd=ROOT, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True)
    if run.returncode != 0:
        raise BenchError("the build failed:\n" + run.stdout[-4000:])
    built = {}
    for name in names:
        source = weft_path if name == "weft" and weft_path else os.path.join(ROOT, "bazel-bin", TARGETS[name])
        built[name] = shutil.copy(source, os.path.join(folder, os.path.basename(TARGETS[name])))
    return built


def describe_machine(peers, binaries):
    model = [line.split(":", 1)[1].strip() for line in process.read_file("/proc/cpuinfo").splitlines()
             if line.startswith("model name")]
    versions = {}
    for name, peer in peers.items():
        words = peer.version_command()
        if words:
            run = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=30)
            lines = [line.strip() for line in run.stdout.splitlines() if line.strip()]
            versions[name] = lines[0] if lines else ""
    return {"cpu": model[0] if model else platform.machine(), "cores": os.cpu_count(), "kernel": platform.release(),
            "load_average": os.getloadavg()[0], "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "versions": versions}


def chosen_peers(arguments, default):
    return [name for name in arguments.peers.split(",") if name] if arguments.peers else list(default)


def run_instructions(arguments, folder):
    names = chosen_peers(arguments, ["weft"])
    for name in names:
        if name not in instructions.PEERS:
            raise BenchError("instructions are counted of %s, not of %s" % (", ".join(instructions.PEERS), name))
    binaries = find_binaries(build(folder, sorted({"backend", *names} & set(TARGETS)), arguments.weft))
    options = Options(proxy_core=arguments.proxy_core, load_core=arguments.load_core, log=not arguments.no_log)
    port = process.free_port()
    backend = process.Process([binaries["backend"], port], options.load_core, os.path.join(folder, "backend.output"))
    measured = {}
    try:
        process.wait_for(lambda: process.listens(port), "the backend starts", backend)
        for name, peer in make_peers(names, binaries).items():
            for flow in instructions.FLOWS:
                say("counting %s of %s" % (flow, name))
                key = flow if name == "weft" else "%s %s" % (name, flow)
                measured[key] = instructions.count(peer, flow, folder, port, options)
    finally:
        backend.stop()
    lines, worse = instructions.compare(measured, instructions.read_committed(COMMITTED))
    print("\n".join(lines))
    if arguments.update:
        instructions.write_committed(COMMITTED, {name: measured[name] for name in measured if name in
                                                 instructions.FLOWS})
        return 0
    return 1 if worse else 0


def run_scenarios(arguments, folder):
    try:
        chosen = scenarios.by_name(arguments.scenario)
    except KeyError as error:
        raise BenchError("no scenario is called %s; there are %s"
                         % (error, ", ".join(one.name for one in scenarios.SCENARIOS))) from error
    names = chosen_peers(arguments, scenarios.PEERS)
    binaries = find_binaries(build(folder, sorted({"backend", *names} & set(TARGETS)), arguments.weft))
    peers = make_peers(names, binaries)
    options = Options(rounds=2, scale=0.25, rate_seconds=0.5, churn_seconds=1) if arguments.quick else Options()
    options = dataclasses.replace(options, rounds=arguments.rounds or options.rounds, log=not arguments.no_log,
                                  proxy_core=arguments.proxy_core, load_core=arguments.load_core)
    machine = describe_machine(peers, binaries)
    print("%s, %d cores, Linux %s; proxies on core %d, client and application on core %d; %d rounds, medians"
          % (machine["cpu"], machine["cores"], machine["kernel"], options.proxy_core, options.load_core,
             options.rounds))
    if not process.real_time():
        print("no real-time priority is allowed here: other processes of the machine show in p99")
    print("access log off for everyone\n" if arguments.no_log else "", flush=True)
    certificates = Certificates(os.path.join(folder, "certificates"))
    rows = []
    bench = Bench(folder, peers, binaries["backend"], certificates, options, say)
    try:
        for scenario in chosen:
            found = bench.run(scenario)
            rows += found
            print(report.scenario_table(scenario, found) + "\n", flush=True)
    finally:
        bench.stop()
    print(report.features_table(peers))
    verdicts = report.verdict_table(rows)
    if verdicts:
        print("\n" + verdicts)
    if arguments.json:
        with open(arguments.json, "w") as file:
            file.write(report.to_json(rows, machine, peers, dataclasses.asdict(options)))
    if arguments.svg:
        with open(arguments.svg, "w") as file:
            file.write(report.to_svg(chosen, rows))
    return 1 if any(row.complaints for row in rows) else 0


def main(words):
    """Returns the exit code: 0 when every run was clean, 1 when a request or a comparison failed, 2 for misuse."""
    if words[:1] == ["control"]:
        return control_plane.main(words[1:])
    arguments = parse_arguments(words)
    folder = tempfile.mkdtemp(prefix="weft-bench-")
    os.chmod(folder, 0o755)
    process.raise_descriptor_limit()
    try:
        if "instructions" in arguments.scenario:
            return run_instructions(arguments, folder)
        return run_scenarios(arguments, folder)
    except BenchError as error:
        say("tools/bench: %s" % error)
        return 2
    except KeyboardInterrupt:
        return 130
    finally:
        if arguments.keep:
            say("kept: " + folder)
        else:
            shutil.rmtree(folder, ignore_errors=True)
