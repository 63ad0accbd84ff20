#include <set>

#include "control-plane/registry/check.h"
#include "control-plane/registry/visibility.h"
#include "weft/v1/peer_authentication.pb.h"

namespace weft::control::registry {

namespace {

void check_mode(const v1::MutualTls& mtls, const std::string& path, Check* check) {
  if (mtls.mode().empty()) return;
  check->one_of(mtls.mode(), at(path, "mode"), {"UNSET", "STRICT", "PERMISSIVE", "DISABLE"});
}

}  // namespace

void check(const v1::PeerAuthentication& authentication, Check* check) {
  const auto& spec = authentication.spec();
  std::set<std::string> services;
  for (int i = 0; i < spec.services_size(); ++i) {
    check->expect(is_dns_label(spec.services(i)), at("spec", "services", i), "a service's name", spec.services(i));
    if (!services.insert(spec.services(i)).second) {
      check->fail(at("spec", "services", i), "the service stands a second time");
    }
  }
  if (!spec.services().empty() && authentication.metadata().namespace_() == kRootNamespace) {
    check->fail("spec.services",
                text::cat("expected none: a PeerAuthentication of ", kRootNamespace, " holds for the whole mesh"));
  }
  check_mode(spec.mtls(), "spec.mtls", check);
  if (spec.services().empty() && !spec.port_level_mtls().empty()) {
    check->fail("spec.portLevelMtls", "expected none without spec.services: ports are those of some workloads");
  }
  for (const auto& [port, mtls] : spec.port_level_mtls()) {
    const std::string path = text::key_path("spec.portLevelMtls", std::to_string(port));
    check->port(port, path);
    check_mode(mtls, path, check);
  }
}

}  // namespace weft::control::registry
