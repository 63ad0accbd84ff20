#include "control-plane/inject/documents.h"

#include <catch2/catch.hpp>
#include <fstream>
#include <iterator>

namespace weft::control::inject {
namespace {

constexpr char kGolden[] = "tests/control-plane/inject/golden/";

std::string read(const std::string& name) {
  std::ifstream file(kGolden + name);
  std::string text((std::istreambuf_iterator<char>(file)), {});
  REQUIRE(!text.empty());
  return text;
}

RewrittenText rewrite(Action action, const std::string& text, const Settings& settings, const char* name = "a.yaml") {
  absl::StatusOr<RewrittenText> out = rewrite_text(action, settings, text, name);
  INFO(out.status().message());
  REQUIRE(out.ok());
  return *std::move(out);
}

std::string refusal(const std::string& text, const char* name = "a.yaml") {
  absl::StatusOr<RewrittenText> out = rewrite_text(Action::kInject, default_settings(), text, name);
  return out.ok() ? "accepted" : std::string(out.status().message());
}

TEST_CASE("manifests are what they are in the saved examples, once and twice injected") {
  Settings settings = default_settings();
  for (const std::string name : {"deployment", "classic", "list"}) {
    INFO(name);
    const std::string text = read(name + ".yaml");
    const RewrittenText injected = rewrite(Action::kInject, text, settings);
    CHECK(injected.text == read(name + ".injected.yaml"));
    const RewrittenText again = rewrite(Action::kInject, injected.text, settings);
    CHECK(again.text == injected.text);
    for (const ObjectOutcome& each : again.outcomes) CHECK(!each.outcome.is_changed);
    // Taken out and put in again, it is the same, though the text was written anew.
    const RewrittenText bare = rewrite(Action::kUninject, injected.text, settings);
    CHECK(bare.text.find("weft-proxy") == std::string::npos);
    CHECK(rewrite(Action::kInject, bare.text, settings).text == injected.text);
  }
}

TEST_CASE("each pod of a file is told of") {
  const RewrittenText deployment = rewrite(Action::kInject, read("deployment.yaml"), default_settings());
  REQUIRE(deployment.outcomes.size() == 1);
  CHECK(deployment.outcomes[0].object == "Deployment shop/cart");
  const RewrittenText list = rewrite(Action::kInject, read("list.yaml"), default_settings());
  REQUIRE(list.outcomes.size() == 2);
  CHECK(list.outcomes[0].outcome.skipped.empty());
  CHECK(list.outcomes[1].outcome.skipped.starts_with("hostNetwork is true"));
}

TEST_CASE("what has no pod stays as it is to the byte") {
  const std::string text =
      "# first\n---\n# only words\n---\napiVersion: v1 # odd   spacing\nkind: ConfigMap\nmetadata: {name:   a}\n"
      "data:\n  deployment: |\n    kind: Deployment\n---\n{\"apiVersion\": \"example.com/v1\", \"kind\": "
      "\"Deployment\", "
      "\"spec\": {}}\n--- # a list without pods\napiVersion: v1\nkind: List\nitems: []";
  const RewrittenText out = rewrite(Action::kInject, text, default_settings());
  CHECK(out.text == text + "\n");
  CHECK(out.outcomes.empty());
  CHECK(rewrite(Action::kInject, "", default_settings()).text.empty());
}

TEST_CASE("JSON stays JSON") {
  const std::string text =
      R"({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {"containers": [{"name": "a"}]}})";
  const RewrittenText out = rewrite(Action::kInject, text, default_settings(), "a.json");
  const text::Tree object = text::Tree::parse(out.text, nullptr, false);
  REQUIRE(object.is_object());
  CHECK(object["spec"]["initContainers"].size() == 2);
  const RewrittenText bare = rewrite(Action::kUninject, out.text, default_settings(), "a.json");
  CHECK(text::Tree::parse(bare.text).dump() == text::Tree::parse(text).dump());
}

TEST_CASE("mistakes are told by file, line and column, all of them") {
  const std::string text =
      "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec:\n  template:\n    metadata:\n      "
      "annotations:\n"
      "        weft.mesh/inject: false\n        weft.mesh/app-port: 80\n    spec:\n      containers: []\n";
  CHECK(refusal(text) ==
        "a.yaml:8:9: spec.template.metadata.annotations[\"weft.mesh/inject\"]: expected a string; write \"false\" in "
        "quotes\n"
        "a.yaml:9:9: spec.template.metadata.annotations[\"weft.mesh/app-port\"]: expected a string; write \"80\" in "
        "quotes\n"
        "a.yaml:11:7: spec.template.spec.containers: expected at least one container");
  const std::string second =
      "kind: ConfigMap\n---\napiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n"
      "  metadata:\n    annotations: {weft.mesh/app-port: many}\n  spec:\n    containers: [{name: A}]\n";
  CHECK(refusal(second) ==
        "a.yaml:11:19: items[0].spec.containers[0].name: expected a name of at most 63 lower-case letters, digits and "
        "'-'");
  CHECK(refusal("apiVersion: batch/v1\nkind: CronJob\nspec: {schedule: x}\n") ==
        "a.yaml:3:1: spec.jobTemplate: expected the pod's template; got none");
  CHECK(refusal("kind: Pod\nkind: Pod\n").find("a.yaml:2:1: the key \"kind\" stands a second time") == 0);
  CHECK(refusal("{", "a.json").starts_with("a.json:1:"));
}

}  // namespace
}  // namespace weft::control::inject
