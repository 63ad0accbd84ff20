#include "control-plane/inject/shape.h"

#include <set>

#include "api/text/cat.h"
#include "control-plane/inject/tree_access.h"
#include "control-plane/registry/format.h"

namespace weft::control::inject {

namespace {

using text::cat;

class Checker {
 public:
  explicit Checker(const Locate& locate) : locate_(locate) {}

  absl::Status status() const { return mistakes_.empty() ? absl::OkStatus() : absl::InvalidArgumentError(mistakes_); }

  void fail(const std::string& path, std::string_view what) {
    text::append(&mistakes_, mistakes_.empty() ? "" : "\n", locate_(path), ": ", what);
  }

  // Null if it is not there; then nothing has to be said, unless it is something else.
  const Tree* map(const Tree& parent, const char* key, const std::string& path) {
    const Tree* found = member(parent, key);
    if (found == nullptr || found->is_object()) return found;
    fail(path, "expected a map");
    return nullptr;
  }

  void strings(const Tree& metadata, const char* key) {
    const std::string path = cat("metadata.", key);
    const Tree* words = map(metadata, key, path);
    if (words == nullptr) return;
    for (const auto& [name, value] : words->items()) {
      if (value.is_string()) continue;
      const std::string at = text::member_path(path, name);
      fail(at, value.is_structured() || value.is_null()
                   ? std::string("expected a string")
                   : cat("expected a string; write \"", value.dump(), "\" in quotes"));
    }
  }

  void named(const Tree& spec, const char* key, std::set<std::string>* names) {
    const Tree* items = member(spec, key);
    if (items == nullptr) return;
    const std::string path = cat("spec.", key);
    if (!items->is_array()) return fail(path, "expected a list");
    for (size_t i = 0; i < items->size(); ++i) {
      const std::string at = text::index_path(path, i);
      const Tree& item = (*items)[i];
      if (!item.is_object()) {
        fail(at, "expected a map");
      } else if (!registry::is_dns_label(string_member(item, "name"))) {
        fail(text::field_path(at, "name"), "expected a name of at most 63 lower-case letters, digits and '-'");
      } else if (!names->insert(string_member(item, "name")).second) {
        fail(text::field_path(at, "name"), cat("\"", string_member(item, "name"), "\" stands a second time"));
      }
    }
  }

 private:
  const Locate& locate_;
  std::string mistakes_;
};

}  // namespace

absl::Status check_shape(const Tree& pod, const Locate& locate) {
  Checker checker(locate);
  if (!pod.is_object()) {
    checker.fail("", "expected a pod, with metadata and spec");
    return checker.status();
  }
  if (const Tree* metadata = checker.map(pod, "metadata", "metadata"); metadata != nullptr) {
    checker.strings(*metadata, "labels");
    checker.strings(*metadata, "annotations");
  }
  const Tree* spec = checker.map(pod, "spec", "spec");
  if (spec == nullptr) {
    if (checker.status().ok()) checker.fail("spec", "expected the pod's spec; got none");
    return checker.status();
  }
  std::set<std::string> containers, volumes;
  checker.named(*spec, "containers", &containers);
  if (const Tree* list = member(*spec, "containers"); list == nullptr || list->empty()) {
    checker.fail("spec.containers", "expected at least one container");
  }
  checker.named(*spec, "initContainers", &containers);
  checker.named(*spec, "volumes", &volumes);
  return checker.status();
}

absl::Status refusal(const std::vector<BadAnnotation>& bad, const Locate& locate) {
  std::string mistakes;
  for (const BadAnnotation& each : bad) {
    text::append(&mistakes, mistakes.empty() ? "" : "\n", locate(text::key_path("metadata.annotations", each.name)),
                 ": ", each.what);
  }
  return absl::InvalidArgumentError(mistakes);
}

bool is_service_name(std::string_view name) { return registry::is_dns_label(name); }

}  // namespace weft::control::inject
