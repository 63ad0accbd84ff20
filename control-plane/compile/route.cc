#include "control-plane/compile/route.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "control-plane/compile/duration.h"
#include "control-plane/compile/filter.h"
#include "control-plane/compile/match.h"
#include "control-plane/compile/names.h"
#include "control-plane/compile/policy.h"
#include "envoy/config/route/v3/route_components.pb.h"
#include "gateway/v1/grpc_route.pb.h"
#include "gateway/v1/http_route.pb.h"
#include "weft/v1/traffic_policy.pb.h"

namespace weft::control::compile {

namespace {

using envoy::config::route::v3::Route;
using envoy::config::route::v3::RouteAction;

constexpr uint32_t kUnresolvedStatus = 500;

struct Ranked {
  Precedence precedence;
  Route route;
};

const v1::TrafficPolicySpec* spec_of(const registry::EffectivePolicy* policy) {
  return policy == nullptr ? nullptr : policy->spec.get();
}

void set_timeouts(const v1::Timeouts& timeouts, RouteAction& action) {
  if (!timeouts.request().empty()) *action.mutable_timeout() = duration(timeouts.request());
  if (!timeouts.idle().empty()) *action.mutable_idle_timeout() = duration(timeouts.idle());
  if (!timeouts.backend_request().empty()) {
    *action.mutable_retry_policy()->mutable_per_try_timeout() = duration(timeouts.backend_request());
  }
}

// As the port has it, over which lies what the rule has, each section as a whole.
void set_policies(const v1::TrafficPolicySpec* of_port, const v1::TrafficPolicySpec* of_rule, RouteAction& action) {
  // The wire's default ends a request after 15 s; ours does not.
  action.mutable_timeout()->set_seconds(0);
  for (const v1::TrafficPolicySpec* policy : {of_rule, of_port}) {
    if (policy == nullptr || !policy->has_timeouts()) continue;
    set_timeouts(policy->timeouts(), action);
    break;
  }
  for (const v1::TrafficPolicySpec* policy : {of_rule, of_port}) {
    if (policy == nullptr || !policy->has_retry()) continue;
    set_retry(policy->retry(), action);
    break;
  }
}

void set_own_policies(const gateway::v1::HTTPRouteRule& rule, RouteAction& action) {
  if (!rule.timeouts().request().empty()) *action.mutable_timeout() = duration(rule.timeouts().request());
  if (!rule.timeouts().backend_request().empty()) {
    *action.mutable_retry_policy()->mutable_per_try_timeout() = duration(rule.timeouts().backend_request());
  }
  if (!rule.has_retry()) return;
  v1::Retry retry;
  *retry.mutable_codes() = rule.retry().codes();
  if (rule.retry().has_attempts()) retry.set_attempts(rule.retry().attempts());
  retry.set_backoff(rule.retry().backoff());
  // Gateway API: what fails by its connection, or is not answered in time, is retried where retries are asked for.
  for (const char* failure : {"connect-failure", "refused-stream", "reset"}) retry.add_on(failure);
  set_retry(retry, action);
}
void set_own_policies(const gateway::v1::GRPCRouteRule&, RouteAction&) {}

std::string cluster_of(const registry::Backend& backend) {
  return backend.unresolved_reason.empty() ? port_name(backend.service, backend.port) : std::string(kNowhere);
}

// Where the rule's traffic goes. False if nowhere: nothing is left that a request could go to.
template <typename Rule>
bool set_backends(const Rule& spec, const registry::RouteRule& rule, RouteAction& action,
                  std::set<std::string>& clusters) {
  const bool is_good = std::any_of(rule.backends.begin(), rule.backends.end(), [](const registry::Backend& backend) {
    return backend.unresolved_reason.empty() && backend.weight > 0;
  });
  if (!is_good) return false;
  for (size_t i = 0; i < rule.backends.size(); ++i) {
    const registry::Backend& backend = rule.backends[i];
    const auto& filters = spec.backend_refs(static_cast<int>(i)).filters();
    if (rule.backends.size() == 1 && filters.empty()) {
      action.set_cluster(cluster_of(backend));
    } else {
      auto* weighted = action.mutable_weighted_clusters()->add_clusters();
      weighted->set_name(cluster_of(backend));
      weighted->mutable_weight()->set_value(backend.weight);
      for (const auto& filter : filters) apply_header_filter(filter, *weighted);
    }
    clusters.insert(cluster_of(backend));
  }
  return true;
}

template <typename Rule>
void set_mirrors(const Rule& spec, const registry::RouteRule& rule, RouteAction& action,
                 std::set<std::string>& clusters) {
  size_t next = 0;
  const auto add = [&](const auto& filters) {
    for (const auto& filter : filters) {
      if (!filter.has_request_mirror() || next >= rule.mirrors.size()) continue;
      const registry::Backend& mirror = rule.mirrors[next++];
      if (!mirror.unresolved_reason.empty()) continue;
      add_mirror(filter.request_mirror(), cluster_of(mirror), action);
      clusters.insert(cluster_of(mirror));
    }
  };
  add(spec.filters());
  for (const auto& backend : spec.backend_refs()) add(backend.filters());
}

template <typename Spec>
void add_rules(const Spec& spec, const registry::Route& route, const registry::Model& model,
               const v1::TrafficPolicySpec* port_policy, const Audience& audience, std::vector<Ranked>& out,
               std::set<std::string>& clusters) {
  for (size_t i = 0; i < route.rules.size(); ++i) {
    const auto& rule = spec.rules(static_cast<int>(i));
    Route compiled;
    compiled.set_name(route_name(route.origin.key, i));
    for (const auto& filter : rule.filters()) apply_header_filter(filter, compiled);
    RouteAction action;
    const bool forwards = set_backends(rule, route.rules[i], action, clusters);
    set_mirrors(rule, route.rules[i], action, clusters);
    set_policies(port_policy, spec_of(route.rules[i].policy.get()), action);
    set_own_policies(rule, action);
    for (const registry::Backend& backend : route.rules[i].backends) {
      if (const auto* spec_of_backend = spec_of(policy_of(model, backend.service, backend.port))) {
        add_hash_policy(*spec_of_backend, action);
      }
    }
    const auto add = [&](const auto& match) {
      Ranked ranked;
      ranked.route = compiled;
      ranked.precedence = compile_match(match, audience, *ranked.route.mutable_match());
      const bool redirects = apply_redirect(rule, match, ranked.route);
      if (!redirects && forwards) {
        *ranked.route.mutable_route() = action;
        apply_rewrite(rule, match, *ranked.route.mutable_route());
      } else if (!redirects) {
        ranked.route.mutable_direct_response()->set_status(kUnresolvedStatus);
      }
      out.push_back(std::move(ranked));
    };
    for (const auto& match : rule.matches()) add(match);
    if (rule.matches().empty()) add(std::decay_t<decltype(rule.matches(0))>());
  }
}

}  // namespace

void compile_routes(const registry::Model& model, const registry::Service& service, uint16_t port,
                    const Audience& audience, envoy::config::route::v3::VirtualHost& host,
                    std::set<std::string>& clusters) {
  const v1::TrafficPolicySpec* port_policy = spec_of(policy_of(model, service.name, port));
  std::vector<Ranked> ranked;
  bool has_routes = false;
  for (const auto& route : model.routes_for(service.name, port, audience.namespace_name)) {
    if (const auto* http = std::get_if<std::shared_ptr<const gateway::v1::HTTPRouteSpec>>(&route->spec)) {
      has_routes = true;
      add_rules(**http, *route, model, port_policy, audience, ranked, clusters);
    } else if (const auto* grpc = std::get_if<std::shared_ptr<const gateway::v1::GRPCRouteSpec>>(&route->spec)) {
      has_routes = true;
      add_rules(**grpc, *route, model, port_policy, audience, ranked, clusters);
    }
  }
  std::stable_sort(ranked.begin(), ranked.end(),
                   [](const Ranked& a, const Ranked& b) { return a.precedence > b.precedence; });
  for (Ranked& each : ranked) *host.add_routes() = std::move(each.route);
  if (has_routes) return;
  Route* straight = host.add_routes();
  straight->set_name(straight_route_name(service.name, port));
  straight->mutable_match()->set_prefix("/");
  straight->mutable_route()->set_cluster(port_name(service.name, port));
  set_policies(port_policy, nullptr, *straight->mutable_route());
  if (port_policy != nullptr) add_hash_policy(*port_policy, *straight->mutable_route());
  clusters.insert(port_name(service.name, port));
}

}  // namespace weft::control::compile
