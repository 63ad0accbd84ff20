#include "control-plane/install/custom_resources.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "api/text/cat.h"
#include "control-plane/install/schema.h"
#include "control-plane/source/kind.h"

namespace weft::control::install {

namespace {

using google::protobuf::Descriptor;
using text::cat;
using text::Tree;

const Descriptor* field_type(const Descriptor& message, const char* field) {
  const auto* found = message.FindFieldByName(field);
  return found == nullptr ? nullptr : found->message_type();
}

Tree column(const char* name, const char* type, const std::string& path) {
  return {{"name", name}, {"type", type}, {"jsonPath", path}};
}

// What `kubectl get` shows: whom it is for, whether it is in force, how old it is.
Tree columns(const Descriptor& kind) {
  Tree out = Tree::array();
  const Descriptor* spec = field_type(kind, "spec");
  if (spec != nullptr && spec->FindFieldByName("target_refs") != nullptr) {
    out.push_back(column("Targets", "string", ".spec.targetRefs[*].name"));
  }
  if (const Descriptor* status = field_type(kind, "status"); status != nullptr) {
    const char* const accepted = "conditions[?(@.type==\"Accepted\")].status";
    if (status->FindFieldByName("conditions") != nullptr) {
      out.push_back(column("Accepted", "string", cat(".status.", accepted)));
    } else if (status->FindFieldByName("ancestors") != nullptr) {
      out.push_back(column("Accepted", "string", cat(".status.ancestors[*].", accepted)));
    }
  }
  out.push_back(column("Age", "date", ".metadata.creationTimestamp"));
  return out;
}

Tree definition(const source::KindInfo& kind) {
  const Descriptor& message = *kind.prototype->GetDescriptor();
  const std::string name(kind.name), plural(kind.plural);
  Tree names = {{"kind", name},
                {"listKind", name + "List"},
                {"plural", plural},
                {"singular", absl::AsciiStrToLower(name)},
                {"categories", {"weft"}}};
  if (!kind.short_name.empty()) names["shortNames"] = Tree::array({std::string(kind.short_name)});
  Tree versions = Tree::array();
  for (const std::string_view version : kind.versions) {
    Tree made = {{"name", std::string(version)},
                 {"served", true},
                 {"storage", versions.empty()},
                 {"schema", {{"openAPIV3Schema", schema_of_kind(message)}}},
                 {"additionalPrinterColumns", columns(message)}};
    if (field_type(message, "status") != nullptr) made["subresources"] = {{"status", Tree::object()}};
    versions.push_back(std::move(made));
  }
  return {{"apiVersion", "apiextensions.k8s.io/v1"},
          {"kind", "CustomResourceDefinition"},
          {"metadata", {{"name", cat(plural, ".", kGroup)}, {"labels", {{"app.kubernetes.io/part-of", "weft"}}}}},
          {"spec",
           {{"group", kGroup},
            {"scope", kind.in_namespace ? "Namespaced" : "Cluster"},
            {"names", std::move(names)},
            {"versions", std::move(versions)}}}};
}

}  // namespace

std::vector<Tree> custom_resource_definitions() {
  std::vector<Tree> out;
  for (const source::KindInfo& kind : source::all_kinds()) {
    if (kind.group == kGroup) out.push_back(definition(kind));
  }
  return out;
}

std::vector<std::string> custom_resource_plurals() {
  std::vector<std::string> out;
  for (const source::KindInfo& kind : source::all_kinds()) {
    if (kind.group == kGroup) out.emplace_back(kind.plural);
  }
  return out;
}

}  // namespace weft::control::install
