#pragma once

// Who a workload is: a service account of a namespace, as a SPIFFE ID of the mesh's trust domain
// ("spiffe://cluster.local/ns/shop/sa/cart"). Values; pure.

#include <compare>
#include <optional>
#include <string>
#include <string_view>

namespace weft::control::ca {

struct Identity {
  std::string namespace_name;
  std::string service_account;

  auto operator<=>(const Identity&) const = default;
};

// Lower-case letters, digits, '.', '-' and '_', at most 255 bytes (SPIFFE ID, section 2.1).
bool is_trust_domain(std::string_view text);
// A service account's name: a DNS name, as Kubernetes has it.
bool is_service_account(std::string_view text);

std::string spiffe_id(std::string_view trust_domain, const Identity& identity);
// Nothing if it is not such an ID of the trust domain.
std::optional<Identity> parse_spiffe_id(std::string_view uri, std::string_view trust_domain);

}  // namespace weft::control::ca
