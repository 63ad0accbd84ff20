#include "control-plane/compile/authorization.h"

#include "control-plane/compile/authorization_rule.h"
#include "control-plane/compile/listener.h"
#include "envoy/config/listener/v3/listener.pb.h"
#include "envoy/config/rbac/v3/rbac.pb.h"
#include "envoy/extensions/filters/http/rbac/v3/rbac.pb.h"
#include "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb.h"
#include "envoy/extensions/filters/network/rbac/v3/rbac.pb.h"

namespace weft::control::compile {

namespace {

using envoy::config::rbac::v3::RBAC;
using envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
using registry::Authorization;
using HttpRbac = envoy::extensions::filters::http::rbac::v3::RBAC;
using NetworkRbac = envoy::extensions::filters::network::rbac::v3::RBAC;

struct Stage {
  Authorization::Action action;
  RBAC::Action wire_action;
  const char* filter;  // Its name among the HTTP filters.
  const char* dry_run_prefix;
};

// In the order in which they are asked.
constexpr Stage kStages[] = {
    {Authorization::Action::kCustom, RBAC::DENY, "weft.authorization.custom", ""},
    {Authorization::Action::kAudit, RBAC::LOG, "weft.authorization.audit", ""},
    {Authorization::Action::kDeny, RBAC::DENY, "weft.authorization.deny", "dry_run_deny_"},
    {Authorization::Action::kAllow, RBAC::ALLOW, "weft.authorization.allow", "dry_run_allow_"},
};

// Adds what holds at this stage; false if there is no policy for it. `Rbac` is the filter's message.
template <typename Rbac>
bool add_stage(const Stage& stage, const AuthorizationTarget& target, bool is_http, Rbac* out) {
  bool some = false;
  for (const auto& policy : target.policies) {
    if (policy->action != stage.action) continue;
    some = true;
    RBAC* rules = policy->dry_run ? out->mutable_shadow_rules() : out->mutable_rules();
    rules->set_action(stage.wire_action);
    add_authorization_rules(*policy, target.app_port, is_http, rules);
  }
  if (out->has_shadow_rules()) out->set_shadow_rules_stat_prefix(stage.dry_run_prefix);
  return some;
}

}  // namespace

void add_authorization(const AuthorizationTarget& target, HttpConnectionManager* manager) {
  for (const Stage& stage : kStages) {
    if (stage.action == Authorization::Action::kCustom) continue;
    HttpRbac rbac;
    if (!add_stage(stage, target, true, &rbac)) continue;
    add_http_filter(stage.filter, rbac, manager);
  }
}

void add_connection_authorization(const AuthorizationTarget& target, envoy::config::listener::v3::FilterChain* chain) {
  for (const Stage& stage : kStages) {
    NetworkRbac rbac;
    if (!add_stage(stage, target, false, &rbac)) continue;
    rbac.set_stat_prefix("tcp.");
    auto* filter = chain->add_filters();
    filter->set_name(stage.filter);
    filter->mutable_typed_config()->PackFrom(rbac);
  }
}

}  // namespace weft::control::compile
