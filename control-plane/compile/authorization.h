#pragma once

// AuthorizationPolicies into Envoy's RBAC filters, of requests and of connections, by Istio's semantics: DENY comes
// before ALLOW, and without an ALLOW policy all that is not denied may pass. What asks others about requests is in
// external_authorization.h; about connections nobody can be asked, and those that it matches are refused. Pure; any
// thread.

#include <cstdint>
#include <optional>

#include "control-plane/registry/model.h"

namespace envoy::config::listener::v3 {
class FilterChain;
}  // namespace envoy::config::listener::v3

namespace envoy::extensions::filters::network::http_connection_manager::v3 {
class HttpConnectionManager;
}  // namespace envoy::extensions::filters::network::http_connection_manager::v3

namespace weft::v1 {
class AuthorizationCondition;
class AuthorizationRule;
}  // namespace weft::v1

namespace weft::control::compile {

// What is asked of a destination port. With `app_port` all connections are for this port of the application, whatever
// port they came to; without it the connection's own destination counts.
struct AuthorizationTarget {
  const registry::Authorizations& policies;
  std::optional<uint16_t> app_port;
};

// Puts filters in front of the last one, which must be there.
void add_authorization(
    const AuthorizationTarget& target,
    envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager* manager);
// For a chain whose connections are not HTTP; to be called before its last filter is added.
void add_connection_authorization(const AuthorizationTarget& target, envoy::config::listener::v3::FilterChain* chain);

// Whether a rule asks for what only requests have.
bool asks_for_requests(const v1::AuthorizationRule& rule);
// It asks for what only a request's token has.
bool is_of_token(const v1::AuthorizationCondition& condition);
// It says something of tokens, be it that there must be none of some kind.
bool speaks_of_tokens(const v1::AuthorizationRule& rule);

}  // namespace weft::control::compile
