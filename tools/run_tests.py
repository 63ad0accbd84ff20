"""What tools/test runs after tools/setup: builds, runs, and adds up. Cases are counted, not targets."""

import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
CACHE = pathlib.Path(os.environ.get("WEFT_CACHE", pathlib.Path.home() / ".cache/weft"))
PYTHON = CACHE / "venv/bin/python"
SUITES = ["tests/integration", "tests/conformance"]
KUBERNETES_SUITES = ["tests/kubernetes"]
DEMO_SUITES = ["tests/demo"]
MODULE_TIME_LIMIT_S = 600
# Where the suites find each program, by environment variable.
PROGRAMS = {
    "WEFT_PROXY": "//proxy:weft-proxy",
    "WEFT_CONTROL_BINARY": "//control-plane:weft-control",
    "WEFTCTL_BINARY": "//tools/weftctl:weftctl",
}

# A case count at the end of a Catch2 log, when all passed and when some failed.
CATCH_ALL = re.compile(r"^All tests passed \(.* in (\d+) test cases?\)", re.M)
CATCH_SOME = re.compile(r"^test cases:\s*(\d+)\b.*", re.M)
CATCH_FAILED = re.compile(r"\|\s*(\d+) failed")


class Tally:
    """What passed and what failed so far; lines are printed whole, from any thread."""

    def __init__(self):
        self.passed = 0
        self.failed = 0
        self.failures = []
        self._lock = threading.Lock()

    def add(self, name, passed, failed, seconds=None, output=""):
        with self._lock:
            self.passed += passed
            self.failed += failed
            if failed:
                self.failures.append(f"{name} ({failed})")
                if output:
                    print(output.rstrip())
            took = "" if seconds is None else f"  {seconds:.1f} s"
            print(f"{'FAIL' if failed else 'ok  '}  {name}: {passed} passed, {failed} failed{took}", flush=True)

    def close(self):
        if self.failures:
            print("failed: " + ", ".join(self.failures))
        print(f"{self.passed} passed, {self.failed} failed", flush=True)
        return 1 if self.failed or not self.passed else 0


def count_log(text, succeeded):
    """(passed, failed) of one test target, from its log; a log without a Catch2 summary is one case."""
    match = CATCH_ALL.search(text)
    if match and succeeded:
        return max(1, int(match.group(1))), 0
    match = CATCH_SOME.search(text)
    if match and not succeeded:
        failed = CATCH_FAILED.search(match.group())
        failed = int(failed.group(1)) if failed else 0
        # The target failed, so at least one case did, whatever the summary says.
        return int(match.group(1)) - failed, max(1, failed)
    return (1, 0) if succeeded else (0, 1)


def bazel_tests(tally, config):
    """Runs all bazel tests of the tree in one configuration (None is the quick default)."""
    name = f"unit ({config or 'fastbuild'})"
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        events = pathlib.Path(folder) / "events.json"
        command = ["bazel", "test", "--keep_going", f"--build_event_json_file={events}", "--test_output=errors", "--test_summary=none"]
        command += [f"--config={config}"] if config else []
        run = subprocess.run(command + ["//..."], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             text=True, errors="replace")
        targets, unbuilt = {}, set()
        for line in events.read_text().splitlines() if events.exists() else []:
            event = json.loads(line)
            if "testResult" in event:
                label, result = event["id"]["testResult"]["label"], event["testResult"]
                log = next((o["uri"] for o in result.get("testActionOutput", []) if o["name"] == "test.log"), "")
                path = pathlib.Path(log.removeprefix("file://"))
                text = path.read_text(errors="replace") if log.startswith("file://") and path.exists() else ""
                targets[label] = count_log(text, result["status"] == "PASSED")
            elif "targetCompleted" in event["id"] and not event.get("completed", {}).get("success"):
                unbuilt.add(event["id"]["targetCompleted"]["label"])
        unbuilt -= set(targets)
    failed = [label for label, (_, bad) in targets.items() if bad]
    if failed or unbuilt or run.returncode not in (0, 4):
        print(run.stdout.rstrip())
    passed_count = sum(good for good, _ in targets.values())
    failed_count = sum(bad for _, bad in targets.values()) + len(unbuilt)
    if run.returncode not in (0, 4) and not failed_count:
        failed_count = 1
    for label in sorted(failed) + sorted(unbuilt):
        print(f"FAIL  {label}{'' if label in targets else ' does not build'}")
    tally.add(f"{name}, {len(targets)} targets", passed_count, failed_count, time.monotonic() - start)


def build_programs(tally, config):
    """The programs that the suites run, built in one configuration: {variable: path}; None when one does not build."""
    flags = [f"--config={config}"] if config else []
    run = subprocess.run(["bazel", "build", *flags, *PROGRAMS.values()], cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if run.returncode:
        tally.add(f"build of the programs ({config or 'fastbuild'})", 0, 1, output=run.stderr)
        return None
    info = subprocess.run(["bazel", "info", *flags, "bazel-bin"], cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
    copies = {}
    for variable, target in PROGRAMS.items():
        built = pathlib.Path(info.stdout.strip()) / target.removeprefix("//").replace(":", "/")
        # The next build in another configuration would take its place, so each keeps a copy of its own.
        copy = CACHE / "build" / f"{built.name}-{config or 'fastbuild'}-{os.getpid()}"
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.unlink(missing_ok=True)
        copy.write_bytes(built.read_bytes())
        copy.chmod(0o755)
        copies[variable] = copy
    return copies


def run_module(tally, path, environment, label):
    """One Python test module in a process of its own; counts its cases."""
    start = time.monotonic()
    module = str(path.relative_to(ROOT).with_suffix("")).replace("/", ".")
    with tempfile.NamedTemporaryFile("r", suffix=".json") as report:
        command = [PYTHON, "-B", ROOT / "tools/run_module.py", module, report.name]
        try:
            run = subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, text=True, errors="replace", timeout=MODULE_TIME_LIMIT_S)
            output, text = run.stdout, report.read()
            counts = json.loads(text) if text else {"passed": 0, "failed": 1}
        except subprocess.TimeoutExpired as error:
            output = (error.stdout or b"").decode(errors="replace") + f"\n{module} did not end within {MODULE_TIME_LIMIT_S} s"
            counts = {"passed": 0, "failed": 1}
    tally.add(f"{module}{label}", counts["passed"], counts["failed"], time.monotonic() - start, output)


def run_suites(tally, programs, label, pattern="", suites=SUITES):
    modules = [m for suite in suites for m in sorted((ROOT / suite).rglob("*_test.py")) if pattern in str(m.relative_to(ROOT))]
    environment = {variable: str(path) for variable, path in programs.items()}
    # A process that shares its core with another needs no longer for the waits, which are most of the time.
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda m: run_module(tally, m, environment, label), modules))


def tidy(tally, headers):
    start = time.monotonic()
    command = [ROOT / "tools/tidy/tidy.py"] + (["--headers"] if headers else [])
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    findings = len(run.stdout.splitlines())
    tally.add("tidy", 0 if run.returncode else 1, findings or (1 if run.returncode else 0), time.monotonic() - start, run.stdout + run.stderr)
    for module in sorted((ROOT / "tools").rglob("*_test.py")):
        run_module(tally, module, {"PYTHONPATH": str(module.parent)}, "")
    start = time.monotonic()
    run = subprocess.run([ROOT / "tools/format", "--check"], cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    files = sorted({line.split(":")[0] for line in run.stderr.splitlines() if ": error:" in line})
    tally.add("format", 0 if run.returncode else 1, len(files) or (1 if run.returncode else 0), time.monotonic() - start,
              "\n".join(f"{name}: not formatted; run tools/format" for name in files) or run.stderr)


def suites_against(tally, config, pattern="", suites=SUITES):
    programs = build_programs(tally, config)
    if programs:
        try:
            run_suites(tally, programs, f" [{config or 'fastbuild'}]", pattern, suites)
        finally:
            for path in programs.values():
                path.unlink()


def main(arguments):
    mode = arguments[0] if arguments else "all"
    tally = Tally()
    if mode == "fast":
        tidy(tally, headers=False)
        bazel_tests(tally, None)
    elif mode in ("asan", "tsan"):
        bazel_tests(tally, mode)
        suites_against(tally, mode)
    elif mode == "suites":
        suites_against(tally, None, arguments[1] if len(arguments) > 1 else "")
    elif mode == "kubernetes":
        subprocess.run([ROOT / "tools/setup", "kubernetes"], stdin=subprocess.DEVNULL, check=True)
        suites_against(tally, None, suites=KUBERNETES_SUITES)
    elif mode == "demo":
        suites_against(tally, "release", suites=DEMO_SUITES)
    elif mode == "all" and not arguments:
        bazel_tests(tally, "asan")
        # After the build, which makes the generated headers that our headers include.
        tidy(tally, headers=True)
        suites_against(tally, "asan")
        suites_against(tally, "release")
    else:
        print(f"tools/test: {' '.join(arguments)}: write fast, asan, tsan, suites, kubernetes, demo or nothing", file=sys.stderr)
        return 2
    return tally.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
