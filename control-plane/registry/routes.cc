#include "control-plane/registry/routes.h"

#include "api/text/cat.h"
#include "api/text/position.h"
#include "control-plane/registry/reference.h"
#include "control-plane/registry/services.h"
#include "control-plane/registry/status.h"
#include "gateway/v1/grpc_route.pb.h"
#include "gateway/v1/http_route.pb.h"
#include "gateway/v1/reference_grant.pb.h"
#include "gateway/v1/stream_route.pb.h"
#include "kubernetes/meta/v1/meta.pb.h"

namespace weft::control::registry {

namespace {

using source::Kind;
using source::Object;
using text::cat;

// Calls visit(spec) with the route's own type of spec.
template <typename Visit>
auto with_spec(const Object& route, Visit&& visit) {
  switch (route.key.kind) {
    case Kind::kHttpRoute:
      return visit(source::content_as<gateway::v1::HTTPRoute>(route).spec());
    case Kind::kGrpcRoute:
      return visit(source::content_as<gateway::v1::GRPCRoute>(route).spec());
    case Kind::kTcpRoute:
      return visit(source::content_as<gateway::v1::TCPRoute>(route).spec());
    default:
      return visit(source::content_as<gateway::v1::TLSRoute>(route).spec());
  }
}

// Calls visit(reference) for the backend of each mirror in `filters`.
template <typename Filters, typename Visit>
void for_each_mirror(const Filters& filters, Visit&& visit) {
  for (const auto& filter : filters) {
    if (filter.has_request_mirror()) visit(filter.request_mirror().backend_ref());
  }
}

// The mirrors of a rule and then of its backends, where its kind has filters.
template <typename Rule, typename Visit>
void for_each_mirror_of_rule(const Rule& rule, Visit&& visit) {
  if constexpr (requires { rule.filters(); }) {
    for_each_mirror(rule.filters(), visit);
    for (const auto& backend : rule.backend_refs()) for_each_mirror(backend.filters(), visit);
  }
}

// What is wrong with a route's references: the first, for the condition.
struct Trouble {
  std::string reason;
  std::string message;

  void add(std::string_view new_reason, std::string_view where, std::string_view what) {
    if (reason.empty()) reason = new_reason;
    text::append(&message, message.empty() ? "" : "; ", where, ": ", what);
  }
};

class Resolver {
 public:
  Resolver(const Object& object, const SharedMap<ServiceName, Service>& services, const Grants& grants,
           const PolicyTable& policies)
      : object_(object), services_(services), grants_(grants), policies_(policies) {}

  template <typename Spec>
  ResolvedRoute resolve(const Spec& spec) {
    auto route = std::make_shared<Route>();
    route->origin = {object_.key, object_.revision};
    route->created_ms = created_ms(object_);
    // The spec lives in the object's content, which it keeps alive.
    route->spec = std::shared_ptr<const Spec>(object_.content, &spec);
    for (int i = 0; i < spec.rules_size(); ++i) {
      route->rules.push_back(rule(spec.rules(i), text::index_path("spec.rules", i)));
    }
    ResolvedRoute out;
    out.status = std::make_shared<gateway::v1::RouteStatus>();
    for (const auto& reference : spec.parent_refs()) parent(reference, &out);
    out.route = std::move(route);
    return out;
  }

 private:
  template <typename Rule>
  RouteRule rule(const Rule& rule, const std::string& path) {
    RouteRule out;
    for (int i = 0; i < rule.backend_refs_size(); ++i) {
      const auto& reference = rule.backend_refs(i);
      out.backends.push_back(backend(reference, text::index_path(text::field_path(path, "backendRefs"), i)));
      if (reference.has_weight()) out.backends.back().weight = reference.weight();
    }
    const std::string mirrors = text::field_path(path, "filters");
    for_each_mirror_of_rule(rule, [&](const auto& mirror) { out.mirrors.push_back(backend(mirror, mirrors)); });
    out.policy = policies_.for_rule(object_.key, rule.name());
    return out;
  }

  template <typename Reference>
  Backend backend(const Reference& reference, const std::string& path) {
    Backend out;
    out.service = named_by(reference, object_.key.namespace_name);
    out.port = static_cast<uint16_t>(reference.port());
    const auto refuse = [&](std::string_view reason, std::string_view what) {
      out.unresolved_reason = reason;
      trouble_.add(reason, path, what);
    };
    if (!names_a_service(reference)) {
      refuse("InvalidKind", cat(reference.group(), "/", reference.kind(), " is no kind of backend"));
      return out;
    }
    // Before the look-up: who is not let in does not learn what there is.
    if (!grants_.allows(object_.key, out.service)) {
      refuse("RefNotPermitted",
             cat("no ReferenceGrant in ", out.service.namespace_name, " lets ", source::kind_name(object_.key.kind),
                 "s of ", object_.key.namespace_name, " refer to ", out.service.name));
      return out;
    }
    const auto service = services_.find(out.service);
    if (service == nullptr) {
      refuse("BackendNotFound", cat("the service ", to_string(out.service), " does not exist"));
    } else if (!service->exported.allows(object_.key.namespace_name)) {
      refuse("RefNotPermitted", not_exported(*service));
    } else if (service->port(out.port) == nullptr) {
      refuse("BackendNotFound", cat("the service ", to_string(out.service), " has no TCP port ", out.port));
    }
    return out;
  }

  std::string not_exported(const Service& service) const {
    return cat("the service ", to_string(service.name), " is exported to ", to_string(service.exported), ", not to ",
               object_.key.namespace_name);
  }

  void parent(const gateway::v1::ParentReference& reference, ResolvedRoute* out) {
    const ServiceName name = named_by(reference, object_.key.namespace_name);
    const auto service = services_.find(name);
    std::string missing;
    std::optional<uint16_t> port;
    if (service == nullptr) {
      missing = cat("the service ", to_string(name), " does not exist");
    } else if (!service->exported.allows(object_.key.namespace_name)) {
      missing = not_exported(*service);
    } else {
      missing = find_port(*service, reference, &port);
    }
    gateway::v1::RouteParentStatus* status = out->status->add_parents();
    *status->mutable_parent_ref() = reference;
    status->set_controller_name(kControllerName);
    const uint32_t generation = source::metadata_of(*object_.content).generation();
    const bool accepted = missing.empty();
    add_condition({"Accepted", accepted, accepted ? "Accepted" : "NoMatchingParent", missing}, generation,
                  status->mutable_conditions());
    const bool resolved = trouble_.reason.empty();
    add_condition({"ResolvedRefs", resolved, resolved ? "ResolvedRefs" : trouble_.reason, trouble_.message}, generation,
                  status->mutable_conditions());
    if (accepted) out->parents.push_back({name, port});
  }

  // Fills `port` if the reference is to one port only; says what is missing.
  static std::string find_port(const Service& service, const gateway::v1::ParentReference& reference,
                               std::optional<uint16_t>* port) {
    if (reference.port() == 0 && reference.section_name().empty()) return "";
    for (const ServicePort& candidate : service.ports) {
      if (reference.port() != 0 && candidate.port != reference.port()) continue;
      if (!reference.section_name().empty() && candidate.name != reference.section_name()) continue;
      *port = candidate.port;
      return "";
    }
    return cat("the service ", to_string(service.name), " has no such TCP port");
  }

  const Object& object_;
  const SharedMap<ServiceName, Service>& services_;
  const Grants& grants_;
  const PolicyTable& policies_;
  Trouble trouble_;
};

}  // namespace

bool Grants::allows(const source::Key& from, const ServiceName& to) const {
  if (from.namespace_name == to.namespace_name) return true;
  const auto grants = of_namespace_.find(to.namespace_name);
  if (grants == of_namespace_.end()) return false;
  const source::KindInfo& kind = source::kind_info(from.kind);
  const source::KindInfo& target = source::kind_info(to.external ? Kind::kExternalService : Kind::kService);
  for (const auto& [name, grant] : grants->second) {
    const auto& spec = source::content_as<gateway::v1::ReferenceGrant>(grant).spec();
    bool from_matches = false;
    for (const auto& entry : spec.from()) {
      from_matches = from_matches || (entry.group() == kind.group && entry.kind() == kind.name &&
                                      entry.namespace_() == from.namespace_name);
    }
    if (!from_matches) continue;
    for (const auto& entry : spec.to()) {
      const bool all = entry.name().empty();
      if (entry.group() == target.group && entry.kind() == target.name && (all || entry.name() == to.name)) return true;
    }
  }
  return false;
}

RouteReferences references_of(const Object& route) {
  RouteReferences out;
  const std::string& own = route.key.namespace_name;
  with_spec(route, [&](const auto& spec) {
    for (const auto& parent : spec.parent_refs()) out.parents.insert(named_by(parent, own));
    for (const auto& rule : spec.rules()) {
      for (const auto& backend : rule.backend_refs()) out.backends.insert(named_by(backend, own));
      for_each_mirror_of_rule(rule, [&](const auto& mirror) { out.backends.insert(named_by(mirror, own)); });
    }
  });
  return out;
}

ResolvedRoute resolve_route(const Object& object, const SharedMap<ServiceName, Service>& services, const Grants& grants,
                            const PolicyTable& policies) {
  return with_spec(object,
                   [&](const auto& spec) { return Resolver(object, services, grants, policies).resolve(spec); });
}

bool has_rule(const Object& route, const std::string& name) {
  return with_spec(route, [&](const auto& spec) {
    for (const auto& rule : spec.rules()) {
      if (rule.name() == name) return true;
    }
    return false;
  });
}

}  // namespace weft::control::registry
