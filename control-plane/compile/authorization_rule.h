#pragma once

// One rule of an AuthorizationPolicy as a policy of Envoy's RBAC. Pure; any thread.

#include <cstdint>
#include <optional>

#include "control-plane/registry/model.h"
#include "envoy/config/rbac/v3/rbac.pb.h"

namespace weft::v1 {
class AuthorizationRule;
}  // namespace weft::v1

namespace weft::control::compile {

struct AuthorizationRuleOptions {
  // Set: the port to which everything goes.
  std::optional<uint16_t> app_port;
  // It is asked of requests; otherwise of connections that are not HTTP.
  bool is_http = true;
  // A rule that refuses goes, where what only requests have cannot be asked, by what else it says. One that allows
  // does not hold there.
  bool refuses = false;
};

// Nothing if it can match nothing there. The rule is valid.
std::optional<envoy::config::rbac::v3::Policy> compile_authorization_rule(const v1::AuthorizationRule& rule,
                                                                          const AuthorizationRuleOptions& options);

// The rules of a policy that can match something there, by the names that access logs have for them: the rule's, and of
// a CUSTOM policy "@" and its authorizer's.
void add_authorization_rules(const registry::Authorization& policy, std::optional<uint16_t> app_port, bool is_http,
                             envoy::config::rbac::v3::RBAC* out);

}  // namespace weft::control::compile
