#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <map>
#include <set>

#include "api/text/cat.h"
#include "api/text/position.h"
#include "control-plane/analyze/covers.h"
#include "control-plane/analyze/finding.h"
#include "control-plane/compile/listener.h"
#include "control-plane/compile/names.h"
#include "control-plane/compile/route.h"
#include "envoy/config/route/v3/route_components.pb.h"
#include "gateway/v1/stream_route.pb.h"

namespace weft::control::analyze {

namespace {

using envoy::config::route::v3::VirtualHost;
using google::protobuf::util::TimeUtil;
using registry::AppProtocol;
using registry::Route;
using registry::RouteRule;
using registry::Service;
using registry::ServicePort;
using source::Kind;
using text::cat;
using Routes = std::vector<std::shared_ptr<const Route>>;

std::string rule_path(size_t number) { return text::index_path("spec.rules", number); }

bool is_stream(const Route& route) {
  return route.origin.key.kind == Kind::kTcpRoute || route.origin.key.kind == Kind::kTlsRoute;
}

std::string_view protocol_name(AppProtocol protocol) {
  constexpr std::string_view kNames[] = {"whatever is detected", "http", "http2", "grpc", "tls", "tcp"};
  return kNames[static_cast<size_t>(protocol)];
}

// One port of a service, as the clients of one namespace see it.
class PortAnalysis {
 public:
  PortAnalysis(const Input& input, const Service& service, const ServicePort& port, const std::string& client_namespace,
               Findings* out)
      : service_(service),
        port_(port),
        routes_(input.model.routes_for(service.name, port.port, client_namespace)),
        out_(out) {
    audience_.namespace_name = client_namespace;
    std::set<std::string> clusters;
    if (compile::is_http(port.app_protocol)) {
      compile::compile_routes(input.model, service, port.port, audience_, host_, clusters);
    }
    for (const auto& route : routes_) {
      for (size_t i = 0; i < route->rules.size(); ++i) {
        rule_of_[compile::route_name(route->origin.key, i)] = {route.get(), i};
      }
    }
  }

  void run() {
    find_protocols();
    find_shadowed();
    find_timeouts();
    find_shadowed_streams();
  }

 private:
  struct Rule {
    const Route* route;
    size_t number;
  };

  std::string where() const { return cat("port ", port_.port, " of ", to_string(service_.name)); }

  void add(Severity severity, std::string_view code, const Rule& rule, const std::string& message) {
    out_->push_back({severity, std::string(code), rule.route->origin.key, rule_path(rule.number), message});
  }

  void find_protocols() {
    for (const auto& route : routes_) {
      const AppProtocol protocol = port_.app_protocol;
      const bool has_no_requests = protocol == AppProtocol::kTcp || protocol == AppProtocol::kTls;
      if (!is_stream(*route) && has_no_requests) {
        out_->push_back({Severity::kError, "RouteProtocol", route->origin.key, "spec.parentRefs",
                         cat(where(), " speaks ", protocol_name(protocol),
                             ", whose connections have no requests: no traffic follows the route; use a TCPRoute or "
                             "TLSRoute, or correct the port's appProtocol")});
      } else if (is_stream(*route) && !has_no_requests && protocol != AppProtocol::kDetect) {
        out_->push_back(
            {Severity::kWarning, "RouteProtocol", route->origin.key, "spec.parentRefs",
             cat(where(), " speaks ", protocol_name(protocol), ": only connections by a proxy's outbound_tcp ",
                 "follow the route; use an HTTPRoute or GRPCRoute, or correct the port's appProtocol")});
      }
    }
  }

  // A rule none of whose matches is ever reached.
  void find_shadowed() {
    struct Reach {
      bool is_reached = false;
      std::string by;
    };
    std::map<std::string, Reach> reach;
    for (int i = 0; i < host_.routes_size(); ++i) {
      Reach& of_rule = reach[host_.routes(i).name()];
      const auto first = std::find_if(host_.routes().begin(), host_.routes().begin() + i, [&](const auto& earlier) {
        return covers(earlier.match(), host_.routes(i).match());
      });
      if (first == host_.routes().begin() + i) {
        of_rule.is_reached = true;
      } else if (first->name() != host_.routes(i).name()) {
        of_rule.by = first->name();
      }
    }
    for (const auto& [name, of_rule] : reach) {
      const auto rule = rule_of_.find(name);
      const auto by = rule_of_.find(of_rule.by);
      if (of_rule.is_reached || rule == rule_of_.end() || by == rule_of_.end()) continue;
      add(Severity::kWarning, "ShadowedRule", rule->second,
          cat("never matches a request to ", where(), ": ", to_string(by->second.route->origin.key), ", ",
              rule_path(by->second.number),
              ", takes all of them first; make the match more specific, or delete the "
              "rule"));
    }
  }

  // Attempts that begin when the request's time is over already.
  void find_timeouts() {
    for (const auto& route : host_.routes()) {
      const auto rule = rule_of_.find(route.name());
      const auto& action = route.route();
      const int64_t whole_ms = TimeUtil::DurationToMilliseconds(action.timeout());
      const int64_t attempt_ms = TimeUtil::DurationToMilliseconds(action.retry_policy().per_try_timeout());
      const int64_t retries = action.retry_policy().num_retries().value();
      if (rule == rule_of_.end() || whole_ms == 0 || attempt_ms == 0 || retries == 0) continue;
      if ((retries + 1) * attempt_ms <= whole_ms) continue;
      add(Severity::kWarning, "TimeoutBeforeRetries", rule->second,
          cat("requests to ", where(), " end after ", whole_ms, " ms, while ", retries + 1, " attempts of ", attempt_ms,
              " ms may take ", (retries + 1) * attempt_ms,
              " ms: the last ones are never made or cut short; raise timeouts.request, or lower backendRequest or the "
              "attempts"));
    }
  }

  void find_shadowed_streams() {
    const Route* tcp = nullptr;
    std::map<std::string, const Route*> owner_of;
    for (const auto& route : routes_) {
      if (route->origin.key.kind == Kind::kTcpRoute) {
        if (tcp == nullptr) tcp = route.get();
        if (tcp != route.get()) {
          add(Severity::kWarning, "ShadowedRule", {route.get(), 0},
              cat("takes no connection to ", where(), ": ", to_string(tcp->origin.key),
                  " is older and takes all of them; delete one of the two"));
        }
      }
      const auto* tls = std::get_if<std::shared_ptr<const gateway::v1::TLSRouteSpec>>(&route->spec);
      if (tls == nullptr) continue;
      std::vector<std::string> hosts((*tls)->hostnames().begin(), (*tls)->hostnames().end());
      if (hosts.empty()) hosts.emplace_back();
      const Route* by = nullptr;
      bool is_reached = false;
      for (const std::string& host : hosts) {
        const Route* owner = owner_of.try_emplace(host, route.get()).first->second;
        is_reached = is_reached || owner == route.get();
        by = owner;
      }
      if (is_reached) continue;
      add(Severity::kWarning, "ShadowedRule", {route.get(), 0},
          cat("takes no connection to ", where(), ": ", to_string(by->origin.key),
              " is older and has its hostnames; delete one of the two, or give it others"));
    }
  }

  const Service& service_;
  const ServicePort& port_;
  const Routes routes_;
  Findings* const out_;
  compile::Audience audience_;
  VirtualHost host_;
  std::map<std::string, Rule> rule_of_;
};

bool takes_traffic(const Input& input, const registry::Backend& backend) {
  const auto service = input.model.services.find(backend.service);
  const auto endpoints = input.model.endpoints.find(backend.service);
  if (service == nullptr || endpoints == nullptr) return false;
  if (service->resolution == registry::Resolution::kNone) return true;
  const auto& of_port = endpoints->of(backend.port);
  return std::any_of(of_port.begin(), of_port.end(),
                     [&](const registry::Endpoint& each) { return each.ready || service->publish_not_ready; });
}

// What is wrong with where a rule sends.
void find_backends(const Input& input, const Route& route, Findings* out) {
  for (size_t i = 0; i < route.rules.size(); ++i) {
    const RouteRule& rule = route.rules[i];
    uint64_t total = 0;
    for (size_t j = 0; j < rule.backends.size(); ++j) {
      const registry::Backend& backend = rule.backends[j];
      total += backend.weight;
      if (backend.weight == 0 || !backend.unresolved_reason.empty() || takes_traffic(input, backend)) continue;
      out->push_back({Severity::kError, "BackendWithoutEndpoints", route.origin.key,
                      text::index_path(text::field_path(rule_path(i), "backendRefs"), j),
                      cat("no endpoint of port ", backend.port, " of ", to_string(backend.service),
                          " is ready, so its share of the traffic fails; start the workload, or set weight 0")});
    }
    if (rule.backends.empty() || total > 0) continue;
    out->push_back({Severity::kError, "ZeroWeights", route.origin.key, rule_path(i),
                    "all of its backends have weight 0, so all that matches fails; give one a weight, or delete the "
                    "rule"});
  }
}

}  // namespace

void find_in_routes(const Input& input, Findings* out) {
  input.model.services.for_each([&](const registry::ServiceName& name, const auto& service) {
    const auto routes = input.model.routes.find(name);
    if (routes == nullptr) return;
    std::set<std::string> client_namespaces = {name.namespace_name};
    for (const registry::AttachedRoute& attached : routes->attached) {
      if (attached.consumer) client_namespaces.insert(attached.route->origin.key.namespace_name);
      find_backends(input, *attached.route, out);
    }
    for (const ServicePort& port : service->ports) {
      for (const std::string& client : client_namespaces) PortAnalysis(input, *service, port, client, out).run();
    }
  });
}

}  // namespace weft::control::analyze
