"""A small DNS server for pods, as a platform has one, and questions to it as a resolver sends them."""

import contextlib
import ipaddress
import socket
import struct
import threading

A, AAAA, MX = 1, 28, 15
NO_ERROR, SERVER_FAILURE, NO_SUCH_NAME = 0, 2, 3
LIMIT_S = 10


def _name(text):
    return b"".join(bytes([len(label)]) + label.encode() for label in text.split(".") if label) + b"\0"


def _read_name(message, at):
    labels = []
    while message[at]:
        if message[at] >= 0xC0:
            rest, _ = _read_name(message, struct.unpack("!H", message[at:at + 2])[0] & 0x3FFF)
            return ".".join([*labels, rest]), at + 2
        labels.append(message[at + 1:at + 1 + message[at]].decode())
        at += 1 + message[at]
    return ".".join(labels), at + 1


def question(name, kind=A, number=0x1234):
    return struct.pack("!6H", number, 0x0100, 1, 0, 0, 0) + _name(name) + struct.pack("!2H", kind, 1)


class Answer:
    """What a message says: `rcode`, whether it was `truncated`, and the addresses in it."""

    def __init__(self, message):
        self.number, flags, questions, answers, _, _ = struct.unpack("!6H", message[:12])
        self.rcode, self.truncated, self.authoritative = flags & 15, bool(flags & 0x0200), bool(flags & 0x0400)
        at, self.addresses, self.lifetimes = 12, [], []
        for _ in range(questions):
            at = _read_name(message, at)[1] + 4
        for _ in range(answers):
            at = _read_name(message, at)[1]
            kind, _, lifetime, size = struct.unpack("!2HIH", message[at:at + 10])
            at += 10
            if kind in (A, AAAA):
                self.addresses.append(str(ipaddress.ip_address(message[at:at + size])))
                self.lifetimes.append(lifetime)
            at += size


def ask(pod, server, name, kind=A, tcp=False):
    """What an application in the pod gets of (host, 53)."""
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    message = question(name, kind)
    with pod.inside(), socket.socket(family, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM) as asking:
        asking.settimeout(LIMIT_S)
        asking.connect((server, 53))
        if not tcp:
            asking.send(message)
            return Answer(asking.recv(65535))
        asking.sendall(struct.pack("!H", len(message)) + message)
        with asking.makefile("rb") as answers:
            return Answer(answers.read(struct.unpack("!H", answers.read(2))[0]))


class DnsServer:
    """Answers on port 53 of a pod, by UDP and TCP, IPv4 and IPv6, from `records`: addresses by name. All other names do not
    exist. What is among `only_by_tcp` is truncated by UDP."""

    def __init__(self, pod, records, only_by_tcp=()):
        self.records, self.only_by_tcp = dict(records), set(only_by_tcp)
        self.asked = []  # (name, type, "udp" or "tcp")
        self._sockets = []
        with pod.inside():
            for host, family in ((pod.ipv4, socket.AF_INET), (pod.ipv6, socket.AF_INET6)):
                udp = socket.socket(family, socket.SOCK_DGRAM)
                udp.bind((host, 53))
                tcp = socket.create_server((host, 53), family=family)
                self._sockets += [udp, tcp]
                threading.Thread(target=self._serve_udp, args=(udp,), daemon=True).start()
                threading.Thread(target=self._serve_tcp, args=(tcp,), daemon=True).start()

    def names_asked(self):
        return {name for name, _, _ in self.asked}

    def _answer(self, message, protocol):
        number = struct.unpack("!H", message[:2])[0]
        name, at = _read_name(message, 12)
        kind = struct.unpack("!H", message[at:at + 2])[0]
        section = message[12:at + 4]
        self.asked.append((name.lower(), kind, protocol))
        known = self.records.get(name.lower())
        if known is None:
            return struct.pack("!6H", number, 0x8183, 1, 0, 0, 0) + section
        if protocol == "udp" and name.lower() in self.only_by_tcp:
            return struct.pack("!6H", number, 0x8380, 1, 0, 0, 0) + section
        found = [each for each in map(ipaddress.ip_address, known) if each.version == (6 if kind == AAAA else 4) and kind in (A, AAAA)]
        answers = b"".join(struct.pack("!3HIH", 0xC00C, kind, 1, 60, len(each.packed)) + each.packed for each in found)
        return struct.pack("!6H", number, 0x8180, 1, len(found), 0, 0) + section + answers

    def _serve_udp(self, udp):
        with contextlib.suppress(OSError):
            # An empty one is the end, by close().
            while (received := udp.recvfrom(65535))[0]:
                udp.sendto(self._answer(received[0], "udp"), received[1])

    def _serve_tcp(self, tcp):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = tcp.accept()
                with connection, connection.makefile("rb") as questions:
                    while size := questions.read(2):
                        answer = self._answer(questions.read(struct.unpack("!H", size)[0]), "tcp")
                        connection.sendall(struct.pack("!H", len(answer)) + answer)

    def close(self):
        for each in self._sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
