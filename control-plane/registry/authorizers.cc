#include "control-plane/registry/authorizers.h"

#include "api/text/cat.h"
#include "control-plane/registry/reference.h"
#include "control-plane/registry/status.h"
#include "weft/v1/authorization_policy.pb.h"
#include "weft/v1/external_authorizer.pb.h"

namespace weft::control::registry {

namespace {

using source::Key;
using source::Object;
using text::cat;

const v1::ExternalAuthorizerSpec& spec_of(const Object& authorizer) {
  return source::content_as<v1::ExternalAuthorizer>(authorizer).spec();
}

ServiceName service_of(const Object& authorizer) {
  return named_by(spec_of(authorizer).backend_ref(), authorizer.key.namespace_name);
}

// Why it cannot be asked, as a condition has it.
struct Trouble {
  std::string reason;
  std::string message;
};

Trouble trouble_of(const Object& authorizer, const Service* service) {
  const v1::ExternalAuthorizerSpec& spec = spec_of(authorizer);
  const std::string name = to_string(service_of(authorizer));
  if (service == nullptr) return {"BackendNotFound", cat("the service ", name, " does not exist")};
  if (!service->exported.allows(authorizer.key.namespace_name)) {
    return {"RefNotPermitted", cat("the service ", name, " is exported to ", to_string(service->exported), ", not to ",
                                   authorizer.key.namespace_name)};
  }
  // A call of the proxy's own was made to nowhere.
  if (service->resolution == Resolution::kNone) {
    return {"BackendNotFound",
            cat("the service ", name, " has resolution None, and so no endpoints that could be asked")};
  }
  const uint32_t number = spec.backend_ref().port();
  const ServicePort* port = service->port(static_cast<uint16_t>(number));
  if (port == nullptr) return {"BackendNotFound", cat("the service ", name, " has no TCP port ", number)};
  const AppProtocol spoken = port->app_protocol;
  const bool is_http2 = spoken == AppProtocol::kHttp2 || spoken == AppProtocol::kGrpc;
  if (spec.has_grpc() && !is_http2) {
    return {"UnsupportedProtocol",
            cat("port ", number, " of the service ", name,
                " does not say that it speaks HTTP/2, as gRPC needs: expected appProtocol grpc")};
  }
  if (spoken == AppProtocol::kTls || spoken == AppProtocol::kTcp) {
    return {"UnsupportedProtocol",
            cat("port ", number, " of the service ", name, " is not HTTP: expected appProtocol http")};
  }
  return {};
}

std::shared_ptr<const Authorizer> resolved(const Object& object, const SharedMap<ServiceName, Service>& services) {
  auto out = std::make_shared<Authorizer>();
  out->name = cat(source::kind_name(object.key.kind), "/", object.key.namespace_name, "/", object.key.name);
  out->origin = {object.key, object.revision};
  // Shares the object's content.
  out->spec = {object.content, &spec_of(object)};
  out->service = service_of(object);
  out->port = static_cast<uint16_t>(spec_of(object).backend_ref().port());
  const auto service = services.find(out->service);
  out->trouble = trouble_of(object, service.get()).message;
  if (service == nullptr) return out;
  const bool is_one_host = !service->hosts.empty() && !service->hosts.back().starts_with('*');
  out->host = is_one_host ? service->hosts.back() : service->name.name;
  return out;
}

}  // namespace

void AuthorizerTable::add(const Object& authorizer) {
  authorizers_.insert_or_assign(authorizer.key, authorizer);
  of_service_[service_of(authorizer)].insert(authorizer.key);
}

void AuthorizerTable::remove(const Object& authorizer) {
  authorizers_.erase(authorizer.key);
  const auto found = of_service_.find(service_of(authorizer));
  if (found == of_service_.end()) return;
  found->second.erase(authorizer.key);
  if (found->second.empty()) of_service_.erase(found);
}

std::shared_ptr<const Authorizer> AuthorizerTable::find(const std::string& namespace_name, const std::string& name,
                                                        const SharedMap<ServiceName, Service>& services) const {
  for (const std::string_view space : {std::string_view(namespace_name), kRootNamespace}) {
    const auto found = authorizers_.find({source::Kind::kExternalAuthorizer, std::string(space), name});
    if (found != authorizers_.end()) return resolved(found->second, services);
  }
  auto out = std::make_shared<Authorizer>();
  out->name = cat(source::kind_name(source::Kind::kExternalAuthorizer), "/", name);
  const bool is_root = namespace_name == kRootNamespace;
  out->trouble = cat("no ExternalAuthorizer \"", name, "\" exists in ", namespace_name, is_root ? "" : " or ",
                     is_root ? "" : kRootNamespace);
  return out;
}

std::set<Key> AuthorizerTable::asking(const ServiceName& service) const {
  const auto found = of_service_.find(service);
  return found == of_service_.end() ? std::set<Key>() : found->second;
}

std::shared_ptr<v1::AuthorizationPolicyStatus> AuthorizerTable::judge(const Object& authorizer,
                                                                      const SharedMap<ServiceName, Service>& services) {
  const Trouble trouble = trouble_of(authorizer, services.find(service_of(authorizer)).get());
  auto status = std::make_shared<v1::AuthorizationPolicyStatus>();
  const uint32_t generation = source::metadata_of(*authorizer.content).generation();
  const bool is_good = trouble.reason.empty();
  add_condition({"Accepted", true, "Accepted", ""}, generation, status->mutable_conditions());
  add_condition({"ResolvedRefs", is_good, is_good ? "ResolvedRefs" : trouble.reason, trouble.message}, generation,
                status->mutable_conditions());
  return status;
}

}  // namespace weft::control::registry
