#pragma once

// AuthorizationPolicies with action CUSTOM: for each authorizer an RBAC filter that refuses nobody and marks the
// requests which its policies match, and behind it Envoy's filter that asks about those. What matches a policy whose
// authorizer cannot be asked is refused. Pure; any thread.

#include <string>
#include <vector>

#include "control-plane/compile/authorization.h"
#include "control-plane/registry/model.h"
#include "control-plane/snapshot/resource.h"

namespace weft::control::compile {

// Policies that say something of tokens are asked behind the filter that checks these; the others in front of it, so
// that whom they ask may give a request its token.
enum class Turn : uint8_t { kBeforeTokens, kAfterTokens };
Turn turn_of(const registry::Authorization& policy);

// Of a workload's policies those that hold at a port behind which these ports of its service stand. Where some of them
// have questions sent to it, none has anybody asked about these: they would never end.
registry::Authorizations policies_at(const registry::Authorizations& policies, const registry::ServiceName& service,
                                     const std::vector<uint16_t>& ports);

// Puts filters in front of the last one, which must be there.
void add_external_authorization(
    const AuthorizationTarget& target, Turn turn,
    envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager* manager);

// Whom they ask and can ask; sorted, each once.
std::vector<registry::ServiceName> authorizer_services(const registry::Authorizations& policies);
// The clusters of these that the filters name.
std::vector<snapshot::Reference> authorizer_clusters(const registry::Authorizations& policies);

// For an access log: a place for each authorizer, " %…%", that says which rule had it asked.
std::string authorizer_log_format(const registry::Authorizations& policies);

}  // namespace weft::control::compile
