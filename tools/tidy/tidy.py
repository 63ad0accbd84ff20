#!/usr/bin/env python3
"""Checks the rules of this tree that the compiler does not: who may include whom, file lengths, banned calls, names,
headers and links. Prints one line per finding, `path:line: rule: what is wrong`, and exits 1 when there is any.

    tools/tidy/tidy.py             all rules
    tools/tidy/tidy.py --headers   also compiles every header alone
"""

import argparse
import concurrent.futures
import dataclasses
import fnmatch
import hashlib
import itertools
import os
import pathlib
import re
import subprocess
import sys

MAX_LINES = 800

# The order of the folders: each may include itself and what stands in an earlier row. Folders of one row do not
# know each other, but for the pairs of SAME_ROW.
PROXY_LAYERS = [
    ["base"],
    ["event", "lifecycle"],
    ["http", "observe"],
    ["transport"],
    ["codec", "dns", "intercept"],
    ["route"],
    ["rbac"],
    ["filter"],
    ["snapshot"],
    ["cluster"],
    ["pool"],
    ["call"],
    ["filter/*", "forward", "tcp"],
    ["stream"],
    ["listener"],
    ["config"],
    ["server"],
    ["main"],
]
CONTROL_PLANE_LAYERS = [
    ["base"],
    ["source"],
    ["registry"],
    ["ca", "snapshot"],
    ["compile"],
    ["analyze", "explain", "inject", "telemetry"],
    ["install"],
    ["xds"],
    ["server"],
    ["main"],
]
LAYERS = {"proxy": PROXY_LAYERS, "control-plane": CONTROL_PLANE_LAYERS}
# (who, whom): the access log and the metrics read messages; a message knows nothing of them.
SAME_ROW = {("observe", "http")}

# What is neither's: the one thing of the proxy that the control plane may include.
SHARED_BASE = ["proxy/base/hash.h"]

# Where generated protobuf headers may be included; nothing else of the proxy sees protobuf.
PROTO_USERS = ["api/*", "proxy/config/*", "proxy/server/config_dump.cc", "proxy/filter/ext_authz/grpc_messages.cc",
               "control-plane/*", "tools/weftctl/*", "tests/*"]

PRODUCTION = ["api/*", "proxy/*", "control-plane/*", "tools/weftctl/*"]
PROXY = ["proxy/*"]
TESTS = ["tests/*"]


@dataclasses.dataclass(frozen=True)
class BannedCall:
    rule: str
    pattern: re.Pattern
    where: list
    instead: str


def _call(names):
    """A call of a function of the global or std namespace by one of these names, not of a method or a longer name."""
    return re.compile(r"(?<![\w.>:])(?:std::|::)?(?:%s)\s*\(" % names)


# A declaration of ours such as `Status connect(` is no call; DECLARATION sees the type before the name.
DECLARATION = re.compile(r"[\w>&*]\s+[&*]?$")

BANNED_CALLS = [
    BannedCall("clock", re.compile(r"\bchrono::(?:system_clock|steady_clock|high_resolution_clock)\b|\babsl::Now\s*\("), PRODUCTION,
               "the injected clock of proxy/base/clock.h"),
    BannedCall("clock", _call("clock_gettime|gettimeofday|time|timespec_get|clock"), PRODUCTION,
               "the injected clock of proxy/base/clock.h"),
    BannedCall("random", re.compile(r"\b(?:random_device|mt19937(?:_64)?|default_random_engine)\b"), PRODUCTION,
               "the injected source of proxy/base/random.h"),
    BannedCall("random", _call("rand|srand|random|rand_r|drand48|getrandom|getentropy|arc4random|RAND_bytes"), PRODUCTION,
               "the injected source of proxy/base/random.h"),
    BannedCall("socket", re.compile(r"(?<![\w.>:])::(?:socket|connect|accept|listen|bind|recv|send|shutdown)\s*\("), PROXY,
               "the socket wrapper of proxy/transport"),
    BannedCall("socket", _call("socketpair|accept4|recvfrom|recvmsg|recvmmsg|sendto|sendmsg|sendmmsg|setsockopt|getsockopt|getsockname|getpeername|"
                               "getaddrinfo"), PROXY, "the socket wrapper of proxy/transport"),
    BannedCall("output", re.compile(r"\bstd::(?:cout|cerr|clog)\b"), PRODUCTION, "proxy/base/log.h"),
    BannedCall("output", _call("printf|fprintf|puts|putchar|perror|vprintf|vfprintf"), PRODUCTION, "proxy/base/log.h"),
    # Methods of ours may be called abort; the C function takes nothing.
    BannedCall("exit", re.compile(r"(?<![\w.>:])(?:std::|::)?(?:abort\s*\(\s*\)|(?:exit|_exit|quick_exit|terminate)\s*\()"), PRODUCTION, "an absl::Status, or WEFT_ASSERT for an own bug"),
    BannedCall("exception", re.compile(r"\bthrow\b(?!\s*\()|\bthrow\s*\("), PRODUCTION, "an absl::Status"),
    BannedCall("sleep", re.compile(r"\bsleep_(?:for|until)\b|\babsl::SleepFor\b"), PRODUCTION + TESTS,
               "a timer, or in a test a wait for the condition itself"),
    BannedCall("sleep", _call("sleep|usleep|nanosleep"), PRODUCTION + TESTS,
               "a timer, or in a test a wait for the condition itself"),
    BannedCall("environment", _call("getenv|secure_getenv|setenv"), PROXY, "an option of the command line"),
    BannedCall("unsafe", _call("strcpy|strcat|sprintf|vsprintf|gets|alloca|strtok"), PRODUCTION, "std::string, absl::StrCat or a span"),
]

# Short names such as send() may be our own methods, so the header that declares the system's is what is found.
WRAPPED_HEADERS = {"socket": ("sys/socket.h", "netdb.h"), "random": ("random", "sys/random.h")}

BAD_NAME = re.compile(r"(?:^|[_-])(?:utils?|common|helpers?|managers?|misc)(?:[_.-]|$)", re.I)
SNAKE_CASE = re.compile(r"[a-z0-9_]+(?:\.[a-z0-9_]+)*$")
CAMEL_TYPE = re.compile(r"^\s*(?:class|struct|enum(?:\s+class)?)\s+([A-Za-z_]\w*)\s*(?:final\s*)?(?:[:{]|$)")
DECLARATION_START = re.compile(r"(?:namespace|class|struct|enum|template|using|inline|constexpr|extern|void|int)\b")
UNFINISHED = re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b")
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]')
MD_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


@dataclasses.dataclass(frozen=True, order=True)
class Finding:
    path: str
    line: int
    rule: str
    message: str

    def __str__(self):
        return f"{self.path}:{self.line}: {self.rule}: {self.message}"


def strip_comments(text):
    """The source with comments, strings and character literals blanked out, its lines and columns kept."""
    out = []
    i, n = 0, len(text)

    def blank(segment):
        out.append("".join(c if c == "\n" else " " for c in segment))

    while i < n:
        two = text[i:i + 2]
        if two == "//":
            end = text.find("\n", i)
            end = n if end < 0 else end
            blank(text[i:end])
        elif two == "/*":
            end = text.find("*/", i + 2)
            end = n if end < 0 else end + 2
            blank(text[i:end])
        elif text[i] == '"' and i > 0 and text[i - 1] == "R":
            delimiter = text[i + 1:text.index("(", i)]
            end = text.find(")" + delimiter + '"', i)
            end = n if end < 0 else end + len(delimiter) + 2
            blank(text[i:end])
        elif text[i] == '"' or (text[i] == "'" and not (i > 0 and text[i - 1].isalnum())):
            end = i + 1
            while end < n and text[end] != text[i] and text[end] != "\n":
                end += 2 if text[end] == "\\" else 1
            end = min(end + 1, n)
            out.append(text[i])
            blank(text[i + 1:end - 1])
            out.append(text[end - 1:end])
        else:
            out.append(text[i])
            end = i + 1
        i = end
    return "".join(out)


def layer(path):
    """(row, name) of a file below proxy/ or control-plane/, or None for a file that stands in no known folder."""
    top, *parts = path.split("/")
    if len(parts) == 1:
        name = "main"
    elif parts[0] == "filter" and len(parts) > 2:
        name = "filter/" + parts[1]
    else:
        name = parts[0]
    for row, names in enumerate(LAYERS[top]):
        if any(fnmatch.fnmatch(name, pattern) for pattern in names):
            return row, name
    return None


def include_findings(path, text):
    """Layering, for one file: text is the source as written."""
    for number, line in enumerate(text.splitlines(), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        quote, target = match.groups()
        if target.endswith(".pb.h") or target.startswith("google/protobuf/"):
            if not any(fnmatch.fnmatch(path, user) for user in PROTO_USERS):
                yield Finding(path, number, "protobuf", f"{target}: only those of PROTO_USERS include protobuf headers")
            continue
        if target.endswith((".cc", ".c")):
            yield Finding(path, number, "include", f"{target} is a source file, not a header")
        if quote == "<":
            for rule, headers in WRAPPED_HEADERS.items():
                if target in headers and any(fnmatch.fnmatch(path, where) for where in PROXY):
                    yield Finding(path, number, rule, f"<{target}> is included only by the file that wraps it")
            continue
        top = target.split("/")[0]
        if "/" not in target or top in (".", ".."):
            yield Finding(path, number, "include", f'"{target}": write the path from the root of the tree')
            continue
        own = path.split("/")[0]
        if own in ("proxy", "control-plane", "api") and top in ("tests", "tools"):
            yield Finding(path, number, "layering", f"{own} may not include {target}")
        if own == "api" and top in ("proxy", "control-plane"):
            yield Finding(path, number, "layering", f"api may not include {target}")
        if {own, top} == {"proxy", "control-plane"} and target not in SHARED_BASE:
            yield Finding(path, number, "layering", f"{own} may not include {target}; the two meet only in api/")
        if own == top and own in LAYERS:
            mine, theirs = layer(path), layer(target)
            if mine is None:
                yield Finding(path, 1, "layering", "this folder stands in no row of the layers in tools/tidy")
                return
            if theirs is None:
                yield Finding(path, number, "layering", f"{target} stands in no row of the layers in tools/tidy")
            elif theirs[0] > mine[0] or (theirs[0] == mine[0] and theirs[1] != mine[1] and (mine[1], theirs[1]) not in SAME_ROW):
                yield Finding(path, number, "layering", f"{mine[1]} may not include {theirs[1]} ({target})")


def banned_call_findings(path, text):
    code = strip_comments(text)
    lines = code.splitlines()
    for ban in BANNED_CALLS:
        if not any(fnmatch.fnmatch(path, where) for where in ban.where):
            continue
        for match in ban.pattern.finditer(code):
            start = code.rfind("\n", 0, match.start()) + 1
            before = code[start:match.start()]
            name = match.group().rstrip("() \t\n")
            word = re.search(r"(\w+)\s+[&*]?$", before)
            if "(" in match.group() and DECLARATION.search(before) and not (word and word.group(1) in ("return", "else", "do", "co_return")):
                continue
            number = code.count("\n", 0, match.start()) + 1
            if lines[number - 1].lstrip().startswith("#"):
                continue
            yield Finding(path, number, ban.rule, f"{name} is not called here; use {ban.instead}")


def file_findings(path, text):
    """Length, name, header and unfinished marks, for one C++ file."""
    lines = text.splitlines()
    if len(lines) > MAX_LINES:
        yield Finding(path, MAX_LINES + 1, "length", f"{len(lines)} lines, {MAX_LINES} are allowed")
    base = path.rsplit("/", 1)[-1]
    if not SNAKE_CASE.match(base):
        yield Finding(path, 1, "name", "file names are snake_case")
    if path.endswith(".h"):
        first_code = next((line for line in lines if line.strip() and not line.lstrip().startswith("//")), "")
        if first_code.strip() != "#pragma once":
            yield Finding(path, 1, "header", "a header's first code is #pragma once")
        opening = itertools.takewhile(lambda line: not DECLARATION_START.match(line), lines)
        if not any(line.startswith("//") for line in opening):
            yield Finding(path, 1, "header", "a header opens with a paragraph: what it is, who owns it, on which thread it lives")
    for number, line in enumerate(strip_comments(text).splitlines(), 1):
        match = CAMEL_TYPE.match(line)
        if match and not re.match(r"[A-Z][A-Za-z0-9]*$|WEFT_", match.group(1)) and not line.rstrip().endswith(";"):
            yield Finding(path, number, "name", f"the type {match.group(1)} is not UpperCamel")


def any_file_findings(path, text):
    """What holds for every text file of the tree."""
    for part in path.split("/"):
        if BAD_NAME.search(part):
            yield Finding(path, 1, "name", f"{part} says nothing of what is in it")
    if path.startswith("tools/tidy/"):
        return
    for number, line in enumerate(text.splitlines(), 1):
        if UNFINISHED.search(line):
            yield Finding(path, number, "unfinished", "finish it, or file it as an issue")


def link_findings(path, text, exists):
    folder = os.path.dirname(path)
    for number, line in enumerate(text.splitlines(), 1):
        for target in MD_LINK.findall(line):
            target = target.split("#")[0]
            if not target or re.match(r"[a-z]+:", target):
                continue
            if not exists(os.path.normpath(os.path.join(folder, target))):
                yield Finding(path, number, "link", f"{target} does not exist")


NAMED_TEST = re.compile(r"`(\w+_test): ([^`]+)`")


def tests_of(files, read):
    """The titles of all tests, (module, title); a Python test's is its name with spaces."""
    titles = set()
    for path in files:
        module, end = os.path.splitext(os.path.basename(path))
        if not path.startswith("tests/") or not module.endswith("_test"):
            continue
        if end == ".py":
            titles |= {(module, name.replace("_", " ")) for name in re.findall(r"def test_(\w+)\(", read(path))}
        elif end == ".cc":
            titles |= {(module, title) for title in re.findall(r'TEST_CASE\("([^"]+)"', read(path))}
    return titles


def named_test_findings(path, text, titles):
    """A document that says which test shows something: `module_test: its title`."""
    for number, line in enumerate(text.splitlines(), 1):
        for module, title in NAMED_TEST.findall(line):
            if (module, title) not in titles:
                yield Finding(path, number, "named-test", f"{module} has no test \"{title}\"")


def parse_allowed(text, path="tools/tidy/allowed.txt"):
    """The allow-list: `rule  path pattern  # reason`. Returns its entries and what is wrong with it."""
    entries, findings = [], []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        rule, _, rest = line.partition(" ")
        pattern, hash_sign, reason = rest.partition("#")
        if not pattern.strip() or not hash_sign or not reason.strip():
            findings.append(Finding(path, number, "allow-list", "write: rule  path pattern  # reason"))
            continue
        entries.append((number, rule, pattern.strip()))
    return entries, findings


def apply_allowed(findings, entries, path="tools/tidy/allowed.txt"):
    """The findings that no entry allows, and one for each entry that allowed nothing."""
    used, kept = set(), []
    for finding in findings:
        matched = [e for e in entries if e[1] == finding.rule and fnmatch.fnmatch(finding.path, e[2])]
        used.update(matched)
        if not matched:
            kept.append(finding)
    kept += [Finding(path, e[0], "allow-list", f"{e[1]} {e[2]} allows nothing any more; remove it") for e in entries if e not in used]
    return kept


def check_tree(root, files):
    """All findings for the files (paths relative to root), without the allow-list."""
    known = set(files) | {os.path.dirname(f) for f in files}
    exists = lambda path: path in known or (root / path).exists()
    for path in files:
        try:
            text = (root / path).read_text()
        except (UnicodeDecodeError, FileNotFoundError):
            continue
        if "/corpus/" in path or path.endswith(".sum"):
            continue
        yield from any_file_findings(path, text)
        if path.endswith((".h", ".cc")):
            yield from include_findings(path, text)
            yield from banned_call_findings(path, text)
            yield from file_findings(path, text)
        if path.endswith(".md"):
            yield from link_findings(path, text, exists)
            if NAMED_TEST.search(text):
                yield from named_test_findings(path, text, tests_of(files, lambda test: (root / test).read_text()))


def tree_files(root):
    out = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=root, check=True,
                         capture_output=True).stdout
    return sorted({f for f in out.decode().split("\0") if f})


# ---- every header compiles alone ----

COMPILE = ["clang++-19", "-fsyntax-only", "-x", "c++", "-std=c++20", "-fno-exceptions", "-march=x86-64-v2", "-DFMT_HEADER_ONLY", "-Wall", "-Wextra",
           "-Wno-unused-parameter", "-Wno-sign-compare", "-Wno-missing-field-initializers", "-Wno-pragma-once-outside-header",
           "-Wno-unused-const-variable", "-Wno-unused-function", "-I.", "-Ibazel-bin", "-Ibazel-bin/api"]
# The control plane is built on OpenSSL, which is where compilers look; the rest on BoringSSL.
BORINGSSL = ["-isystem", "/usr/include/android"]
OPENSSL_PATHS = ("control-plane/", "tests/control-plane/")


def closure_hash(root, path, cache):
    """A hash of a header and of all of this tree that it includes, so that an unchanged header is compiled once."""
    seen, pending, digest = set(), [path], hashlib.sha256(" ".join(COMPILE + BORINGSSL).encode())
    while pending:
        current = pending.pop()
        if current in seen:
            continue
        seen.add(current)
        if current not in cache:
            file = root / current
            text = file.read_text() if file.exists() else ""
            cache[current] = (hashlib.sha256(text.encode()).digest(), [m.group(2) for m in map(INCLUDE.match, text.splitlines()) if m])
        pending += cache[current][1]
    for name in sorted(seen):
        digest.update(name.encode() + cache[name][0])
    return digest.hexdigest()


def header_findings(root, files, cache_folder):
    cache_folder.mkdir(parents=True, exist_ok=True)
    hashes = {}
    headers = [f for f in files if f.endswith(".h") and not f.startswith("third_party/")]

    def compile_one(path):
        mark = cache_folder / closure_hash(root, path, hashes)
        if mark.exists():
            return None
        library = [] if path.startswith(OPENSSL_PATHS) else BORINGSSL
        result = subprocess.run(COMPILE + library + ["-include", path, "/dev/null"], cwd=root, capture_output=True, text=True)
        if result.returncode == 0:
            mark.touch()
            return None
        first = next((line for line in result.stderr.splitlines() if "error:" in line), "it does not compile")
        return Finding(path, 1, "header", f"it does not compile alone: {first.strip()}")

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return [f for f in pool.map(compile_one, headers) if f]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--headers", action="store_true", help="also compile every header alone")
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[2])
    options = parser.parse_args()
    files = tree_files(options.root)
    entries, findings = parse_allowed((options.root / "tools/tidy/allowed.txt").read_text())
    found = list(check_tree(options.root, files))
    if options.headers:
        cache = pathlib.Path(os.environ.get("WEFT_CACHE", pathlib.Path.home() / ".cache/weft")) / "headers"
        found += header_findings(options.root, files, cache)
    findings += apply_allowed(found, entries)
    for finding in sorted(findings):
        print(finding)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
