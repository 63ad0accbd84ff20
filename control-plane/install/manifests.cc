#include "control-plane/install/manifests.h"

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "api/text/cat.h"
#include "control-plane/inject/settings.h"
#include "control-plane/install/custom_resources.h"
#include "control-plane/install/webhook.h"
#include "control-plane/registry/format.h"

namespace weft::control::install {

namespace {

using text::cat;
using text::Tree;

constexpr char kControl[] = "weft-control";
constexpr char kTlsSecret[] = "weft-control-tls";
constexpr char kInjectConfig[] = "weft-inject";
constexpr char kMeshConfig[] = "weft-mesh";
constexpr char kDataClaim[] = "weft-data";
constexpr int kXdsPort = 15010;
constexpr int kWebhookPort = 15017;
constexpr int kUid = 1337;
// Kubernetes' own of one that is not set.
constexpr int kReadOnlyMode = 0440;

Tree labels() { return {{"app.kubernetes.io/name", kControl}, {"app.kubernetes.io/part-of", "weft"}}; }

Tree object(const char* version, const char* kind, const InstallOptions& options, const char* name) {
  return {{"apiVersion", version},
          {"kind", kind},
          {"metadata", {{"name", name}, {"namespace", options.namespace_name}, {"labels", labels()}}}};
}

Tree mesh_namespace(const InstallOptions& options) {
  Tree words = labels();
  words["weft.mesh/inject"] = "false";
  words["pod-security.kubernetes.io/enforce"] = "restricted";
  return {{"apiVersion", "v1"},
          {"kind", "Namespace"},
          {"metadata", {{"name", options.namespace_name}, {"labels", std::move(words)}}}};
}

// Kubernetes' own roles for people grow by these: who may edit a namespace may edit what of the mesh is in it.
Tree role(const char* name, Tree verbs, Tree grows) {
  grows.update(labels());
  Tree rule = {{"apiGroups", {kGroup}}, {"resources", custom_resource_plurals()}, {"verbs", std::move(verbs)}};
  return {{"apiVersion", "rbac.authorization.k8s.io/v1"},
          {"kind", "ClusterRole"},
          {"metadata", {{"name", name}, {"labels", std::move(grows)}}},
          {"rules", Tree::array({std::move(rule)})}};
}

Tree aggregate_to(const char* who) { return {{cat("rbac.authorization.k8s.io/aggregate-to-", who), "true"}}; }

void add_roles(std::vector<Tree>* out) {
  Tree editors = aggregate_to("edit");
  editors.update(aggregate_to("admin"));
  out->push_back(role("weft-view", Tree::array({"get", "list", "watch"}), aggregate_to("view")));
  out->push_back(role("weft-edit",
                      Tree::array({"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"}),
                      std::move(editors)));
}

Tree tls_secret(const InstallOptions& options) {
  Tree out = object("v1", "Secret", options, kTlsSecret);
  out["type"] = "kubernetes.io/tls";
  out["data"] = {{"tls.crt", absl::Base64Escape(options.certificate)}, {"tls.key", absl::Base64Escape(options.key)}};
  return out;
}

std::string control_address(const InstallOptions& options) {
  if (!options.control_address.empty()) return options.control_address;
  return cat(kControl, ".", options.namespace_name, ".svc:", kXdsPort);
}

// What the webhook, and `weftctl inject --config`, go by.
Tree inject_config(const InstallOptions& options) {
  const Tree config = {{"image", options.proxy_image},
                       {"imagePullPolicy", options.image_pull_policy},
                       {"controlAddress", control_address(options)},
                       {"ca", options.certificate}};
  Tree out = object("v1", "ConfigMap", options, kInjectConfig);
  out["data"] = {{"inject.yaml", text::print_tree_yaml(config)}};
  return out;
}

Tree data_claim(const InstallOptions& options) {
  Tree out = object("v1", "PersistentVolumeClaim", options, kDataClaim);
  out["spec"] = {{"accessModes", {"ReadWriteOnce"}}, {"resources", {{"requests", {{"storage", options.storage}}}}}};
  return out;
}

// The one thing that it asks of Kubernetes: the keys by which it knows the tokens of service accounts.
Tree issuer_keys_binding(const InstallOptions& options) {
  Tree subject = {{"kind", "ServiceAccount"}, {"name", kControl}, {"namespace", options.namespace_name}};
  return {{"apiVersion", "rbac.authorization.k8s.io/v1"},
          {"kind", "ClusterRoleBinding"},
          {"metadata", {{"name", "weft-control-issuer-keys"}, {"labels", labels()}}},
          {"roleRef",
           {{"apiGroup", "rbac.authorization.k8s.io"},
            {"kind", "ClusterRole"},
            {"name", "system:service-account-issuer-discovery"}}},
          {"subjects", Tree::array({std::move(subject)})}};
}

Tree service(const InstallOptions& options) {
  Tree out = object("v1", "Service", options, kControl);
  out["spec"] = {{"selector", labels()},
                 {"ports", Tree::array({{{"name", "grpc-xds"}, {"port", kXdsPort}, {"targetPort", "xds"}},
                                        {{"name", "https-webhook"}, {"port", 443}, {"targetPort", "webhook"}}})}};
  return out;
}

Tree mount(const char* volume, const char* path, bool is_read_only) {
  Tree out = {{"name", volume}, {"mountPath", path}};
  if (is_read_only) out["readOnly"] = true;
  return out;
}

Tree health_probe(int period_seconds, int failures) {
  return {{"httpGet", {{"path", "/healthz"}, {"port", "webhook"}, {"scheme", "HTTPS"}}},
          {"periodSeconds", period_seconds},
          {"failureThreshold", failures}};
}

Tree control_arguments(const InstallOptions& options) {
  // Where Kubernetes puts what a pod needs to call it.
  const std::string account = "/var/run/secrets/kubernetes.io/serviceaccount";
  return Tree::array({"--data-dir",
                      "/var/lib/weft",
                      "--config-dir",
                      "/etc/weft/mesh",
                      "--xds-address",
                      cat("0.0.0.0:", kXdsPort),
                      "--tls-cert",
                      "/etc/weft/tls/tls.crt",
                      "--tls-key",
                      "/etc/weft/tls/tls.key",
                      "--trust-domain",
                      options.trust_domain,
                      "--kubernetes-jwks",
                      "https://kubernetes.default.svc/openid/v1/jwks",
                      "--kubernetes-jwks-ca",
                      account + "/ca.crt",
                      "--kubernetes-jwks-token",
                      account + "/token",
                      "--kubernetes-issuer",
                      options.issuer,
                      "--webhook-address",
                      cat("0.0.0.0:", kWebhookPort),
                      "--inject-config",
                      "/etc/weft/inject/inject.yaml"});
}

Tree control_container(const InstallOptions& options) {
  return {
      {"name", kControl},
      {"image", options.image},
      {"imagePullPolicy", options.image_pull_policy},
      {"command", {kControl}},
      {"args", control_arguments(options)},
      {"env", Tree::array({{{"name", "WEFT_CONTROL"}, {"value", "/var/lib/weft/control.sock"}}})},
      {"ports", Tree::array({{{"name", "xds"}, {"containerPort", kXdsPort}},
                             {{"name", "webhook"}, {"containerPort", kWebhookPort}}})},
      {"readinessProbe", health_probe(5, 2)},
      {"livenessProbe", health_probe(10, 6)},
      {"resources", {{"requests", {{"cpu", "100m"}, {"memory", "128Mi"}}}}},
      {"securityContext",
       {{"allowPrivilegeEscalation", false}, {"readOnlyRootFilesystem", true}, {"capabilities", {{"drop", {"ALL"}}}}}},
      {"volumeMounts",
       Tree::array({mount("data", "/var/lib/weft", false), mount("tls", "/etc/weft/tls", true),
                    mount("inject", "/etc/weft/inject", true), mount("mesh", "/etc/weft/mesh", true)})}};
}

Tree volumes(const InstallOptions& options) {
  Tree data = {{"name", "data"}};
  if (options.storage == "none") {
    data["emptyDir"] = Tree::object();
  } else {
    data["persistentVolumeClaim"] = {{"claimName", kDataClaim}};
  }
  Tree tls = {{"name", "tls"}, {"secret", {{"secretName", kTlsSecret}, {"defaultMode", kReadOnlyMode}}}};
  Tree inject = {{"name", "inject"}, {"configMap", {{"name", kInjectConfig}}}};
  Tree mesh = {{"name", "mesh"}, {"configMap", {{"name", kMeshConfig}, {"optional", true}}}};
  return Tree::array({std::move(data), std::move(tls), std::move(inject), std::move(mesh)});
}

Tree deployment(const InstallOptions& options) {
  Tree pod = {{"serviceAccountName", kControl},
              {"securityContext",
               {{"runAsNonRoot", true},
                {"runAsUser", kUid},
                {"runAsGroup", kUid},
                {"fsGroup", kUid},
                {"seccompProfile", {{"type", "RuntimeDefault"}}}}},
              {"containers", Tree::array({control_container(options)})},
              {"volumes", volumes(options)}};
  Tree out = object("apps/v1", "Deployment", options, kControl);
  out["spec"] = {{"replicas", options.replicas},
                 // Two at once would write one database.
                 {"strategy", {{"type", "Recreate"}}},
                 {"selector", {{"matchLabels", labels()}}},
                 {"template", {{"metadata", {{"labels", labels()}}}, {"spec", std::move(pod)}}}};
  return out;
}

absl::Status bad(std::string_view option, std::string_view expected, std::string_view got) {
  return absl::InvalidArgumentError(cat(option, ": expected ", expected, "; got \"", got, "\""));
}

absl::Status check(const InstallOptions& options) {
  inject::Settings settings;
  const auto is_setting = [&settings](std::string_view name, const std::string& value) {
    return inject::override_setting(name, value, &settings).ok();
  };
  if (!registry::is_dns_label(options.namespace_name)) return bad("--namespace", "a name", options.namespace_name);
  if (!is_setting("proxy-image", options.image)) return bad("--image", "the name of an image", options.image);
  if (!is_setting("proxy-image", options.proxy_image)) {
    return bad("--proxy-image", "the name of an image", options.proxy_image);
  }
  if (options.replicas < 0 || options.replicas > 1) {
    return absl::InvalidArgumentError(
        cat("--replicas: expected 0 or 1: each weft-control has a database of its own, and ", options.replicas,
            " would not know of each other's objects"));
  }
  if (!registry::is_dns_name(options.trust_domain)) return bad("--trust-domain", "a DNS name", options.trust_domain);
  if (!options.issuer.starts_with("https://")) return bad("--issuer", "https://HOST", options.issuer);
  if (options.storage != "none" && !is_setting("proxy-memory", options.storage)) {
    return bad("--storage", "a size such as 1Gi, or none", options.storage);
  }
  if (!options.webhook_url.empty() &&
      (!options.webhook_url.starts_with("https://") || !options.webhook_url.ends_with("/inject"))) {
    return bad("--webhook-url", "https://HOST:PORT/inject", options.webhook_url);
  }
  if (!control_address(options).empty() && !is_setting("control-address", control_address(options))) {
    return bad("--control", "HOST:PORT", options.control_address);
  }
  if (!options.webhook_url.empty() && options.control_address.empty()) {
    return absl::InvalidArgumentError(
        "--control: with --webhook-url weft-control runs elsewhere; expected where proxies reach it, HOST:PORT");
  }
  if (!is_setting("ca", options.certificate))
    return absl::InvalidArgumentError("--tls-cert: expected a certificate in PEM");
  return absl::OkStatus();
}

}  // namespace

std::vector<std::string> service_names(const std::string& namespace_name) {
  const std::string service = cat(kControl, ".", namespace_name);
  return {service + ".svc", service, service + ".svc.cluster.local"};
}

absl::StatusOr<std::vector<Tree>> manifests(const InstallOptions& options) {
  if (absl::Status status = check(options); !status.ok()) return status;
  std::vector<Tree> out = {mesh_namespace(options)};
  for (Tree& definition : custom_resource_definitions()) out.push_back(std::move(definition));
  add_roles(&out);
  out.push_back(inject_config(options));
  if (options.webhook_url.empty()) {
    out.push_back(object("v1", "ServiceAccount", options, kControl));
    out.push_back(issuer_keys_binding(options));
    out.push_back(tls_secret(options));
    if (options.storage != "none") out.push_back(data_claim(options));
    out.push_back(service(options));
    out.push_back(deployment(options));
  }
  out.push_back(webhook_configuration(options));
  return out;
}

}  // namespace weft::control::install
