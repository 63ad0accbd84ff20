"""Rules of access: who may ask what, of requests and of connections; and, over random rules and requests, that Envoy answers
the same."""

import http.client
import json
import random
import ssl
import tempfile
import threading
import unittest

from tests.integration.harness import bootstrap
from tests.integration.harness.backend import Backend
from tests.integration.harness.certificates import Authority
from tests.integration.harness.proxy import Proxy, under_test

HTTP_RBAC = bootstrap.TYPE + "envoy.extensions.filters.http.rbac.v3.RBAC"
PER_ROUTE = bootstrap.TYPE + "envoy.extensions.filters.http.rbac.v3.RBACPerRoute"
NETWORK_RBAC = bootstrap.TYPE + "envoy.extensions.filters.network.rbac.v3.RBAC"
URI_TEMPLATE = bootstrap.TYPE + "envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig"
NAME = "envoy.filters.http.rbac"
WEB, API = "spiffe://cluster.local/ns/shop/sa/web", "spiffe://cluster.local/ns/pay/sa/api"
ANYONE = [{"any": True}]


def principal(**matcher):
    return {"authenticated": {"principal_name": matcher}}


def policy(permissions=None, principals=None):
    return {"permissions": permissions or ANYONE, "principals": principals or ANYONE}


def path(**matcher):
    return {"url_path": {"path": matcher}}


def http_rbac(**config):
    return {"name": NAME, "typed_config": {"@type": HTTP_RBAC, **config}}


def network_rbac(**config):
    return {"name": "envoy.filters.network.rbac", "typed_config": {"@type": NETWORK_RBAC, "stat_prefix": "tcp.", **config}}


def answers(text="in\n", match=None, **more):
    return {"match": match or {"prefix": "/"}, "direct_response": {"status": 200, "body": {"inline_string": text}}, **more}


class Clients:
    """A server's certificate, and clients of three kinds: two workloads and one without a certificate."""

    def __init__(self, folder):
        authority = Authority(folder)
        self.server = authority.leaf("server", ["DNS:cart.shop", "IP:127.0.0.1"])
        self._root = str(authority.certificate)
        self._leaves = {"web": authority.leaf("web", [f"URI:{WEB}"]), "api": authority.leaf("api", [f"URI:{API}", "DNS:api.pay"]), "none": None}
        self.trust = {"validation_context": {"trusted_ca": {"filename": self._root}}}
        self._connections = {}

    def tls(self):
        return bootstrap.server_tls(self.server, **self.trust)

    def context(self, who):
        context = ssl.create_default_context(cafile=self._root)
        context.check_hostname = False
        if self._leaves[who] is not None:
            context.load_cert_chain(*map(str, self._leaves[who]))
        return context

    def connect(self, who, address):
        connection = http.client.HTTPSConnection(*address, context=self.context(who), timeout=20)
        connection.connect()
        return connection

    def ask(self, who, address, path="/", method="GET", headers=(), host="cart"):
        """(status, body, headers), on one connection for each client and address."""
        connection = self._connections.get((who, address))
        if connection is None:
            connection = self._connections[who, address] = self.connect(who, address)
        connection.putrequest(method, path, skip_host=True)
        for name, value in (("Host", host), *headers):
            connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()
        return response.status, response.read().decode(), response.headers

    def close(self):
        for connection in self._connections.values():
            connection.close()


def log_to(file, text):
    return [{"name": "log", "typed_config": {"@type": bootstrap.FILE_LOG, "path": file, "log_format": {"text_format_source": {"inline_string": text}}}}]


def read_log(proxy, file, enough, limit_s=20):
    """The lines of an access log, when `enough` of them are there."""
    pause = threading.Event()
    for _ in range(int(limit_s / 0.02)):
        with open(file, encoding="utf-8") as log:
            lines = log.read().splitlines()
        if len(lines) >= enough:
            return lines
        pause.wait(0.02)
    raise AssertionError(f"{len(lines)} lines in the access log, expected {enough}:\n{proxy.output.text()}")


def arguments(kind):
    return ["--file-flush-interval-msec", "20"] if kind == "envoy" else []


class Requests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = cls.enterClassContext(tempfile.TemporaryDirectory())
        cls.clients = Clients(folder)
        cls.addClassCleanup(cls.clients.close)
        cls.log = folder + "/access.log"
        viewers = {"action": "ALLOW", "policies": {"viewers": policy([path(prefix="/cart")], [principal(exact=WEB)])}}
        no_posts = {"action": "DENY", "policies": {"no posts": policy([{"header": {"name": ":method", "string_match": {"exact": "POST"}}}])}}
        audit = {"action": "LOG", "policies": {"all": policy()}}
        filters = [http_rbac(rules=no_posts, shadow_rules=viewers, shadow_rules_stat_prefix="trial_", rules_stat_prefix="deny_"),
                   http_rbac(rules=viewers)]
        filters[1]["name"] = "allow"
        open_route = answers(match={"path": "/health"}, typed_per_filter_config={"allow": {"@type": PER_ROUTE}})
        filters.append(http_rbac(rules=audit, rules_stat_prefix="audit_"))
        filters[2]["name"] = "audit"
        logged = log_to(cls.log, "%REQ(x-case)% %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% "
                                 "%DYNAMIC_METADATA(envoy.filters.http.rbac:trial_shadow_engine_result)%\n")
        hint = {"matcher": {"filter": "envoy.common", "path": [{"key": "access_log_hint"}], "value": {"bool_match": True}}, "match_if_key_not_found": False}
        cls.hinted = folder + "/hinted.log"
        logged += [{**log_to(cls.hinted, "%REQ(x-case)%\n")[0], "filter": {"metadata_filter": hint}}]
        listener = bootstrap.http_listener("http", [open_route, answers()], tls=cls.clients.tls(), http_filters=filters, access_log=logged)
        cls.proxy = cls.enterClassContext(Proxy(bootstrap.bootstrap([listener], []), arguments=arguments(under_test())))

    def ask(self, who, path="/cart", case="-", **more):
        more["headers"] = [("x-case", case), *more.get("headers", ())]
        return self.clients.ask(who, self.proxy.addresses["http"], path, **more)

    def test_only_whom_a_policy_names_is_let_in_and_the_others_are_told(self):
        self.assertEqual((200, "in\n"), self.ask("web")[:2])
        for who, where in (("api", "/cart"), ("none", "/cart"), ("web", "/admin")):
            status, body, headers = self.ask(who, where)
            self.assertEqual((403, "RBAC: access denied", "text/plain"), (status, body, headers["content-type"]))

    def test_a_grpc_caller_is_told_in_its_own_way(self):
        status, _, headers = self.ask("api", headers=[("Content-Type", "application/grpc")])
        self.assertEqual((200, "7", "RBAC: access denied"), (status, headers["grpc-status"], headers["grpc-message"]))

    def test_a_route_may_have_no_rules(self):
        self.assertEqual(200, self.ask("none", "/health")[0])
        self.assertEqual(403, self.ask("none", "/health", method="POST")[0])

    def test_the_log_names_the_policy_and_what_the_trial_said(self):
        self.ask("api", case="allowlist")
        self.ask("web", case="denylist", method="POST")
        self.ask("web", case="passed")
        lines = read_log(self.proxy, self.log, 3)
        while not any(line.startswith("passed") for line in lines):
            lines = read_log(self.proxy, self.log, len(lines) + 1)
        said = {line.split(" ")[0]: line.split(" ")[1:] for line in lines}
        self.assertEqual(["403", "-", "rbac_access_denied_matched_policy[none]", "denied"], said["allowlist"])
        self.assertEqual(["403", "-", "rbac_access_denied_matched_policy[no_posts]", "allowed"], said["denylist"])
        self.assertEqual(["200", "-", "direct_response", "allowed"], said["passed"])

    def test_outcomes_are_counted_under_envoys_names(self):
        names = ["http.ingress.rbac.allowed", "http.ingress.rbac.denied", "http.ingress.rbac.deny_denied", "http.ingress.rbac.trial_shadow_denied"]
        before = [self.proxy.counter(name) for name in names]
        self.ask("web")
        self.ask("api")
        self.ask("web", method="POST")
        self.assertEqual([1, 1, 1, 1], [self.proxy.counter(name) - was for name, was in zip(names, before)])

    def test_a_log_rule_tells_the_access_log_what_it_saw(self):
        self.ask("web", case="hinted")
        self.ask("api", case="refused-before")
        self.ask("web", case="hinted-too")
        while True:
            lines = read_log(self.proxy, self.hinted, 1)
            if "hinted-too" in lines:
                break
        self.assertIn("hinted", lines)
        self.assertNotIn("refused-before", lines)


class Connections(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = cls.enterClassContext(tempfile.TemporaryDirectory())
        cls.clients = Clients(folder)
        cls.backend = cls.enterClassContext(Backend())
        cls.log = folder + "/tcp.log"
        web_alone = {"policies": {"web alone": policy(None, [principal(exact=WEB)])}}
        no_api = {"action": "DENY", "policies": {"no-api": policy(None, [principal(suffix="/sa/api")])}}
        logged = log_to(cls.log, "%CONNECTION_TERMINATION_DETAILS%\n")
        tcp = bootstrap.tcp_listener("tcp", "backend", access_log=logged)["filter_chains"][0]["filters"]
        listeners = [
            bootstrap.listener("tcp", [network_rbac(rules=web_alone), *tcp], tls=cls.clients.tls()),
            bootstrap.listener("http", [network_rbac(rules=no_api, stat_prefix="inbound."), bootstrap.connection_manager([answers()])], tls=cls.clients.tls()),
            bootstrap.listener("trial", [network_rbac(shadow_rules=no_api, stat_prefix="dry."), *tcp], tls=cls.clients.tls()),
        ]
        clusters = [bootstrap.cluster("backend", [cls.backend.address])]
        cls.proxy = cls.enterClassContext(Proxy(bootstrap.bootstrap(listeners, clusters), arguments=arguments(under_test())))

    def status(self, who, listener):
        """Of an answer on a new connection; None if it was closed instead."""
        connection = self.clients.connect(who, self.proxy.addresses[listener])
        try:
            connection.request("GET", "/")
            return connection.getresponse().status
        except (http.client.BadStatusLine, ConnectionError, ssl.SSLError):
            return None
        finally:
            connection.close()

    def test_a_connection_that_no_policy_allows_is_closed_and_no_upstream_sees_it(self):
        self.assertEqual(200, self.status("web", "tcp"))
        mark = self.backend.mark()
        self.assertIsNone(self.status("api", "tcp"))
        self.assertIsNone(self.status("none", "tcp"))
        self.assertEqual([], self.backend.since(mark)[0])
        self.assertIn("rbac_access_denied_matched_policy[none]", read_log(self.proxy, self.log, 3))
        self.assertGreaterEqual(self.proxy.counter("tcp.rbac.denied"), 2)

    def test_rules_of_connections_come_before_http(self):
        self.assertEqual(200, self.status("web", "http"))
        self.assertIsNone(self.status("api", "http"))
        self.assertGreaterEqual(self.proxy.counter("inbound.rbac.denied"), 1)

    def test_rules_on_trial_close_nothing(self):
        self.assertEqual(200, self.status("api", "trial"))
        self.assertEqual(1, self.proxy.counter("dry.rbac.shadow_denied"))


class Generator:
    """Random rules that hold about as often as not."""

    def __init__(self, seed, has_headers=True):
        self._random = random.Random(seed)
        self._has_headers = has_headers
        self.pick = self._random.choice

    def text(self, values):
        value = self.pick(values)
        cut = self._random.randrange(1, len(value))
        matcher = self.pick([{"exact": value}, {"exact": value}, {"prefix": value[:cut]}, {"suffix": value[cut:]}, {"contains": value[cut // 2:cut + 1]},
                             {"safe_regex": {"regex": value[:cut] + ".*"}}])
        if "safe_regex" not in matcher and self._random.random() < 0.2:
            key = next(iter(matcher))
            matcher = {key: matcher[key].upper(), "ignore_case": True}
        return matcher

    def header(self):
        match = self.pick([
            {"name": ":method", "string_match": {"exact": self.pick(["GET", "POST"])}},
            {"name": ":authority", "string_match": self.text(["cart", "till"])},
            {"name": "x-tier", "string_match": self.text(["gold", "silver"])},
            {"name": "x-tier", "present_match": self.pick([True, False])},
            {"name": "x-level", "range_match": {"start": 2, "end": 5}},
            {"name": ":path", "string_match": self.text(["/cart/1", "/admin?x=1"])},
            {"name": "x-tier", "string_match": {"exact": "gold"}, "treat_missing_header_as_empty": True},
        ])
        return {**match, "invert_match": True} if self._random.random() < 0.25 else match

    def metadata(self):
        matcher = {"filter": "nobody", "path": [{"key": "a"}], "value": {"present_match": True}}
        return {**matcher, "invert": True} if self._random.random() < 0.5 else matcher

    def range(self):
        return self.pick([{"address_prefix": "127.0.0.0", "prefix_len": 8}, {"address_prefix": "127.0.0.1", "prefix_len": 32},
                          {"address_prefix": "10.0.0.0", "prefix_len": 8}, {"address_prefix": "::", "prefix_len": 0},
                          {"address_prefix": "203.0.113.0", "prefix_len": 24}])

    def kind(self, kinds):
        return self.pick([kind for kind in kinds if kind != "header" or self._has_headers])

    def permission(self, depth=2):
        kinds = ["any", "header", "url_path", "destination_ip", "destination_port", "destination_port_range", "requested_server_name", "metadata",
                 "uri_template", "header", "url_path"]
        kind = self.kind(kinds + (["and_rules", "or_rules", "not_rule"] * 3 if depth else []))
        below = lambda: self.permission(depth - 1)
        return {
            "any": lambda: {"any": True},
            "and_rules": lambda: {"and_rules": {"rules": [below() for _ in range(self.pick([1, 2]))]}},
            "or_rules": lambda: {"or_rules": {"rules": [below() for _ in range(self.pick([1, 2, 3]))]}},
            "not_rule": lambda: {"not_rule": below()},
            "header": lambda: {"header": self.header()},
            "url_path": lambda: path(**self.text(["/cart/1", "/admin", "/cart/1/items"])),
            "destination_ip": lambda: {"destination_ip": self.range()},
            "destination_port": lambda: {"destination_port": self.pick([80, 443])},
            "destination_port_range": lambda: {"destination_port_range": self.pick([{"start": 1, "end": 1024}, {"start": 1024, "end": 65536}])},
            "requested_server_name": lambda: {"requested_server_name": self.text(["cart.shop", "till.shop"])},
            "metadata": lambda: {"metadata": self.metadata()},
            "uri_template": lambda: {"uri_template": {"name": "t", "typed_config": {"@type": URI_TEMPLATE, "path_template": self.pick(
                ["/cart/*", "/cart/**", "/{what}", "/cart/{id}/items", "/{rest=**}", "/a*"])}}},
        }[kind]()

    def principal(self, depth=2):
        kinds = ["any", "authenticated", "authenticated", "authenticated", "source_ip", "direct_remote_ip", "remote_ip", "header", "url_path", "metadata"]
        kind = self.kind(kinds + (["and_ids", "or_ids", "not_id"] * 2 if depth else []))
        below = lambda: self.principal(depth - 1)
        return {
            "any": lambda: {"any": True},
            "and_ids": lambda: {"and_ids": {"ids": [below() for _ in range(self.pick([1, 2]))]}},
            "or_ids": lambda: {"or_ids": {"ids": [below() for _ in range(self.pick([1, 2, 3]))]}},
            "not_id": lambda: {"not_id": below()},
            "authenticated": lambda: principal(**self.text([WEB, API, "api.pay"])),
            "source_ip": lambda: {"source_ip": self.range()},
            "direct_remote_ip": lambda: {"direct_remote_ip": self.range()},
            "remote_ip": lambda: {"remote_ip": self.range()},
            "header": lambda: {"header": self.header()},
            "url_path": lambda: path(**self.text(["/cart/1", "/admin"])),
            "metadata": lambda: {"metadata": self.metadata()},
        }[kind]()

    def rules(self):
        count = self.pick([1, 2, 3, 4])
        return {"action": self.pick(["ALLOW", "ALLOW", "DENY", "LOG"]), "policies": {
            f"policy {i}": policy([self.permission() for _ in range(self.pick([1, 2]))], [self.principal() for _ in range(self.pick([1, 2]))])
            for i in range(count)}}

    def rbac(self):
        return {"rules": self.rules(), **({"shadow_rules": self.rules()} if self._random.random() < 0.3 else {})}


@unittest.skipIf(under_test() == "envoy", "compares the two")
class SameAsEnvoy(unittest.TestCase):
    RULES = 60
    WHO = ("web", "api", "none")
    ASKED = [
        ("GET", "/cart/1", []),
        ("POST", "/cart/1?x=1", [("x-tier", "gold"), ("x-level", "3")]),
        ("GET", "/admin?x=1", [("x-level", "5"), ("x-forwarded-for", "203.0.113.7")]),
        ("GET", "/cart/1/items", [("x-tier", "silver"), ("x-level", "x")]),
        ("GET", "/about", [("x-forwarded-for", "10.1.2.3, 203.0.113.8")]),
    ]

    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory())
        self.clients = Clients(self.folder)
        self.addCleanup(self.clients.close)

    def run_requests(self, kind, rules):
        """What each request was answered and logged as."""
        log = f"{self.folder}/{kind}.log"
        hosts = [{"name": f"r{i}", "domains": [f"r{i}"], "routes": [answers()],
                  "typed_per_filter_config": {NAME: {"@type": PER_ROUTE, "rbac": each}}} for i, each in enumerate(rules)]
        logged = log_to(log, "%REQ(x-case)%\t%RESPONSE_CODE%\t%RESPONSE_CODE_DETAILS%\t%DYNAMIC_METADATA(envoy.filters.http.rbac)%\n")
        listener = bootstrap.http_listener("http", None, tls=self.clients.tls(), virtual_hosts=hosts, http_filters=[http_rbac()], access_log=logged,
                                           use_remote_address=True, xff_num_trusted_hops=1)
        seen = {}
        with Proxy(bootstrap.bootstrap([listener], []), kind=kind, arguments=arguments(kind)) as proxy:
            for i in range(len(rules)):
                for who in self.WHO:
                    for n, (method, where, headers) in enumerate(self.ASKED):
                        status, body, _ = self.clients.ask(who, proxy.addresses["http"], where, method, [*headers, ("x-case", f"{i}/{who}/{n}")], host=f"r{i}")
                        seen[f"{i}/{who}/{n}"] = [status, body]
            for line in read_log(proxy, log, len(seen)):
                case, status, details, metadata = line.split("\t")
                seen[case] += [int(status), details, json.loads(metadata) if metadata != "-" else {}]
            seen["counts"] = [proxy.counter(f"http.ingress.rbac.{name}") for name in ("allowed", "denied", "shadow_allowed", "shadow_denied")]
        return seen

    def test_random_rules_of_requests(self):
        seed = 20260101
        generator = Generator(seed)
        rules = [generator.rbac() for _ in range(self.RULES)]
        ours, envoys = self.run_requests("weft", rules), self.run_requests("envoy", rules)
        for case, expected in envoys.items():
            which = json.dumps(rules[int(case.split("/")[0])]) if "/" in case else ""
            self.assertEqual(expected, ours[case], f"seed {seed}, case {case}: {which}")
        statuses = [answer[0] for case, answer in ours.items() if "/" in case]
        self.assertGreater(min(statuses.count(200), statuses.count(403)), len(statuses) // 5, "the rules say nearly always the same")

    def run_connections(self, kind, rules, backend):
        listeners = []
        for i, each in enumerate(rules):
            tcp = bootstrap.tcp_listener("tcp", "backend")["filter_chains"][0]["filters"]
            listeners.append(bootstrap.listener(f"l{i}", [network_rbac(**each, stat_prefix=f"r{i}."), *tcp], tls=self.clients.tls()))
        seen = {}
        with Proxy(bootstrap.bootstrap(listeners, [bootstrap.cluster("backend", [backend.address])]), kind=kind) as proxy:
            for i in range(len(rules)):
                for who in self.WHO:
                    connection = self.clients.connect(who, proxy.addresses[f"l{i}"])
                    try:
                        connection.request("GET", "/cart/1", headers={"Connection": "close"})
                        seen[f"{i}/{who}"] = connection.getresponse().status
                    except (http.client.BadStatusLine, ConnectionError, ssl.SSLError):
                        seen[f"{i}/{who}"] = None
                    finally:
                        connection.close()
                seen[f"{i}/counts"] = [proxy.counter(f"r{i}.rbac.{name}") for name in ("allowed", "denied", "shadow_allowed", "shadow_denied")]
        return seen

    def test_random_rules_of_connections(self):
        seed = 20260102
        generator = Generator(seed, has_headers=False)
        rules = [generator.rbac() for _ in range(30)]
        with Backend() as backend:
            ours, envoys = self.run_connections("weft", rules, backend), self.run_connections("envoy", rules, backend)
        for case, expected in envoys.items():
            self.assertEqual(expected, ours[case], f"seed {seed}, case {case}: {json.dumps(rules[int(case.split('/')[0])])}")


@unittest.skipIf(under_test() == "envoy", "what is refused is ours to say")
class Refused(unittest.TestCase):
    def test_what_is_not_done_is_refused_by_name(self):
        header = {"header": {"name": "x", "present_match": True}}
        rules = lambda policies: {"rules": {"policies": {"p": policies}}}
        cases = {
            "condition": http_rbac(**rules({**policy(), "condition": {"const_expr": {"bool_value": True}}})),
            "track_per_rule_stats": http_rbac(track_per_rule_stats=True),
            "audit_logging_options": http_rbac(rules={"audit_logging_options": {"audit_condition": "ON_DENY"}}),
            "filter_state": http_rbac(**rules(policy(None, [{"filter_state": {"key": "k", "string_match": {"exact": "v"}}}]))),
            "matcher": http_rbac(matcher={"on_no_match": {"action": {"name": "a", "typed_config": {"@type": HTTP_RBAC}}}}),
            "expected at least one": http_rbac(**rules({"permissions": [], "principals": ANYONE})),
            "can only be true": http_rbac(**rules(policy([{"any": False}]))),
            "two slashes": http_rbac(**rules(policy([{"uri_template": {"name": "t", "typed_config": {"@type": URI_TEMPLATE, "path_template": "/a//b"}}}]))),
        }
        for wanted, each in cases.items():
            with self.subTest(wanted):
                self.refused(wanted, bootstrap.http_listener("http", [answers()], http_filters=[each]))
        tcp = bootstrap.tcp_listener("tcp", "none")["filter_chains"][0]["filters"]
        connections = {"only requests have headers": network_rbac(**rules(policy([header]))), "CONTINUOUS": network_rbac(enforcement_type="CONTINUOUS"),
                       "delay_deny": network_rbac(delay_deny="1s"), "stat_prefix": network_rbac(stat_prefix="")}
        for wanted, each in connections.items():
            with self.subTest(wanted):
                self.refused(wanted, bootstrap.listener("tcp", [each, *tcp]))
        self.refused("the last filter must be", bootstrap.listener("tcp", [network_rbac()]))

    def refused(self, wanted, listener):
        with self.assertRaisesRegex(AssertionError, wanted):
            with Proxy(bootstrap.bootstrap([listener], [bootstrap.cluster("none", [("127.0.0.1", 1)])])):
                pass
