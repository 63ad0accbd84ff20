"""What a raw-byte HTTP/1 case says, and how it is run: bytes in at the client's side, what must arrive at the backend, what
must come back, and whether the client's connection lives on."""

import dataclasses
import re

from tests.integration.harness import http1

REJECTED = (400,)
BAD_GATEWAY = (502, 503)


@dataclasses.dataclass
class Answer:
    """One final response: its status (one of), and what else must hold."""

    status: object = 200
    body: object = None
    has: dict = dataclasses.field(default_factory=dict)
    lacks: tuple = ()
    interim: object = None
    complete: bool = True

    def differences(self, got):
        wanted = self.status if isinstance(self.status, tuple) else (self.status,)
        if not got.start:
            yield f"wanted {wanted}, got no response ({got.problem})"
            return
        if got.problem and not re.match(r"HTTP/1\.[01] ", got.start):
            yield f"the response is broken: {got.problem}"
            return
        if got.status not in wanted:
            yield f"wanted status {wanted}, got {got.start!r}"
        if got.complete != self.complete:
            yield f"the response is {'complete' if got.complete else 'not complete: ' + got.problem}"
        if self.body is not None and got.body != self.body:
            yield f"wanted body {self.body!r}, got {got.body[:200]!r}"
        yield from field_differences(self, got, "the response")
        if self.interim is not None and got.interim not in self.interim:
            yield f"wanted interim responses {self.interim}, got {got.interim}"


@dataclasses.dataclass
class Arrives:
    """One request at the backend. start is a regular expression for the whole request line."""

    start: str
    body: object = None
    has: dict = dataclasses.field(default_factory=dict)
    lacks: tuple = ()
    raw_has: bytes = b""
    complete: bool = True

    def differences(self, got, raw):
        if not re.fullmatch(self.start, got.start):
            yield f"the backend wanted {self.start!r}, got {got.start!r}"
        if got.complete != self.complete:
            yield f"the request at the backend is {'complete' if got.complete else 'not complete: ' + got.problem}"
        if self.body is not None and got.body != self.body:
            yield f"the backend wanted body {self.body!r}, got {got.body[:200]!r}"
        yield from field_differences(self, got, "the request at the backend")
        if self.raw_has and not any(self.raw_has in r for r in raw):
            yield f"{self.raw_has!r} is not in what arrived: {raw!r}"


def field_differences(wanted, got, where):
    for name, value in wanted.has.items():
        found = got.get(name)
        if found is None or (value is not None and found != value):
            yield f"{where} wanted {name}: {value}, got {found!r}"
    for name in wanted.lacks:
        if got.get(name) is not None:
            yield f"{where} has {name}: {got.get(name)!r}"


@dataclasses.dataclass
class Wait:
    """A step of the client: read the interim response with this status before it writes on."""

    interim: int


@dataclasses.dataclass
class Case:
    """
    name      what holds, as a sentence
    source    the section of the RFC (9110 or 9112) that asks for it
    send      what the client writes: bytes, or a list of bytes and Wait
    answers   the final responses in their order; a bare status stands for Answer(status)
    arrives   the requests that arrive whole at the backend, in their order; None: it does not matter
    then      keeps (a next request on the connection is answered), closes, or None (either)
    replies   what the backend answers
    methods   the method of each answer, for what has no body
    group     which configuration of the proxy serves it
    """

    name: str
    source: str
    send: object
    answers: tuple = (200,)
    arrives: object = None
    then: object = "keeps"
    replies: tuple = ()
    methods: tuple = ()
    group: str = "plain"


def request(method="GET", target="/", fields="", body=b"", host="Host: a.example"):
    """A request; fields are lines, each with its CRLF left out."""
    lines = [f"{method} {target} HTTP/1.1"] + ([host] if host else []) + ([fields] if fields else [])
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


def response(status="200 OK", fields="", body=b"", version="HTTP/1.1"):
    lines = [f"{version} {status}"] + ([fields] if fields else [])
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


PROBE = request("GET", "/probe")


def is_probe(message):
    return " /probe " in message.start + " "


def run(case, address, backend, probe_address):
    """Runs one case; the differences between what was wanted and what happened, as sentences."""
    differences = []
    mark = backend.mark()
    backend.script(*case.replies)
    with http1.Client(address) as client:
        steps = case.send if isinstance(case.send, list) else [case.send]
        for step in steps:
            if isinstance(step, Wait):
                line = client.reader.line()
                if f" {step.interim} ".encode() not in line + b" ":
                    differences.append(f"wanted an interim response {step.interim}, got {line!r}")
                    break
                http1.read_fields(client.reader)
            else:
                client.send(step)
        for index, wanted in enumerate(case.answers):
            wanted = wanted if isinstance(wanted, Answer) else Answer(wanted)
            got = client.response(case.methods[index] if case.methods else "GET")
            differences += [f"answer {index + 1}: {d}" for d in wanted.differences(got)]
            if not got.start:
                break
        if case.then == "keeps" and not differences:
            client.send(PROBE)
            got = client.response()
            if not got.start or got.problem or got.status != 200 or got.body != b"ok":
                differences.append(f"the connection does not live on: {got.start!r} {got.problem} {got.body[:80]!r}")
        if case.then == "closes" and not differences:
            try:
                if not client.reader.at_end():
                    differences.append(f"wanted the connection closed, got {bytes(client.reader.buffer[:200])!r}")
            except TimeoutError:
                differences.append("the connection is not closed")
    # The reply to this one comes after all that the case made the proxy send on the same worker.
    backend.script()
    with http1.Client(probe_address) as client:
        client.send(PROBE)
        got = client.response()
        if not got.complete or got.status != 200 or got.body != b"ok":
            differences.append(f"the next client is answered {got.start!r} {got.problem} {got.body[:80]!r}")
    requests, raw, strays = backend.since(mark)
    requests = [r for r in requests if not is_probe(r)]
    if strays:
        differences.append(f"the backend got what is no request: {strays!r}")
    if case.arrives is not None:
        # Requests that broke off before their end were aborted, which is what a refusal half-way looks like.
        whole = [r for r in requests if r.complete or any(not w.complete for w in case.arrives)]
        for wanted, got in zip(case.arrives, whole):
            differences += wanted.differences(got, raw)
        if len(whole) != len(case.arrives):
            differences.append(f"the backend got {[r.start for r in whole]}, wanted {len(case.arrives)} requests")
    return differences
