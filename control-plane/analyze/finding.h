#pragma once

// What analysis is written with: its input and what it finds. Values.

#include <memory>
#include <string>
#include <vector>

#include "control-plane/registry/model.h"
#include "control-plane/source/directory/files.h"

namespace weft::control::analyze {

enum class Severity : uint8_t {
  // Superfluous: it does nothing.
  kInfo,
  // It works, and probably not as it is meant.
  kWarning,
  // Requests fail, or an object is not in force.
  kError,
};

struct Finding {
  Severity severity = Severity::kWarning;
  // Stays the same from version to version: "ShadowedRule".
  std::string code;
  // Unset, with an empty name, for what is no object.
  source::Key key;
  // Within the object, in JSON's names; empty for the whole.
  std::string path;
  // What is wrong, and what to do.
  std::string message;

  auto operator<=>(const Finding&) const = default;
};

// An object with what the registry says of it; the status is null if it says nothing.
struct Judged {
  source::Object object;
  std::shared_ptr<const google::protobuf::Message> status;
};

struct Input {
  const registry::Model& model;
  // All that the model is made of.
  const std::vector<Judged>& objects;
  // Of the watched directory.
  const std::vector<source::directory::Refusal>& refusals;
};

using Findings = std::vector<Finding>;

// The parts of analyze(), each of which adds what it finds.
void find_conditions(const Input& input, Findings* out);
void find_in_routes(const Input& input, Findings* out);
void find_in_services(const Input& input, Findings* out);
void find_in_authorizations(const Input& input, Findings* out);
// Providers of CUSTOM policies whose questions are asked about, in a circle.
void find_in_providers(const Input& input, Findings* out);
void find_in_grants(const Input& input, Findings* out);

}  // namespace weft::control::analyze
