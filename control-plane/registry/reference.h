#pragma once

// Whom the references of Gateway API to backends and parents name. Pure; any thread.

#include <string>

#include "control-plane/registry/visibility.h"

namespace weft::control::registry {

inline constexpr char kExternalGroup[] = "weft.mesh";

template <typename Reference>
ServiceName named_by(const Reference& reference, const std::string& own_namespace) {
  return {reference.namespace_().empty() ? own_namespace : reference.namespace_(), reference.name(),
          reference.group() == kExternalGroup};
}

template <typename Reference>
bool names_a_service(const Reference& backend) {
  const bool service = backend.group().empty() && (backend.kind().empty() || backend.kind() == "Service");
  return service || (backend.group() == kExternalGroup && backend.kind() == "ExternalService");
}

}  // namespace weft::control::registry
