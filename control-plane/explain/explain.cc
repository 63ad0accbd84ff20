#include "control-plane/explain/explain.h"

#include <google/protobuf/any.pb.h>
#include <google/protobuf/descriptor.h>

#include <set>
#include <type_traits>

#include "absl/strings/str_cat.h"
#include "api/text/print.h"
#include "control-plane/compile/cache.h"
#include "control-plane/compile/external_authorization.h"
#include "control-plane/compile/listener.h"
#include "control-plane/compile/names.h"
#include "control-plane/compile/policy.h"
#include "control-plane/compile/reach.h"
#include "envoy/config/listener/v3/listener.pb.h"
#include "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb.h"
#include "gateway/v1/grpc_route.pb.h"
#include "gateway/v1/http_route.pb.h"
#include "gateway/v1/stream_route.pb.h"
#include "weft/v1/authorization_policy.pb.h"
#include "weft/v1/external_authorizer.pb.h"
#include "weft/v1/request_authentication.pb.h"
#include "weft/v1/traffic_policy.pb.h"

namespace weft::control::explain {

namespace {

using envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
using google::protobuf::FieldDescriptor;
using registry::EffectivePolicy;
using registry::Origin;
using registry::Route;
using registry::Service;

constexpr char kDefaultNamespace[] = "default";
// Which port is of no account for what is routed.
constexpr uint16_t kAnyPort = 15001;

class Explainer {
 public:
  Explainer(const registry::Model& model, const OriginOf& origin_of, v1::ExplainResponse* out)
      : model_(model), origin_of_(origin_of), out_(out) {}

  void add_service(const Service& service, const std::string& client_namespace) {
    const auto endpoints = model_.endpoints.find(service.name);
    for (const registry::ServicePort& port : service.ports) {
      const EffectivePolicy* policy = compile::policy_of(model_, service.name, port.port);
      v1::ExplainedCluster* cluster = out_->add_clusters();
      cluster->set_name(compile::port_name(service.name, port.port));
      show(service.origin, cluster->mutable_source());
      cluster->set_port(port.port);
      if (policy != nullptr) add_sections(*policy, false, cluster->mutable_policies());
      if (endpoints != nullptr) add_endpoints(service, endpoints->of(port.port), cluster);
      cluster->set_is_original_destination(service.resolution == registry::Resolution::kNone);
      add_authorizations(service.name, cluster);

      v1::ExplainedRule* straight = out_->add_rules();
      straight->set_name(compile::straight_route_name(service.name, port.port));
      straight->set_virtual_host(cluster->name());
      show(service.origin, straight->mutable_source());
      if (policy != nullptr) add_sections(*policy, true, straight->mutable_policies());
      for (const auto& route : model_.routes_for(service.name, port.port, client_namespace)) {
        add_route(*route, cluster->name(), policy);
      }
    }
  }

 private:
  void show(const Origin& origin, v1::ObjectSource* out) const {
    out->mutable_object()->set_kind(std::string(source::kind_name(origin.key.kind)));
    out->mutable_object()->set_namespace_(origin.key.namespace_name);
    out->mutable_object()->set_name(origin.key.name);
    out->set_revision(origin.revision);
    out->set_origin(origin_of_(origin.key));
  }

  using Sections = google::protobuf::RepeatedPtrField<v1::EffectiveSection>;
  void add_section(const std::string& field, const google::protobuf::Message& value, const Origin& from,
                   Sections* out) const {
    text::PrintOptions options;
    options.proto_names = false;
    options.indent = false;
    v1::EffectiveSection* section = out->Add();
    section->set_field(field);
    section->set_value(text::print_json(value, options));
    show(from, section->mutable_source());
  }

  // Those that routes carry, or the others, which clusters do.
  void add_sections(const EffectivePolicy& policy, bool of_routes, Sections* out) const {
    for (const EffectivePolicy::Section& section : policy.sections) {
      const bool is_of_routes = section.field == "timeouts" || section.field == "retry";
      // How long to connect is a cluster's, and stands among the timeouts.
      if (is_of_routes != of_routes && section.field != "timeouts") continue;
      const FieldDescriptor* field = policy.spec->GetDescriptor()->FindFieldByCamelcaseName(section.field);
      if (field == nullptr) continue;
      add_section(section.field, policy.spec->GetReflection()->GetMessage(*policy.spec, field), section.origin, out);
    }
  }

  void add_authorizations(const registry::ServiceName& service, v1::ExplainedCluster* cluster) const {
    if (service.external) return;
    using Action = registry::Authorization::Action;
    constexpr std::pair<Action, const char*> kOrder[] = {
        {Action::kCustom, "CUSTOM"}, {Action::kAudit, "AUDIT"}, {Action::kDeny, "DENY"}, {Action::kAllow, "ALLOW"}};
    const registry::CallerRules rules = model_.caller_rules_for(service);
    for (const auto& tokens : rules.tokens) {
      for (const v1::JwtRule& rule : tokens->spec->jwt_rules()) {
        v1::ExplainedIssuer* shown = cluster->add_issuers();
        shown->set_issuer(rule.issuer());
        show(tokens->origin, shown->mutable_source());
      }
    }
    for (const auto& [action, word] : kOrder) {
      for (const auto& policy : rules.policies) {
        if (policy->action != action) continue;
        v1::ExplainedAuthorization* shown = cluster->add_authorizations();
        shown->set_action(word);
        show(policy->origin, shown->mutable_source());
        shown->set_rules(static_cast<uint32_t>(policy->spec->rules_size()));
        shown->set_dry_run(policy->dry_run);
        if (policy->authorizer != nullptr) add_authorizer(*policy, shown->mutable_authorizer());
      }
    }
  }

  void add_authorizer(const registry::Authorization& policy, v1::ExplainedAuthorizer* out) const {
    const registry::Authorizer& authorizer = *policy.authorizer;
    out->set_name(policy.spec->provider().name());
    out->set_trouble(authorizer.trouble);
    out->set_after_tokens(compile::turn_of(policy) == compile::Turn::kAfterTokens);
    if (authorizer.spec == nullptr) return;
    show(authorizer.origin, out->mutable_source());
    out->set_grpc(authorizer.spec->has_grpc());
    out->set_fail_open(authorizer.spec->fail_open());
    if (authorizer.trouble.empty()) out->set_cluster(compile::port_name(authorizer.service, authorizer.port));
  }

  template <typename Rule>
  void add_rule(const Route& route, size_t number, const Rule& rule, const std::string& virtual_host,
                const EffectivePolicy* of_port) {
    v1::ExplainedRule* out = out_->add_rules();
    out->set_name(compile::route_name(route.origin.key, number));
    out->set_virtual_host(virtual_host);
    show(route.origin, out->mutable_source());
    out->set_rule(static_cast<uint32_t>(number));
    out->set_rule_name(rule.name());
    if constexpr (std::is_same_v<Rule, gateway::v1::HTTPRouteRule>) {
      if (rule.has_timeouts()) add_section("timeouts", rule.timeouts(), route.origin, out->mutable_policies());
      if (rule.has_retry()) add_section("retry", rule.retry(), route.origin, out->mutable_policies());
    }
    std::set<std::string> of_rule;
    if (const EffectivePolicy* policy = route.rules[number].policy.get()) {
      add_sections(*policy, true, out->mutable_policies());
      for (const EffectivePolicy::Section& section : policy->sections) of_rule.insert(section.field);
    }
    if (of_port == nullptr) return;
    EffectivePolicy rest{of_port->spec, {}};
    for (const EffectivePolicy::Section& section : of_port->sections) {
      if (!of_rule.contains(section.field)) rest.sections.push_back(section);
    }
    add_sections(rest, true, out->mutable_policies());
  }

  void add_route(const Route& route, const std::string& virtual_host, const EffectivePolicy* of_port) {
    std::visit(
        [&](const auto& spec) {
          for (size_t i = 0; i < route.rules.size(); ++i) {
            add_rule(route, i, spec->rules(static_cast<int>(i)), virtual_host, of_port);
          }
        },
        route.spec);
  }

  static void add_endpoints(const Service& service, const std::vector<registry::Endpoint>& endpoints,
                            v1::ExplainedCluster* out) {
    for (const registry::Endpoint& endpoint : endpoints) {
      v1::ExplainedEndpoint* shown = out->add_endpoints();
      shown->set_address(endpoint.address);
      shown->set_port(endpoint.port);
      shown->set_weight(endpoint.weight);
      shown->set_zone(endpoint.zone);
      shown->set_workload(endpoint.workload);
      if (endpoint.ready || service.publish_not_ready) continue;
      shown->set_state(endpoint.draining ? v1::ExplainedEndpoint::DRAINING : v1::ExplainedEndpoint::NOT_READY);
    }
  }

  const registry::Model& model_;
  const OriginOf& origin_of_;
  v1::ExplainResponse* const out_;
};

// The connection manager of a listener, serialised; empty if it has none.
std::string manager_in(const google::protobuf::Any& packed) {
  envoy::config::listener::v3::Listener listener;
  if (!packed.UnpackTo(&listener)) return "";
  for (const auto& chain : listener.filter_chains()) {
    for (const auto& filter : chain.filters()) {
      if (filter.typed_config().Is<HttpConnectionManager>()) return filter.typed_config().value();
    }
  }
  return "";
}

}  // namespace

absl::StatusOr<v1::ExplainResponse> explain(const registry::Model& model, const v1::ExplainRequest& request,
                                            const OriginOf& origin_of) {
  compile::Audience audience;
  audience.namespace_name = request.namespace_().empty() ? kDefaultNamespace : request.namespace_();
  audience.outbound_port = kAnyPort;
  // So that what needs interception is there, too.
  audience.capture.port = kAnyPort;
  if (!request.service().empty() && model.services.find({audience.namespace_name, request.service()}) == nullptr) {
    return absl::NotFoundError(
        absl::StrCat("the caller's service ", audience.namespace_name, "/", request.service(), " does not exist"));
  }
  const registry::ScopePointer scope = model.scope_for(audience.namespace_name, request.service());
  audience.scope = compile::scope_of(scope.get(), std::nullopt);
  v1::ExplainResponse out;
  out.set_revision(model.revision);
  compile::Cache cache;
  for (const auto& resource : compile::compile_outbound_listener({model, audience}, cache)) {
    google::protobuf::Any any;
    if (!any.ParseFromString(resource->any)) continue;
    if (resource->type == snapshot::Type::kRoute) out.set_routes(any.value());
    if (resource->type == snapshot::Type::kListener) out.set_manager(manager_in(any));
  }
  Explainer explainer(model, origin_of, &out);
  model.services.for_each([&](const registry::ServiceName&, const auto& service) {
    explainer.add_service(*service, audience.namespace_name);
  });
  return out;
}

}  // namespace weft::control::explain
