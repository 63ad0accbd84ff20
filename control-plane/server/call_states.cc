#include "control-plane/server/call_states.h"

namespace weft::control::server {

namespace {

template <typename Join>
Ports joined(const Ports& a, const Ports& b, const Join& join) {
  Ports out;
  out.rest = join(a.rest, b.rest);
  for (const Ports* each : {&a, &b}) {
    for (const uint16_t port : each->others) {
      if (join(a.contains(port), b.contains(port)) != out.rest) out.others.insert(port);
    }
  }
  return out;
}

}  // namespace

Ports difference(const Ports& a, const Ports& b) {
  return joined(a, b, [](bool in_a, bool in_b) { return in_a != in_b; });
}

Ports either(const Ports& a, const Ports& b) {
  return joined(a, b, [](bool in_a, bool in_b) { return in_a || in_b; });
}

Ports plain_ports(const registry::Model& model, const registry::ServiceName& service) {
  const auto is_plain = [&](uint16_t port) {
    return model.mtls_mode(service.namespace_name, service.name, port) == registry::MtlsMode::kDisable;
  };
  Ports out;
  // No application listens on port 0.
  out.rest = is_plain(0);
  const auto of_namespace = model.mtls.find({service.namespace_name});
  if (of_namespace == nullptr) return out;
  const auto own = of_namespace->of_service.find(service.name);
  if (own == of_namespace->of_service.end()) return out;
  for (const auto& [port, mode] : own->second->ports) {
    if (is_plain(port) != out.rest) out.others.insert(port);
  }
  return out;
}

std::shared_ptr<const registry::Endpoints> called_as(const Ports& plain, const registry::Endpoints& endpoints) {
  auto out = std::make_shared<registry::Endpoints>(endpoints);
  for (registry::Endpoints::Port& port : out->ports) {
    for (registry::Endpoint& each : port.endpoints) each.mtls = each.can_mtls && !plain.contains(each.app_port);
  }
  return out;
}

}  // namespace weft::control::server
