#pragma once

// Who may see a service (its annotation weft.mesh/export-to), and which services a workload means to call (the hosts of
// a Scope, or of a node's metadata). Values and pure functions; any thread.

#include <compare>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weft::control::registry {

// The namespace whose policies and scopes hold for the whole mesh.
inline constexpr std::string_view kRootNamespace = "weft-system";

// A Service and an ExternalService of the same name are two services.
struct ServiceName {
  std::string namespace_name;
  std::string name;
  bool external = false;

  auto operator<=>(const ServiceName&) const = default;

  template <typename Hash>
  friend Hash AbslHashValue(Hash hash, const ServiceName& service) {
    return Hash::combine(std::move(hash), service.namespace_name, service.name, service.external);
  }
};

// "shop/cart", or "external shop/cart".
std::string to_string(const ServiceName& name);

inline constexpr char kExportToAnnotation[] = "weft.mesh/export-to";
// Of a Service: the service accounts by which its workloads are known, with commas between; its own name if unset.
inline constexpr char kServiceAccountsAnnotation[] = "weft.mesh/service-accounts";
// Nothing if it is no list of names.
std::optional<std::vector<std::string>> parse_accounts(std::string_view text);

// The namespaces that may see a service.
struct Export {
  bool to_all = true;
  // Where it is not for all; sorted, each once.
  std::vector<std::string> namespaces;

  bool allows(std::string_view namespace_name) const;
  bool operator==(const Export&) const = default;
};
// Reads the annotation: names of namespaces between commas, "." for the service's own, "*" for all, "~" for none; an
// empty text is for all. Nothing if it is none of that.
std::optional<Export> parse_export(std::string_view text, std::string_view own_namespace);
// "all namespaces", "no namespace", or their names.
std::string to_string(const Export& exported);

// A service, or all services of a namespace, or of all namespaces.
struct HostPattern {
  // "*" is any; "~" is none.
  std::string namespace_name;
  // "*" is any.
  std::string name;

  bool is_exact() const { return namespace_name != "*" && name != "*"; }
  bool matches(const ServiceName& service) const;
  auto operator<=>(const HostPattern&) const = default;
};
// "cart", "shop/cart", "./cart", "shop/*", "*/cart", "*/*", "~/*". Nothing if it is none of that.
std::optional<HostPattern> parse_host_pattern(std::string_view text, std::string_view own_namespace);
// "shop/cart".
std::string to_string(const HostPattern& pattern);

// Sorts, each once.
void sort_patterns(std::vector<HostPattern>& patterns);
// What matches in both.
std::vector<HostPattern> intersect(const std::vector<HostPattern>& a, const std::vector<HostPattern>& b);
bool matches_any(const std::vector<HostPattern>& patterns, const ServiceName& service);

}  // namespace weft::control::registry
