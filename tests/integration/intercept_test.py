"""`weft-proxy intercept` with real rules and real connections: whose are taken, where they arrive, and whose are not."""

import contextlib
import ctypes
import os
import pathlib
import socket
import stat
import struct
import tempfile
import threading
import unittest

from tests.integration.harness.namespaces import Network, for_all_users, needs_root
from tests.integration.harness.proxy import weft_binary

PROXY_UID = 1337
OUTBOUND, INBOUND, DNS = 15001, 15006, 15053
ELSEWHERE = (("192.0.2.1", 80), ("2001:db8::1", 80))
ORIGINAL_DESTINATION = 80  # SO_ORIGINAL_DST and IP6T_SO_ORIGINAL_DST
IP_TRANSPARENT, IPV6_TRANSPARENT = 19, 75
LIMIT_S = 20
_libc = ctypes.CDLL(None, use_errno=True)


@contextlib.contextmanager
def acting_as(uid=0, gid=0):
    """Sockets that this thread opens meanwhile belong to the user and group."""
    before = _libc.setfsgid(gid), _libc.setfsuid(uid)
    try:
        yield
    finally:
        _libc.setfsuid(before[1])
        _libc.setfsgid(before[0])


def original_destination(connection):
    if connection.family == socket.AF_INET:
        raw = connection.getsockopt(socket.SOL_IP, ORIGINAL_DESTINATION, 16)
        return socket.inet_ntop(socket.AF_INET, raw[4:8]), struct.unpack("!H", raw[2:4])[0]
    raw = connection.getsockopt(socket.IPPROTO_IPV6, ORIGINAL_DESTINATION, 28)
    return socket.inet_ntop(socket.AF_INET6, raw[8:24]), struct.unpack("!H", raw[2:4])[0]


class Listener:
    """Tells whoever connects its name, and with `redirected` where the connection was meant to go."""

    def __init__(self, pod, name, port, redirected=False, transparent=False):
        self._name, self._redirected = name, redirected
        self._sockets = []
        self._threads = []
        with pod.inside():
            for family, host in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
                listener = socket.socket(family)
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                if transparent and family == socket.AF_INET:
                    listener.setsockopt(socket.SOL_IP, IP_TRANSPARENT, 1)
                elif transparent:
                    listener.setsockopt(socket.IPPROTO_IPV6, IPV6_TRANSPARENT, 1)
                listener.bind((host, port))
                listener.listen()
                self._sockets.append(listener)
                self._threads.append(threading.Thread(target=self._serve, args=(listener,), daemon=True))
                self._threads[-1].start()

    def _serve(self, listener):
        while True:
            try:
                connection, peer = listener.accept()
            except OSError:
                return
            with connection:
                where = original_destination(connection) if self._redirected else connection.getsockname()[:2]
                text = f"{self._name} {where[0]} {where[1]} from {peer[0]}"
                with contextlib.suppress(OSError):
                    connection.sendall(text.encode())

    def close(self):
        for listener in self._sockets:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for thread in self._threads:
            thread.join()


def ask(pod, address, uid=0, gid=0, source=None):
    """Who answers a connection from the pod, as "NAME HOST PORT"; "refused" or "unreachable"."""
    try:
        with acting_as(uid, gid), pod.connect(address, LIMIT_S, source_address=(source, 0) if source else None) as connection:
            return connection.makefile().read().partition(" from ")[0]
    except ConnectionRefusedError:
        return "refused"
    except OSError as error:
        return "unreachable" if "unreachable" in str(error).lower() or "route" in str(error).lower() else str(error)


def told(name, address):
    return f"{name} {address[0]} {address[1]}"


class Case(unittest.TestCase):
    """A pod with an application and what plays its proxy, and a neighbour."""

    transparent = False

    @classmethod
    def setUpClass(cls):
        cls.network = Network()
        cls.addClassCleanup(cls.network.close)
        cls.pod, cls.neighbour = cls.network.pod("app"), cls.network.pod("neighbour")
        cls.pod.resolv_conf.write_text("nameserver 192.0.2.53\n")
        for name, port, options in (("out", OUTBOUND, {"redirected": True}), ("in", INBOUND, {"redirected": not cls.transparent,
                                    "transparent": cls.transparent}), ("dns", DNS, {"redirected": True}), ("app", 8080, {}), ("health", 15021, {})):
            cls.addClassCleanup(Listener(cls.pod, name, port, **options).close)
        for port in (80, 443):
            cls.addClassCleanup(Listener(cls.neighbour, "neighbour", port).close)
        cls.own = ((cls.pod.ipv4, 8080), (cls.pod.ipv6, 8080))
        cls.next = ((cls.neighbour.ipv4, 80), (cls.neighbour.ipv6, 80))

    def intercept(self, *arguments, **options):
        return self.pod.run(weft_binary(), "intercept", *arguments, **options)

    def tearDown(self):
        self.intercept("--clean")

    def rules(self):
        """All that is in force in the pod."""
        return "\n".join(self.pod.run("sh", "-c", command).stdout for command in (
            "nft list ruleset", "iptables-legacy-save | sed '/^[#:]/d'", "ip6tables-legacy-save | sed '/^[#:]/d'", "ip rule", "ip -6 rule",
            "ip -4 route show table 133; ip -6 route show table 133; true", "ip addr show dev lo"))


class Taken:
    """What holds with each backend."""

    backend = None

    def apply(self, *arguments):
        self.intercept("--backend", self.backend, *arguments)

    def test_what_the_application_sends_arrives_outbound_with_its_destination(self):
        self.apply()
        for address in ELSEWHERE + self.next:
            self.assertEqual(told("out", address), ask(self.pod, address))
            self.assertEqual(told("out", address), ask(self.pod, address, uid=1000, gid=1000))

    def test_what_the_proxy_sends_leaves_as_it_is(self):
        self.apply()
        for address in self.next:
            self.assertEqual(told("neighbour", address), ask(self.pod, address, uid=PROXY_UID, gid=PROXY_UID))
            self.assertEqual(told("neighbour", address), ask(self.pod, address, gid=PROXY_UID))
        self.assertEqual("unreachable", ask(self.pod, ELSEWHERE[0], uid=PROXY_UID))

    def test_what_others_send_arrives_inbound_but_at_the_sidecars_own_ports(self):
        self.apply()
        for host, port in self.own:
            self.assertEqual(told("in", (host, port)), ask(self.neighbour, (host, port)))
            self.assertEqual(told("in", (host, 9)), ask(self.neighbour, (host, 9)))
            self.assertEqual(told("health", (host, 15021)), ask(self.neighbour, (host, 15021)))
            self.assertEqual("refused", ask(self.neighbour, (host, 15000)))

    def test_the_application_that_calls_itself(self):
        self.apply()
        for loopback, own in zip(("127.0.0.1", "::1"), self.own):
            # By its own address: without the mesh. By its service, whose endpoint it is itself: inbound, from its own proxy.
            self.assertEqual(told("app", (loopback, 8080)), ask(self.pod, (loopback, 8080)))
            self.assertEqual(told("app", own), ask(self.pod, own))
            self.assertEqual(told("in", own), ask(self.pod, own, uid=PROXY_UID))
            self.assertEqual(told("app", (loopback, 8080)), ask(self.pod, (loopback, 8080), uid=PROXY_UID))
        # And then from the address that is not taken a second time.
        self.assertEqual(told("app", self.own[0]), ask(self.pod, self.own[0], uid=PROXY_UID, source="127.0.0.6"))
        self.assertEqual(told("app", self.own[1]), ask(self.pod, self.own[1], uid=PROXY_UID, source="::6"))

    def test_the_proxy_can_ask_from_inside_whether_the_rules_are_there(self):
        for address in (("127.0.0.6", 15002), (self.pod.ipv4, 15002)):
            self.assertEqual("refused", ask(self.pod, address, uid=PROXY_UID))
        self.apply("--include-inbound-ports", "8080")
        for host in ("127.0.0.6", "::6"):
            self.assertEqual(told("out", (host, 15002)), ask(self.pod, (host, 15002), uid=PROXY_UID, gid=PROXY_UID))
        for host, _ in self.own:
            self.assertEqual(told("in", (host, 15002)), ask(self.pod, (host, 15002), uid=PROXY_UID, gid=PROXY_UID))

    def test_ports_networks_and_users_are_excluded(self):
        self.apply("--exclude-outbound-ports", "443,8443", "--exclude-outbound-cidrs", "192.0.2.0/24,2001:db8::/32", "--exclude-uids", "1001",
                   "--exclude-inbound-ports", "8080,8081")
        for host, _ in self.next:
            self.assertEqual(told("out", (host, 80)), ask(self.pod, (host, 80)))
            self.assertEqual(told("neighbour", (host, 443)), ask(self.pod, (host, 443)))
            self.assertEqual(told("neighbour", (host, 80)), ask(self.pod, (host, 80), uid=1001))
        self.assertEqual("unreachable", ask(self.pod, ELSEWHERE[0]))
        for host, port in self.own:
            self.assertEqual(told("app", (host, port)), ask(self.neighbour, (host, port)))
            self.assertEqual(told("in", (host, 8082)), ask(self.neighbour, (host, 8082)))

    def test_only_what_is_included_is_taken(self):
        self.apply("--include-outbound-ports", "443", "--include-outbound-cidrs", "192.0.2.0/24,2001:db8::/32", "--include-uids", "1001",
                   "--include-inbound-ports", "9090")
        for host, _ in self.next:
            self.assertEqual(told("out", (host, 443)), ask(self.pod, (host, 443), uid=1001))
            self.assertEqual(told("neighbour", (host, 80)), ask(self.pod, (host, 80), uid=1001))
            self.assertEqual(told("neighbour", (host, 443)), ask(self.pod, (host, 443), uid=1002))
        for address in ELSEWHERE:
            self.assertEqual(told("out", address), ask(self.pod, address, uid=1001))
        for host, port in self.own:
            self.assertEqual(told("app", (host, port)), ask(self.neighbour, (host, port)))
            self.assertEqual(told("in", (host, 9090)), ask(self.neighbour, (host, 9090)))

    def test_without_inbound_only_what_is_sent_is_taken(self):
        self.apply("--no-inbound")
        for host, port in self.own:
            self.assertEqual(told("app", (host, port)), ask(self.neighbour, (host, port)))
        self.assertEqual(told("out", ELSEWHERE[0]), ask(self.pod, ELSEWHERE[0]))

    def question(self, to, uid=0, source_port=0):
        """What is answered to a datagram to port 53."""
        family = socket.AF_INET6 if ":" in to else socket.AF_INET
        with acting_as(uid, uid), self.pod.inside(), socket.socket(family, socket.SOCK_DGRAM) as question:
            question.settimeout(LIMIT_S)
            question.bind(("::" if ":" in to else "0.0.0.0", source_port))
            question.connect((to, 53))
            question.send(b"question")
            return question.recv(100).decode()

    def responder(self, pod, port, answer, hosts=("127.0.0.1", "::1")):
        """Answers every datagram, until the test ends."""
        over = threading.Event()

        def serve(bound):
            while not over.is_set():
                with contextlib.suppress(OSError):
                    _, peer = bound.recvfrom(100)
                    bound.sendto(answer, peer)
            bound.close()

        for host in hosts:
            with pod.inside():
                bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
                bound.bind((host, port))
                # Nothing else ends the waiting for a datagram.
                bound.settimeout(0.05)
                thread = threading.Thread(target=serve, args=(bound,), daemon=True)
                thread.start()
                self.addCleanup(thread.join)
        self.addCleanup(over.set)

    def test_questions_to_the_nameservers_go_to_the_responder(self):
        listed, other = (self.neighbour.ipv4, self.neighbour.ipv6), "10.77.1.1"
        self.neighbour.run("ip", "addr", "add", f"{other}/16", "dev", "eth0")
        self.addCleanup(self.neighbour.run, "ip", "addr", "del", f"{other}/16", "dev", "eth0")
        self.pod.resolv_conf.write_text("".join(f"nameserver {each}\n" for each in listed))
        self.responder(self.pod, DNS, b"ours")
        self.responder(self.neighbour, 53, b"theirs", hosts=(*listed, other))
        self.assertEqual("theirs", self.question(self.neighbour.ipv4))
        self.apply("--redirect-dns")
        for server in listed:
            self.assertEqual("ours", self.question(server))
            self.assertEqual(told("dns", (server, 53)), ask(self.pod, (server, 53)))
            self.assertEqual("theirs", self.question(server, uid=PROXY_UID))
        self.assertEqual("theirs", self.question(other))
        self.assertEqual(told("out", (other, 53)), ask(self.pod, (other, 53)))
        self.apply("--redirect-dns", "--dns-all")
        self.assertEqual("ours", self.question(other))

    def test_the_responders_own_question_is_not_taken_for_the_applications(self):
        self.pod.resolv_conf.write_text(f"nameserver {self.neighbour.ipv4}\n")
        self.responder(self.pod, DNS, b"ours")
        self.responder(self.neighbour, 53, b"theirs", hosts=(self.neighbour.ipv4,))
        self.apply("--redirect-dns")
        # From the very port that the application had a moment ago, and whose question conntrack remembers.
        for port in (40001, 40002):
            self.assertEqual("ours", self.question(self.neighbour.ipv4, source_port=port))
            self.assertEqual("theirs", self.question(self.neighbour.ipv4, uid=PROXY_UID, source_port=port))
            self.assertEqual("ours", self.question(self.neighbour.ipv4, source_port=port))

    def test_twice_is_once_and_cleaning_leaves_nothing(self):
        before = self.rules()
        self.apply("--redirect-dns", "--mode", "tproxy")
        self.apply("--redirect-dns")
        once = self.rules()
        self.apply("--redirect-dns")
        self.assertEqual(once, self.rules())
        self.assertNotIn("weft", before.lower())
        self.assertIn("weft", once.lower())
        self.intercept("--clean")
        # The variant of iptables that is made of nftables leaves its empty tables.
        self.assertNotIn("weft", self.rules().lower())
        self.assertNotIn("15001", self.rules())
        self.assertNotIn("::6/128", self.rules())
        self.assertEqual(told("neighbour", self.next[0]), ask(self.pod, self.next[0]))
        self.intercept("--clean")

    def test_the_script_of_a_dry_run_does_it(self):
        before = self.rules()
        script = self.intercept("--backend", self.backend, "--dry-run").stdout
        self.assertEqual(before, self.rules())
        self.pod.run("sh", "-e", input=script)
        self.assertEqual(told("out", ELSEWHERE[0]), ask(self.pod, ELSEWHERE[0]))
        self.assertEqual(told("in", self.own[0]), ask(self.neighbour, self.own[0]))


@needs_root
class ByNft(Taken, Case):
    backend = "nft"

    def test_a_transaction_that_fails_leaves_what_was_before(self):
        self.apply("--exclude-outbound-ports", "443")
        before = self.rules()
        with tempfile.TemporaryDirectory() as folder:
            # Its kernel does not know the last rule.
            fake = pathlib.Path(folder) / "nft"
            fake.write_text("#!/bin/sh\n{ sed '$d'; echo '  chain last { fib nonsense return; }'; echo '}'; } | /usr/sbin/nft -f -\n")
            fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
            failed = self.intercept("--backend", "nft", check=False, env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"})
        self.assertEqual(1, failed.returncode)
        self.assertIn("weft-proxy intercept: nftables: `nft -f -` ended with 1", failed.stderr)
        self.assertEqual(before, self.rules())

    def test_rules_of_the_other_backend_go(self):
        self.intercept("--backend", "iptables")
        self.apply()
        self.assertNotIn("WEFT", self.rules())
        self.intercept("--backend", "iptables")
        self.assertNotIn("table inet weft", self.rules())
        self.assertIn("WEFT", self.rules())

    def test_without_the_capability_it_says_so(self):
        failed = self.pod.run(for_all_users(weft_binary()), "intercept", uid=1000, check=False)
        self.assertEqual(1, failed.returncode)
        self.assertIn("CAP_NET_ADMIN is missing", failed.stderr)


@needs_root
class ByIptables(Taken, Case):
    backend = "iptables"


@needs_root
class ByTproxy(Case):
    """Inbound connections come as they are, by the addresses of both ends."""

    transparent = True

    def check(self, backend):
        self.intercept("--mode", "tproxy", "--backend", backend)
        for host, port in self.own:
            self.assertEqual(told("in", (host, port)), ask(self.neighbour, (host, port)))
            self.assertEqual(told("health", (host, 15021)), ask(self.neighbour, (host, 15021)))
        # Answers to what is sent from here are not taken for inbound.
        for address in self.next:
            self.assertEqual(told("neighbour", address), ask(self.pod, address, uid=PROXY_UID))
            self.assertEqual(told("out", address), ask(self.pod, address))

    def test_by_nft(self):
        self.check("nft")

    def test_by_iptables(self):
        self.check("iptables")

    def test_the_proxy_may_call_the_application_from_its_clients_address(self):
        for backend in ("nft", "iptables"):
            self.intercept("--mode", "tproxy", "--backend", backend)
            for (host, port), client in zip(self.own, (self.neighbour.ipv4, self.neighbour.ipv6)):
                family = socket.AF_INET6 if ":" in host else socket.AF_INET
                with acting_as(PROXY_UID, PROXY_UID), self.pod.inside(), socket.socket(family) as connection:
                    connection.settimeout(LIMIT_S)
                    connection.setsockopt(*((socket.IPPROTO_IPV6, IPV6_TRANSPARENT) if ":" in host else (socket.SOL_IP, IP_TRANSPARENT)), 1)
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, 1337)
                    connection.bind((client, 0))
                    connection.connect((host, port))
                    self.assertEqual(f"app {host} {port} from {client}", connection.makefile().read())


if __name__ == "__main__":
    unittest.main()
