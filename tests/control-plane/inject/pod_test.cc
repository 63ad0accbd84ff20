#include "control-plane/inject/pod.h"

#include <catch2/catch.hpp>

namespace weft::control::inject {
namespace {

using text::Tree;

PodContext context() {
  PodContext made;
  made.settings = default_settings();
  made.workload_name = "cart";
  made.locate = [](std::string_view path) { return std::string(path); };
  return made;
}

Tree pod(const char* spec, const char* metadata = "{}") {
  Tree made = Tree::object();
  made["metadata"] = Tree::parse(metadata);
  made["spec"] = Tree::parse(spec);
  return made;
}

constexpr char kOne[] = R"({"containers": [{"name": "app", "image": "a"}]})";

Outcome inject(Tree* of, const PodContext& by = context()) {
  absl::StatusOr<Outcome> outcome = inject_pod(by, of);
  INFO(outcome.status().message());
  REQUIRE(outcome.ok());
  return *std::move(outcome);
}

std::string skipped(Tree of) {
  const Tree before = of;
  Outcome outcome = inject(&of);
  CHECK(!outcome.is_changed);
  CHECK(of == before);
  return outcome.skipped;
}

std::string refusal(Tree of) {
  const Tree before = of;
  absl::StatusOr<Outcome> outcome = inject_pod(context(), &of);
  CHECK(of == before);
  return outcome.ok() ? "accepted" : std::string(outcome.status().message());
}

const Tree& named(const Tree& list, const std::string& name) {
  for (const Tree& each : list) {
    if (each["name"] == name) return each;
  }
  FAIL("no " + name + " in " + list.dump());
  return list;
}

TEST_CASE("the native form is an init container that stays, before all others") {
  Tree made = pod(R"({"initContainers": [{"name": "first"}], "containers": [{"name": "app"}]})");
  CHECK(inject(&made).is_changed);
  const Tree& inits = made["spec"]["initContainers"];
  REQUIRE(inits.size() == 3);
  CHECK(inits[0]["name"] == "weft-init");
  CHECK(inits[1]["name"] == "weft-proxy");
  CHECK(inits[1]["restartPolicy"] == "Always");
  CHECK(inits[1]["startupProbe"]["httpGet"]["port"] == 15021);
  CHECK(made["spec"]["containers"].size() == 1);
}

TEST_CASE("the classic form writes rules after all init containers, and holds the application by order and a hook") {
  PodContext classic = context();
  classic.settings.native = false;
  Tree made = pod(R"({"initContainers": [{"name": "first"}], "containers": [{"name": "app"}]})");
  inject(&made, classic);
  CHECK(made["spec"]["initContainers"][1]["name"] == "weft-init");
  CHECK(made["spec"]["containers"][0]["name"] == "weft-proxy");
  CHECK(!made["spec"]["containers"][0].contains("restartPolicy"));
  CHECK(made["spec"]["containers"][0]["lifecycle"]["postStart"]["exec"]["command"].dump() ==
        R"(["weft-proxy","wait"])");
  CHECK(made["metadata"]["annotations"]["kubectl.kubernetes.io/default-container"] == "app");
  classic.settings.hold_application = false;
  Tree loose = pod(kOne);
  inject(&loose, classic);
  CHECK(loose["spec"]["containers"][1]["name"] == "weft-proxy");
  CHECK(!loose["spec"]["containers"][1].contains("lifecycle"));
}

TEST_CASE("a proxy has no privilege, and the init container only what rules take") {
  Tree made = pod(kOne);
  inject(&made);
  const Tree& proxy = named(made["spec"]["initContainers"], "weft-proxy")["securityContext"];
  CHECK(proxy["runAsUser"] == 1337);
  CHECK(proxy["runAsNonRoot"] == true);
  CHECK(proxy["readOnlyRootFilesystem"] == true);
  CHECK(proxy["allowPrivilegeEscalation"] == false);
  CHECK(proxy["capabilities"].dump() == R"({"drop":["ALL"]})");
  const Tree& init = named(made["spec"]["initContainers"], "weft-init")["securityContext"];
  CHECK(init["capabilities"].dump() == R"({"drop":["ALL"],"add":["NET_ADMIN","NET_RAW"]})");
  CHECK(init["privileged"] == false);
}

TEST_CASE("a proxy answers questions of DNS where a pod wants it to, and rules bring them there") {
  const auto says = [](const Tree& container, const char* option) {
    const Tree& words = container["args"];
    return std::find(words.begin(), words.end(), option) != words.end();
  };
  for (const bool wanted : {false, true}) {
    Tree made = pod(kOne, wanted ? R"({"annotations": {"weft.mesh/dns": "true"}})" : "{}");
    inject(&made);
    CHECK(says(named(made["spec"]["initContainers"], "weft-init"), "--redirect-dns") == wanted);
    CHECK(says(named(made["spec"]["initContainers"], "weft-proxy"), "--dns") == wanted);
  }
  CHECK(refusal(pod(kOne, R"({"annotations": {"weft.mesh/dns": "yes"}})")).find("weft.mesh/dns") != std::string::npos);
}

TEST_CASE("a pod that says no, or cannot have one, is left as it is") {
  CHECK(skipped(pod(kOne, R"({"annotations": {"weft.mesh/inject": "false"}})")) == "weft.mesh/inject is \"false\"");
  CHECK(skipped(pod(kOne, R"({"labels": {"weft.mesh/inject": "false"}})")) == "weft.mesh/inject is \"false\"");
  CHECK(skipped(pod(kOne, R"({"labels": {"sidecar.istio.io/inject": "false"}})")) ==
        "sidecar.istio.io/inject is \"false\"");
  CHECK(skipped(pod(R"({"hostNetwork": true, "containers": [{"name": "a"}]})")).starts_with("hostNetwork is true"));
  CHECK(skipped(pod(R"({"os": {"name": "windows"}, "containers": [{"name": "a"}]})")).starts_with("it is for Windows"));
  CHECK(skipped(pod(R"({"nodeSelector": {"kubernetes.io/os": "windows"}, "containers": [{"name": "a"}]})"))
            .starts_with("it is for Windows"));
  CHECK(skipped(pod(R"({"containers": [{"name": "a"}, {"name": "istio-proxy"}]})")) ==
        "it has a sidecar of another mesh, istio-proxy");
  CHECK(skipped(pod(R"({"containers": [{"name": "weft-proxy"}]})")) == "it has a container weft-proxy of its own");
}

TEST_CASE("a label goes before an annotation, and our word before Istio's") {
  Tree made = pod(kOne, R"({"labels": {"weft.mesh/inject": "true"}, "annotations": {"weft.mesh/inject": "false",
                            "sidecar.istio.io/inject": "false"}})");
  CHECK(inject(&made).skipped.empty());
  CHECK(is_injected(made));
}

TEST_CASE("a pod that changes its mind loses its sidecar") {
  Tree made = pod(kOne, R"({"annotations": {"a": "b"}})");
  const Tree before = made;
  inject(&made);
  made["metadata"]["annotations"]["weft.mesh/inject"] = "false";
  const Outcome outcome = inject(&made);
  CHECK(outcome.is_changed);
  CHECK(!outcome.skipped.empty());
  CHECK(made["spec"] == before["spec"]);
}

TEST_CASE("probes of the network go to the proxy, which is told whom to ask") {
  Tree made = pod(R"({"containers": [{"name": "app", "ports": [{"name": "web", "containerPort": 8080}],
    "livenessProbe": {"periodSeconds": 3, "httpGet": {"path": "/live", "port": "web", "scheme": "HTTPS"}, "timeoutSeconds": 4},
    "readinessProbe": {"tcpSocket": {"port": 8080}},
    "startupProbe": {"exec": {"command": ["true"]}}},
    {"name": "two", "livenessProbe": {"grpc": {"port": 90}},
     "readinessProbe": {"httpGet": {"host": "elsewhere", "port": 1}},
     "startupProbe": {"httpGet": {"port": "nowhere"}}}]})");
  const Outcome outcome = inject(&made);
  const Tree& app = made["spec"]["containers"][0];
  CHECK(app["livenessProbe"].dump() ==
        R"({"periodSeconds":3,"httpGet":{"path":"/app-health/app/livez","port":15021},"timeoutSeconds":4})");
  CHECK(app["readinessProbe"].dump() == R"({"httpGet":{"path":"/app-health/app/readyz","port":15021}})");
  CHECK(app["startupProbe"].dump() == R"({"exec":{"command":["true"]}})");
  const Tree& two = made["spec"]["containers"][1];
  CHECK(two["readinessProbe"]["httpGet"]["host"] == "elsewhere");
  CHECK(two["startupProbe"]["httpGet"]["port"] == "nowhere");
  REQUIRE(outcome.warnings.size() == 1);
  CHECK(outcome.warnings[0] ==
        "the startupProbe of the container two stays as it is: its httpGet names no port of the container");
  const Tree& env = named(made["spec"]["initContainers"], "weft-proxy")["env"];
  CHECK(named(env, "WEFT_APP_PROBES")["value"] ==
        R"({"/app-health/app/livez":{"httpGet":{"path":"/live","port":8080,"scheme":"HTTPS"},"timeoutSeconds":4},)"
        R"("/app-health/app/readyz":{"tcpSocket":{"port":8080},"timeoutSeconds":1},)"
        R"("/app-health/two/livez":{"grpc":{"port":90},"timeoutSeconds":1}})");
}

TEST_CASE("probes stay where they are if the pod says so") {
  Tree made = pod(R"({"containers": [{"name": "app", "livenessProbe": {"tcpSocket": {"port": 1}}}]})",
                  R"({"annotations": {"weft.mesh/rewrite-probes": "false"}})");
  inject(&made);
  CHECK(made["spec"]["containers"][0]["livenessProbe"].dump() == R"({"tcpSocket":{"port":1}})");
}

TEST_CASE("the service is what the pod says, else its labels, else the workload's name") {
  const auto service = [](const char* metadata, const char* workload) {
    Tree made = pod(
        R"({"containers": [{"name": "app", "ports": [{"containerPort": 53, "protocol": "UDP"}, {"containerPort": 80}]}]})",
        metadata);
    PodContext by = context();
    by.workload_name = workload;
    inject(&made, by);
    const std::string arguments = named(made["spec"]["initContainers"], "weft-proxy")["args"].dump();
    const size_t at = arguments.find("--service");
    return at == arguments.npos ? "" : arguments.substr(at, arguments.find("80", at) - at);
  };
  CHECK(service(R"({"labels": {"app": "b"}, "annotations": {"weft.mesh/service": "a"}})", "c") ==
        R"(--service","a","--app-port",")");
  CHECK(service(R"({"labels": {"app": "b"}})", "c") == R"(--service","b","--app-port",")");
  CHECK(service(R"({"labels": {"app.kubernetes.io/name": "x", "app": "b"}})", "c") ==
        R"(--service","x","--app-port",")");
  CHECK(service("{}", "c") == R"(--service","c","--app-port",")");
}

TEST_CASE("what proxies know the control plane by is in the pod, or named") {
  PodContext by = context();
  by.settings.ca = "-----BEGIN CERTIFICATE-----\n";
  by.settings.ca_config_map.clear();
  by.settings.token_secret = "join";
  Tree made = pod(kOne);
  inject(&made, by);
  CHECK(made["metadata"]["annotations"]["weft.mesh/ca"] == by.settings.ca);
  CHECK(named(made["spec"]["volumes"], "weft-ca")["downwardAPI"]["items"][0]["fieldRef"]["fieldPath"] ==
        "metadata.annotations['weft.mesh/ca']");
  CHECK(named(made["spec"]["volumes"], "weft-token")["secret"]["secretName"] == "join");
  Tree other = pod(kOne);
  inject(&other);
  CHECK(named(other["spec"]["volumes"], "weft-ca")["configMap"]["name"] == "weft-ca");
  const Tree& source = named(other["spec"]["volumes"], "weft-token")["projected"]["sources"][0];
  CHECK(source["serviceAccountToken"]["audience"] == "weft");
}

TEST_CASE("owners are warned of what will not work as they may think") {
  PodContext job = context();
  job.runs_to_completion = true;
  job.settings.native = false;
  Tree made = pod(
      R"({"containers": [{"name": "a", "securityContext": {"runAsUser": 1337}, "ports": [{"containerPort": 15021}]}]})",
      R"({"annotations": {"weft.mesh/exclude-outbound-port": "1"}})");
  const Outcome outcome = inject(&made, job);
  REQUIRE(outcome.warnings.size() == 4);
  CHECK(outcome.warnings[0].starts_with("weft.mesh/exclude-outbound-port means nothing on a pod; known are"));
  CHECK(outcome.warnings[1].starts_with("in the classic form its proxy runs on"));
  CHECK(outcome.warnings[2].starts_with("the container a runs as user 1337"));
  CHECK(outcome.warnings[3] == "the container a has port 15021, which is the proxy's");
}

TEST_CASE("annotations that say something wrong are refused by name") {
  CHECK(refusal(pod(kOne, R"({"annotations": {"weft.mesh/inject": "maybe"}})")) ==
        "metadata.annotations[\"weft.mesh/inject\"]: expected \"true\" or \"false\"; got \"maybe\"");
  CHECK(refusal(pod(kOne, R"({"annotations": {"weft.mesh/proxy-cpu": "lots", "weft.mesh/log-level": "loud"}})")) ==
        "metadata.annotations[\"weft.mesh/log-level\"]: expected one of trace, debug, info, warning, error, critical, "
        "off; got \"loud\"\n"
        "metadata.annotations[\"weft.mesh/proxy-cpu\"]: expected a quantity such as 100m, 0.5, 64Mi or 1Gi; got "
        "\"lots\"");
  // Nobody may choose whom his proxy trusts.
  CHECK(refusal(pod(kOne, R"({"annotations": {"weft.mesh/ca": "x"}})")) ==
        "metadata.annotations[\"weft.mesh/ca\"]: only the operator may say this, in the injector's configuration");
}

TEST_CASE("what is no pod is refused") {
  CHECK(refusal(Tree::parse("[]")) == ": expected a pod, with metadata and spec");
  CHECK(refusal(Tree::parse("{}")) == "spec: expected the pod's spec; got none");
  CHECK(refusal(Tree::parse(R"({"metadata": 1, "spec": 2})")) == "metadata: expected a map\nspec: expected a map");
  CHECK(refusal(pod(R"({"containers": [{"name": "a"}], "initContainers": [{"name": "a"}], "volumes": {}})")) ==
        "spec.initContainers[0].name: \"a\" stands a second time\nspec.volumes: expected a list");
}

TEST_CASE("a record that nobody can have written is refused") {
  for (const char* record : {"", "{}", "[]", R"({"version": 2})", R"({"version": 1, "volumes": "all"})",
                             R"({"version": 1, "containers": [1]})"}) {
    Tree made = pod(kOne);
    made["metadata"]["annotations"]["weft.mesh/injected"] = record;
    CHECK(refusal(made).find("is not what `weftctl inject` writes") != std::string::npos);
  }
}

}  // namespace
}  // namespace weft::control::inject
