#include "proxy/observe/hop_identity.h"

#include <algorithm>
#include <initializer_list>
#include <utility>

#include "proxy/base/hash.h"

namespace weft::observe {
namespace {

constexpr size_t kMaxNameBytes = 253;

// Of the parts in their order; the length keeps "ab", "c" apart from "a", "bc".
uint64_t hash_of(std::initializer_list<std::string_view> parts) {
  uint64_t hash = parts.size();
  for (std::string_view part : parts) hash = base::xxhash64(part, hash + part.size());
  return hash;
}

bool is_name(std::string_view text) {
  auto allowed = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.'; };
  return !text.empty() && text.size() <= kMaxNameBytes && std::all_of(text.begin(), text.end(), allowed);
}

}  // namespace

WorkloadIdentity WorkloadIdentity::make(std::string workload, std::string namespace_name, std::string service,
                                        std::string service_account) {
  uint64_t hash = hash_of({workload, namespace_name, service, service_account});
  return {std::move(workload), std::move(namespace_name), std::move(service), std::move(service_account), hash};
}

ServiceIdentity ServiceIdentity::make(std::string host, std::string name, std::string namespace_name, bool external) {
  uint64_t hash = hash_of({host, name, namespace_name});
  return {std::move(host), std::move(name), std::move(namespace_name), external, hash};
}

ConnectionPrincipals ConnectionPrincipals::make(std::string local, std::string peer, bool mutual) {
  uint64_t hash = hash_of({local, peer, mutual ? "mutual" : ""});
  return {std::move(local), std::move(peer), mutual, hash};
}

SpiffeParts spiffe_parts(std::string_view id) {
  constexpr std::string_view kScheme = "spiffe://";
  if (!id.starts_with(kScheme)) return {};
  id.remove_prefix(kScheme.size());
  constexpr std::string_view kNamespace = "/ns/", kAccount = "/sa/";
  size_t at_namespace = id.find('/');
  if (at_namespace == std::string_view::npos || !id.substr(at_namespace).starts_with(kNamespace)) return {};
  id.remove_prefix(at_namespace + kNamespace.size());
  size_t at_account = id.find('/');
  if (at_account == std::string_view::npos || !id.substr(at_account).starts_with(kAccount)) return {};
  SpiffeParts parts{id.substr(0, at_account), id.substr(at_account + kAccount.size())};
  bool whole = !parts.namespace_name.empty() && !parts.service_account.empty() &&
               parts.service_account.find('/') == std::string_view::npos;
  return whole ? parts : SpiffeParts();
}

PeerNames parse_peer_names(std::string_view text) {
  size_t slash = text.find('/');
  if (slash == std::string_view::npos) return {};
  PeerNames names{text.substr(0, slash), text.substr(slash + 1)};
  return is_name(names.workload) && is_name(names.service) ? names : PeerNames();
}

}  // namespace weft::observe
