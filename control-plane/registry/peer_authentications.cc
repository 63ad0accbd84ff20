#include "control-plane/registry/peer_authentications.h"

#include <algorithm>

#include "api/text/cat.h"
#include "control-plane/registry/services.h"
#include "control-plane/registry/status.h"
#include "weft/v1/peer_authentication.pb.h"

namespace weft::control::registry {

namespace {

using source::Key;
using source::Object;
using text::cat;

const v1::PeerAuthenticationSpec& spec_of(const Object& object) {
  return source::content_as<v1::PeerAuthentication>(object).spec();
}

bool is_for(const Object& object, const std::string& service) {
  const auto& services = spec_of(object).services();
  if (service.empty()) return services.empty();
  return std::find(services.begin(), services.end(), service) != services.end();
}

std::optional<MtlsMode> mode_of(const v1::MutualTls& mtls) {
  if (mtls.mode() == "STRICT") return MtlsMode::kStrict;
  if (mtls.mode() == "PERMISSIVE") return MtlsMode::kPermissive;
  if (mtls.mode() == "DISABLE") return MtlsMode::kDisable;
  return std::nullopt;
}

std::shared_ptr<const Mtls> compiled(const Object* object) {
  if (object == nullptr) return nullptr;
  auto out = std::make_shared<Mtls>();
  out->origin = {object->key, object->revision};
  out->mode = mode_of(spec_of(*object).mtls());
  for (const auto& [port, mtls] : spec_of(*object).port_level_mtls()) {
    if (const auto mode = mode_of(mtls)) out->ports.emplace(static_cast<uint16_t>(port), *mode);
  }
  return out;
}

}  // namespace

void PeerAuthenticationTable::add(const Object& object) {
  objects_[object.key.namespace_name].insert_or_assign({created_ms(object), object.key}, object);
}

void PeerAuthenticationTable::remove(const Object& object) {
  const auto found = objects_.find(object.key.namespace_name);
  if (found == objects_.end()) return;
  found->second.erase({created_ms(object), object.key});
  if (found->second.empty()) objects_.erase(found);
}

// The oldest that is for the service, or, without a name, for the whole namespace.
const Object* PeerAuthenticationTable::winner(const OfNamespace& all, const std::string& service) {
  for (const auto& [age, object] : all) {
    if (is_for(object, service)) return &object;
  }
  return nullptr;
}

std::shared_ptr<const NamespaceMtls> PeerAuthenticationTable::of(const std::string& namespace_name) const {
  const auto found = objects_.find(namespace_name);
  if (found == objects_.end()) return nullptr;
  auto out = std::make_shared<NamespaceMtls>();
  out->whole = compiled(winner(found->second, ""));
  for (const auto& [age, object] : found->second) {
    for (const std::string& service : spec_of(object).services()) {
      std::shared_ptr<const Mtls>& holds = out->of_service[service];
      if (holds == nullptr) holds = compiled(&object);
    }
  }
  return out;
}

std::set<Key> PeerAuthenticationTable::all_of(const std::string& namespace_name) const {
  std::set<Key> keys;
  const auto found = objects_.find(namespace_name);
  if (found == objects_.end()) return keys;
  for (const auto& [age, object] : found->second) keys.insert(object.key);
  return keys;
}

std::shared_ptr<v1::PeerAuthenticationStatus> PeerAuthenticationTable::judge(
    const Object& object, const SharedMap<ServiceName, Service>& services) const {
  const std::string& own = object.key.namespace_name;
  const OfNamespace& all = objects_.at(own);
  std::string taken;
  std::string missing;
  const auto look_for_older = [&](const std::string& service) {
    const Object* holds = winner(all, service);
    if (holds == nullptr || holds->key == object.key) return;
    text::append(&taken, taken.empty() ? "" : "; ", to_string(holds->key), " holds for ",
                 service.empty() ? "the namespace" : service, ", and is older");
  };
  for (const std::string& service : spec_of(object).services()) {
    look_for_older(service);
    if (services.find({.namespace_name = own, .name = service}) != nullptr) continue;
    text::append(&missing, missing.empty() ? "" : "; ", "the service ", own, "/", service, " does not exist");
  }
  if (spec_of(object).services().empty()) look_for_older("");
  auto status = std::make_shared<v1::PeerAuthenticationStatus>();
  const uint32_t generation = source::metadata_of(*object.content).generation();
  add_condition({"Accepted", taken.empty(), taken.empty() ? "Accepted" : "Conflicted", taken}, generation,
                status->mutable_conditions());
  add_condition({"ResolvedRefs", missing.empty(), missing.empty() ? "ResolvedRefs" : "ServiceNotFound", missing},
                generation, status->mutable_conditions());
  return status;
}

}  // namespace weft::control::registry
