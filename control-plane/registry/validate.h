#pragma once

// Whether an object is right in itself, whatever else there is. What it refers to is Registry's to judge. Pure; any
// thread.

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "control-plane/source/documents.h"
#include "control-plane/source/object.h"

namespace weft::control::registry {

struct Mistake {
  // In JSON's names: "spec.ports[0].port".
  std::string path;
  // "expected 1 to 65535; got 0".
  std::string what;
};

// Empty when there are none.
std::vector<Mistake> validate(source::Kind kind, const google::protobuf::Message& content);

// The same for an object with the places it was written at: InvalidArgument, one line for each mistake:
// "cart.yaml:7:3: spec.ports[0].port: expected …".
absl::Status validate(const source::Draft& draft);

// What a Scope's outboundTrafficPolicy.mode may be.
inline constexpr char kAllowAny[] = "ALLOW_ANY";
inline constexpr char kRegistryOnly[] = "REGISTRY_ONLY";

// The label of an EndpointSlice that names its service, and its annotation that weighs its endpoints (1 if unset).
inline constexpr char kServiceNameLabel[] = "kubernetes.io/service-name";
inline constexpr char kWeightAnnotation[] = "weft.mesh/weight";
// An AuthorizationPolicy's: with "true" it is counted and logged, and refuses nobody.
inline constexpr char kDryRunAnnotation[] = "weft.mesh/dry-run";

}  // namespace weft::control::registry
