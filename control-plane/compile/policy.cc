#include "control-plane/compile/policy.h"

#include <google/protobuf/util/message_differencer.h>

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "control-plane/compile/duration.h"
#include "control-plane/registry/format.h"
#include "envoy/config/route/v3/route_components.pb.h"
#include "weft/v1/traffic_policy.pb.h"

namespace weft::control::compile {

namespace {

using envoy::config::route::v3::RouteAction;

// The wire's own.
constexpr char kDefaultBackoff[] = "25ms";

}  // namespace

const registry::EffectivePolicy* policy_of(const registry::Model& model, const registry::ServiceName& name,
                                           uint16_t port) {
  const auto service = model.services.find(name);
  const auto policies = model.policies.find(name);
  if (service == nullptr || policies == nullptr) return nullptr;
  for (size_t i = 0; i < service->ports.size() && i < policies->ports.size(); ++i) {
    if (service->ports[i].port == port) return policies->ports[i].get();
  }
  return nullptr;
}

void set_retry(const v1::Retry& retry, RouteAction& action) {
  auto* policy = action.mutable_retry_policy();
  policy->mutable_num_retries()->set_value(retry.has_attempts() ? retry.attempts() : 1);
  std::vector<std::string> on(retry.on().begin(), retry.on().end());
  on.insert(on.end(), retry.grpc_statuses().begin(), retry.grpc_statuses().end());
  if (!retry.codes().empty()) on.push_back("retriable-status-codes");
  if (on.empty()) on = {"connect-failure", "refused-stream", "reset-before-request"};
  policy->set_retry_on(absl::StrJoin(on, ","));
  *policy->mutable_retriable_status_codes() = retry.codes();
  policy->clear_retry_back_off();
  if (retry.backoff().empty() && retry.max_backoff().empty()) return;
  auto* backoff = policy->mutable_retry_back_off();
  std::string least = retry.backoff().empty() ? kDefaultBackoff : retry.backoff();
  const std::string& most = retry.max_backoff();
  if (!most.empty() && registry::parse_duration_ms(most) < registry::parse_duration_ms(least)) least = most;
  *backoff->mutable_base_interval() = duration(least);
  if (!most.empty()) *backoff->mutable_max_interval() = duration(most);
}

void add_hash_policy(const v1::TrafficPolicySpec& of_port, RouteAction& action) {
  if (!of_port.load_balancer().has_hash_key()) return;
  const v1::HashKey& key = of_port.load_balancer().hash_key();
  RouteAction::HashPolicy policy;
  if (!key.header().empty()) {
    policy.mutable_header()->set_header_name(key.header());
  } else if (!key.cookie().empty()) {
    policy.mutable_cookie()->set_name(key.cookie());
    // With a life of none it is one of the session, and given to who has none.
    policy.mutable_cookie()->mutable_ttl();
  } else if (!key.query_param().empty()) {
    policy.mutable_query_parameter()->set_name(key.query_param());
  } else {
    policy.mutable_connection_properties()->set_source_ip(true);
  }
  const bool is_known = std::any_of(action.hash_policy().begin(), action.hash_policy().end(), [&](const auto& known) {
    return google::protobuf::util::MessageDifferencer::Equals(known, policy);
  });
  if (!is_known) *action.add_hash_policy() = std::move(policy);
}

}  // namespace weft::control::compile
