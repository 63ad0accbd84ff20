#include "control-plane/source/object.h"

#include <array>

namespace weft::source {

namespace {

constexpr std::array<std::string_view, kKindCount> kNames = {
    "Namespace", "Service",  "EndpointSlice", "ExternalService", "HTTPRoute",
    "GRPCRoute", "TCPRoute", "TLSRoute",      "ReferenceGrant",  "TrafficPolicy"};

}  // namespace

std::string_view kind_name(Kind kind) { return kNames[static_cast<size_t>(kind)]; }

std::string to_string(const Key& key) {
  std::string out(kind_name(key.kind));
  out += ' ';
  if (!key.namespace_name.empty()) out += key.namespace_name + "/";
  return out + key.name;
}

}  // namespace weft::source
