#include "control-plane/compile/names.h"

#include "absl/strings/str_cat.h"

namespace weft::control::compile {

std::string full_name(const registry::ServiceName& service) {
  return absl::StrCat(service.external ? "external/" : "", service.namespace_name, "/", service.name);
}

std::string port_name(const registry::ServiceName& service, uint16_t port) {
  return absl::StrCat(full_name(service), ":", port);
}

std::string captured_name(std::string_view of) { return absl::StrCat(std::string(kCaptured), "/", std::string(of)); }

std::string captured_port_name(uint16_t port) { return absl::StrCat(std::string(kCaptured), "/any:", port); }

std::string endpoint_name(const registry::ServiceName& service, uint16_t port, const registry::Endpoint& endpoint) {
  return absl::StrCat(port_name(service, port), "@", endpoint.address, ":", endpoint.port);
}

std::string route_name(const source::Key& route, size_t rule) {
  return absl::StrCat(std::string(source::kind_name(route.kind)), "/", route.namespace_name, "/", route.name, "/",
                      rule);
}

std::string straight_route_name(const registry::ServiceName& service, uint16_t port) {
  return absl::StrCat("Service/", port_name(service, port));
}

std::vector<std::string> hosts_for(const registry::Service& service, const Audience& audience) {
  const bool is_foreign = !service.name.external && service.name.namespace_name != audience.namespace_name;
  std::vector<std::string> hosts;
  for (const std::string& host : service.hosts) {
    if (is_foreign && host == service.name.name) continue;
    hosts.push_back(host);
  }
  return hosts;
}

}  // namespace weft::control::compile
