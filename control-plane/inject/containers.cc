#include "control-plane/inject/containers.h"

#include <string>
#include <utility>

#include "api/text/cat.h"
#include "control-plane/inject/probes.h"

namespace weft::control::inject {

namespace {

using text::cat;
using text::Tree;

constexpr char kProgram[] = "weft-proxy";
constexpr char kTokenVolume[] = "weft-token";
constexpr char kTokenFolder[] = "/var/run/secrets/weft";
constexpr char kCaVolume[] = "weft-ca";
constexpr char kCaFolder[] = "/etc/weft/ca";
constexpr char kCaFile[] = "ca.crt";
constexpr char kRunVolume[] = "weft-run";
// Of a service account's token; the kubelet renews it at four fifths.
constexpr int kTokenLifeSeconds = 3600;
constexpr int kOutboundPort = 15001;
constexpr int kInboundPort = 15006;
constexpr int kMetricsPort = 15090;

// A pod that joins by a token whose text has the control plane's fingerprint needs nothing else to know it.
bool has_ca(const Settings& settings) { return !settings.ca.empty() || !settings.ca_config_map.empty(); }

Tree resources(const Settings& settings) {
  Tree requests = {{"cpu", settings.cpu}, {"memory", settings.memory}};
  Tree limits = Tree::object();
  if (!settings.cpu_limit.empty()) limits["cpu"] = settings.cpu_limit;
  if (!settings.memory_limit.empty()) limits["memory"] = settings.memory_limit;
  Tree out = {{"requests", std::move(requests)}};
  if (!limits.empty()) out["limits"] = std::move(limits);
  return out;
}

Tree container(const char* name, const Settings& settings, Tree arguments) {
  Tree out = {{"name", name}, {"image", settings.image}};
  if (!settings.image_pull_policy.empty()) out["imagePullPolicy"] = settings.image_pull_policy;
  out["command"] = Tree::array({kProgram});
  out["args"] = std::move(arguments);
  return out;
}

Tree from_field(const char* name, const char* path) {
  return {{"name", name}, {"valueFrom", {{"fieldRef", {{"fieldPath", path}}}}}};
}

Tree mount(const char* volume, const char* path) { return {{"name", volume}, {"mountPath", path}, {"readOnly", true}}; }

Tree ready_probe(int period_seconds, int failures) {
  return {{"httpGet", {{"path", "/healthz/ready"}, {"port", kHealthPort}}},
          {"periodSeconds", period_seconds},
          {"timeoutSeconds", 3},
          {"failureThreshold", failures}};
}

void add_option(Tree* arguments, const char* name, const std::string& value) {
  if (value.empty()) return;
  arguments->push_back(name);
  arguments->push_back(value);
}

Tree sidecar_arguments(const Settings& settings) {
  Tree out = Tree::array({"sidecar", "--control", settings.control_address, "--namespace", "$(POD_NAMESPACE)",
                          "--node-id", "$(POD_NAMESPACE)/$(POD_NAME)", "--inbound-address", "$(POD_IP)",
                          "--interception", "--metrics-address", cat("0.0.0.0:", kMetricsPort)});
  if (settings.dns) out.push_back("--dns");
  if (settings.app_port != 0) {
    add_option(&out, "--service", settings.service);
    add_option(&out, "--app-port", std::to_string(settings.app_port));
  }
  // Who joins by a token is who that says.
  if (settings.token_secret.empty()) add_option(&out, "--service-account", "$(SERVICE_ACCOUNT)");
  if (has_ca(settings)) add_option(&out, "--ca-file", cat(kCaFolder, "/", kCaFile));
  add_option(&out, "--token-file", cat(kTokenFolder, "/token"));
  add_option(&out, "--log-level", settings.log_level);
  return out;
}

Tree file_volume(const char* name, const char* kind, Tree source) {
  return {{"name", name}, {kind, std::move(source)}};
}

}  // namespace

Tree init_container(const Settings& settings) {
  Tree arguments = Tree::array({"intercept", "--outbound-port", std::to_string(kOutboundPort), "--inbound-port",
                                std::to_string(kInboundPort), "--uid", std::to_string(kProxyUid), "--gid",
                                std::to_string(kProxyUid)});
  if (settings.dns) arguments.push_back("--redirect-dns");
  add_option(&arguments, "--include-inbound-ports", settings.include_inbound_ports);
  add_option(&arguments, "--include-outbound-ports", settings.include_outbound_ports);
  add_option(&arguments, "--exclude-inbound-ports", settings.exclude_inbound_ports);
  add_option(&arguments, "--exclude-outbound-ports", settings.exclude_outbound_ports);
  add_option(&arguments, "--include-outbound-cidrs", settings.include_outbound_cidrs);
  add_option(&arguments, "--exclude-outbound-cidrs", settings.exclude_outbound_cidrs);
  Tree out = container(kInitContainer, settings, std::move(arguments));
  out["resources"] = resources(settings);
  out["securityContext"] = {{"runAsUser", 0},
                            {"runAsGroup", 0},
                            {"runAsNonRoot", false},
                            {"privileged", false},
                            {"allowPrivilegeEscalation", false},
                            {"readOnlyRootFilesystem", true},
                            {"capabilities", {{"drop", {"ALL"}}, {"add", {"NET_ADMIN", "NET_RAW"}}}}};
  out["terminationMessagePolicy"] = "FallbackToLogsOnError";
  // Where iptables keeps the file by which it locks out others.
  out["volumeMounts"] = Tree::array({{{"name", kRunVolume}, {"mountPath", "/run"}}});
  return out;
}

Tree proxy_container(const Settings& settings, const Tree& probes) {
  Tree out = container(kProxyContainer, settings, sidecar_arguments(settings));
  if (settings.native) out["restartPolicy"] = "Always";
  out["ports"] = Tree::array({{{"name", "weft-health"}, {"containerPort", kHealthPort}, {"protocol", "TCP"}},
                              {{"name", "weft-metrics"}, {"containerPort", kMetricsPort}, {"protocol", "TCP"}}});
  out["env"] =
      Tree::array({from_field("POD_NAME", "metadata.name"), from_field("POD_NAMESPACE", "metadata.namespace"),
                   from_field("POD_IP", "status.podIP"), from_field("SERVICE_ACCOUNT", "spec.serviceAccountName")});
  if (!probes.empty()) out["env"].push_back({{"name", "WEFT_APP_PROBES"}, {"value", probes.dump()}});
  out["resources"] = resources(settings);
  out["securityContext"] = {{"runAsUser", kProxyUid},
                            {"runAsGroup", kProxyUid},
                            {"runAsNonRoot", true},
                            {"privileged", false},
                            {"allowPrivilegeEscalation", false},
                            {"readOnlyRootFilesystem", true},
                            {"capabilities", {{"drop", {"ALL"}}}}};
  // With a startup probe Kubernetes starts the containers after a native sidecar once it has succeeded.
  if (settings.native && settings.hold_application) out["startupProbe"] = ready_probe(1, 600);
  // Kubernetes starts the containers after it once this hook is over.
  if (!settings.native && settings.hold_application) {
    out["lifecycle"] = {{"postStart", {{"exec", {{"command", Tree::array({kProgram, "wait"})}}}}}};
  }
  out["readinessProbe"] = ready_probe(15, 4);
  out["terminationMessagePolicy"] = "FallbackToLogsOnError";
  out["volumeMounts"] = Tree::array({mount(kTokenVolume, kTokenFolder)});
  if (has_ca(settings)) out["volumeMounts"].push_back(mount(kCaVolume, kCaFolder));
  return out;
}

Tree volumes(const Settings& settings) {
  Tree out = Tree::array();
  out.push_back(file_volume(kRunVolume, "emptyDir", {{"medium", "Memory"}}));
  if (settings.token_secret.empty()) {
    Tree token = {{"audience", "weft"}, {"expirationSeconds", kTokenLifeSeconds}, {"path", "token"}};
    Tree sources = Tree::array();
    sources.push_back({{"serviceAccountToken", std::move(token)}});
    out.push_back(file_volume(kTokenVolume, "projected", {{"sources", std::move(sources)}}));
  } else {
    out.push_back(file_volume(kTokenVolume, "secret", {{"secretName", settings.token_secret}}));
  }
  if (!settings.ca.empty()) {
    Tree item = {{"path", kCaFile}, {"fieldRef", {{"fieldPath", cat("metadata.annotations['", kCaAnnotation, "']")}}}};
    Tree items = Tree::array();
    items.push_back(std::move(item));
    out.push_back(file_volume(kCaVolume, "downwardAPI", {{"items", std::move(items)}}));
  } else if (!settings.ca_config_map.empty()) {
    out.push_back(file_volume(kCaVolume, "configMap", {{"name", settings.ca_config_map}}));
  }
  return out;
}

}  // namespace weft::control::inject
