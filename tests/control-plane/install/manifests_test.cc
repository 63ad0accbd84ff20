#include "control-plane/install/manifests.h"

#include <absl/strings/escaping.h>

#include <catch2/catch.hpp>
#include <set>

#include "control-plane/inject/settings.h"

namespace weft::control::install {
namespace {

using text::Tree;

InstallOptions options() {
  InstallOptions made;
  made.certificate = "-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----\n";
  made.key = "key";
  return made;
}

std::vector<Tree> objects(const InstallOptions& with = options()) {
  absl::StatusOr<std::vector<Tree>> made = manifests(with);
  INFO(made.status().message());
  REQUIRE(made.ok());
  return *std::move(made);
}

const Tree* find(const std::vector<Tree>& all, const std::string& kind) {
  for (const Tree& each : all) {
    if (each["kind"] == kind) return &each;
  }
  return nullptr;
}

std::string refusal(const InstallOptions& with) {
  const auto made = manifests(with);
  return made.ok() ? "accepted" : std::string(made.status().message());
}

TEST_CASE("what is in a namespace comes after the namespace, and the webhook last") {
  const std::vector<Tree> all = objects();
  CHECK(all.front()["kind"] == "Namespace");
  CHECK(all.back()["kind"] == "MutatingWebhookConfiguration");
  std::set<std::string> names;
  for (const Tree& each : all) {
    CHECK(names.insert(each["kind"].get<std::string>() + each["metadata"]["name"].get<std::string>()).second);
    if (each["metadata"].contains("namespace")) CHECK(each["metadata"]["namespace"] == "weft-system");
  }
}

TEST_CASE("the injector's configuration is one that the injector takes") {
  InstallOptions with = options();
  with.proxy_image = "registry.example/p:1";
  const std::vector<Tree> all = objects(with);
  const std::string text = (*find(all, "ConfigMap"))["data"]["inject.yaml"];
  const auto settings = inject::read_settings(text, "inject.yaml");
  INFO(settings.status().message());
  REQUIRE(settings.ok());
  CHECK(settings->image == "registry.example/p:1");
  CHECK(settings->ca == with.certificate);
  CHECK(settings->control_address == "weft-control.weft-system.svc:15010");
}

TEST_CASE("the webhook asks the service, by its certificate, and never of its own namespace") {
  InstallOptions with = options();
  with.namespace_name = "mesh";
  with.failure_policy = "Ignore";
  const std::vector<Tree> all = objects(with);
  const Tree& webhooks = all.back()["webhooks"];
  REQUIRE(webhooks.size() == 2);
  for (const Tree& each : webhooks) {
    CHECK(each["failurePolicy"] == "Ignore");
    CHECK(each["sideEffects"] == "None");
    CHECK(each["clientConfig"]["caBundle"] == absl::Base64Escape(with.certificate));
    CHECK(each["clientConfig"]["service"]["namespace"] == "mesh");
    CHECK(each["namespaceSelector"]["matchExpressions"][0]["values"].dump().find("\"mesh\"") != std::string::npos);
  }
}

TEST_CASE("a control plane elsewhere needs nothing that runs in the cluster") {
  InstallOptions with = options();
  with.webhook_url = "https://mesh.example:15017/inject";
  with.control_address = "mesh.example:15010";
  with.key.clear();
  const std::vector<Tree> all = objects(with);
  for (const char* kind : {"Deployment", "Service", "Secret", "PersistentVolumeClaim", "ServiceAccount"}) {
    CHECK(find(all, kind) == nullptr);
  }
  CHECK(all.back()["webhooks"][0]["clientConfig"]["url"] == with.webhook_url);
}

TEST_CASE("options decide what is there") {
  InstallOptions with = options();
  with.storage = "none";
  with.replicas = 0;
  const std::vector<Tree> all = objects(with);
  CHECK(find(all, "PersistentVolumeClaim") == nullptr);
  const Tree& spec = (*find(all, "Deployment"))["spec"];
  CHECK(spec["replicas"] == 0);
  CHECK(spec["template"]["spec"]["volumes"][0].dump() == R"({"name":"data","emptyDir":{}})");
}

TEST_CASE("a wrong option is told by its name") {
  InstallOptions with = options();
  with.replicas = 3;
  CHECK(refusal(with).starts_with("--replicas: expected 0 or 1"));
  with = options();
  with.namespace_name = "Weft System";
  CHECK(refusal(with) == "--namespace: expected a name; got \"Weft System\"");
  with = options();
  with.storage = "much";
  CHECK(refusal(with).starts_with("--storage: expected a size"));
  with = options();
  with.webhook_url = "http://a/inject";
  with.control_address = "a:1";
  CHECK(refusal(with).starts_with("--webhook-url: expected https://HOST:PORT/inject"));
  with.webhook_url = "https://a/inject";
  with.control_address = "";
  CHECK(refusal(with).starts_with("--control: with --webhook-url"));
  with = options();
  with.certificate = "none";
  CHECK(refusal(with).starts_with("--tls-cert: "));
}

}  // namespace
}  // namespace weft::control::install
