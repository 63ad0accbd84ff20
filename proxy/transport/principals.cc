#include "proxy/transport/principals.h"

#include <string>
#include <vector>

#include "proxy/transport/peer_identity.h"

namespace weft::transport {
namespace {

std::string spiffe_id(const std::vector<std::string>& uri_sans) {
  bool is_workload = uri_sans.size() == 1 && uri_sans.front().starts_with(kSpiffeScheme);
  return is_workload ? uri_sans.front() : std::string();
}

}  // namespace

std::shared_ptr<const observe::ConnectionPrincipals> principals_of(const ConnectionInfo& info) {
  if (info.tls == nullptr) return nullptr;
  const TlsInfo& tls = *info.tls;
  std::string local = spiffe_id(tls.local_uri_sans);
  std::string peer(peer_identity(info));
  bool mutual = !local.empty() && !peer.empty();
  return std::make_shared<const observe::ConnectionPrincipals>(
      observe::ConnectionPrincipals::make(std::move(local), std::move(peer), mutual));
}

}  // namespace weft::transport
