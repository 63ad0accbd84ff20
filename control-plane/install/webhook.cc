#include "control-plane/install/webhook.h"

#include <string>
#include <utility>

#include "absl/strings/escaping.h"

namespace weft::control::install {

namespace {

using text::Tree;

constexpr char kInject[] = "weft.mesh/inject";
constexpr char kIstioInject[] = "sidecar.istio.io/inject";
constexpr char kNamespaceName[] = "kubernetes.io/metadata.name";
constexpr int kTimeoutSeconds = 10;

Tree expression(const char* key, const char* op, Tree values) {
  Tree out = {{"key", key}, {"operator", op}};
  if (!values.empty()) out["values"] = std::move(values);
  return out;
}

Tree selector(Tree expressions) { return {{"matchExpressions", std::move(expressions)}}; }

// Without them the API server could not start what it has to ask.
Tree not_the_systems_own(const InstallOptions& options) {
  return expression(kNamespaceName, "NotIn",
                    Tree::array({"kube-system", "kube-public", "kube-node-lease", options.namespace_name}));
}

Tree client(const InstallOptions& options) {
  Tree out = Tree::object();
  if (options.webhook_url.empty()) {
    out["service"] = {
        {"name", "weft-control"}, {"namespace", options.namespace_name}, {"path", "/inject"}, {"port", 443}};
  } else {
    out["url"] = options.webhook_url;
  }
  out["caBundle"] = absl::Base64Escape(options.certificate);
  return out;
}

Tree webhook(const InstallOptions& options, const char* name, Tree namespaces, Tree objects) {
  Tree rule = {{"apiGroups", {""}},
               {"apiVersions", {"v1"}},
               {"operations", {"CREATE"}},
               {"resources", {"pods"}},
               {"scope", "Namespaced"}};
  return {{"name", name},
          {"admissionReviewVersions", {"v1"}},
          {"clientConfig", client(options)},
          {"rules", Tree::array({std::move(rule)})},
          {"namespaceSelector", std::move(namespaces)},
          {"objectSelector", std::move(objects)},
          {"failurePolicy", options.failure_policy},
          {"matchPolicy", "Equivalent"},
          {"reinvocationPolicy", "Never"},
          {"sideEffects", "None"},
          {"timeoutSeconds", kTimeoutSeconds}};
}

}  // namespace

Tree webhook_configuration(const InstallOptions& options) {
  const Tree not_false = Tree::array({"false"}), is_true = Tree::array({"true"});
  Tree webhooks = Tree::array();
  webhooks.push_back(webhook(
      options, "namespace.inject.weft.mesh",
      selector(Tree::array({not_the_systems_own(options), expression(kInject, "In", is_true)})),
      selector(Tree::array({expression(kInject, "NotIn", not_false), expression(kIstioInject, "NotIn", not_false)}))));
  webhooks.push_back(
      webhook(options, "object.inject.weft.mesh",
              selector(Tree::array({not_the_systems_own(options), expression(kInject, "DoesNotExist", Tree::array())})),
              selector(Tree::array({expression(kInject, "In", is_true)}))));
  return {{"apiVersion", "admissionregistration.k8s.io/v1"},
          {"kind", "MutatingWebhookConfiguration"},
          {"metadata", {{"name", "weft-inject"}, {"labels", {{"app.kubernetes.io/part-of", "weft"}}}}},
          {"webhooks", std::move(webhooks)}};
}

}  // namespace weft::control::install
