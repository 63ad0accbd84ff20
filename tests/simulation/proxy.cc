#include "tests/simulation/proxy.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "proxy/config/xds/type.h"
#include "tests/simulation/message_streams.h"
#include "tests/simulation/stack.h"

namespace weft::simulation {

namespace {

using config::xds::Type;
namespace snapshot = control::snapshot;

snapshot::Type as_served(Type type) { return *snapshot::type_of_url(config::xds::type_url(type)); }

Holder::Options holder_options(const Proxy::Options& options) {
  return {.name = options.name,
          .refused_per_mille = options.refused_per_mille,
          .salt = options.salt,
          .vague = options.vague,
          .listeners = options.listeners,
          .aggregated = options.aggregated,
          .real_clusters = options.real_clusters};
}

std::unique_ptr<Streams> make_streams(World& world, ControlPlane& control_plane, Server* server,
                                      config::xds::Consumer& consumer, const Proxy::Options& options) {
  if (server != nullptr) {
    return make_stack_streams(world, *server, consumer,
                              {.name = options.name,
                               .node = options.node,
                               .delta = options.delta,
                               .aggregated = options.aggregated,
                               .rate_limited = options.rate_limited});
  }
  return std::make_unique<MessageStreams>(world, control_plane, consumer,
                                          MessageStreams::Options{.aggregated = options.aggregated,
                                                                  .rate_limited = options.rate_limited,
                                                                  .channel = {.name = options.name,
                                                                              .delta = options.delta,
                                                                              .vague = options.vague,
                                                                              .rate = std::nullopt,
                                                                              .conversation = {options.node, true}}});
}

}  // namespace

Proxy::Proxy(World& world, ControlPlane& control_plane, Server* server, References& references, const Options& options)
    : world_(world),
      options_(options),
      holder_(world, references, holder_options(options),
              [this](Type type, std::vector<std::string> names) { streams_->subscribe(type, std::move(names)); }),
      streams_(make_streams(world, control_plane, server, holder_, options_)) {
  holder_.start();
}

Proxy::~Proxy() = default;

void Proxy::cut() {
  // Whoever sees no end of the connection finds out by keepalives.
  const bool proxy_is_late = world_.once_in(2);
  const int64_t late_us = world_.between(0, 20'000'000);
  streams_->cut(proxy_is_late ? late_us : 0, proxy_is_late ? 0 : late_us);
}

std::string Proxy::difference(Type type, const snapshot::View& view, const std::set<std::string>& wanted) const {
  const std::string_view noun = config::xds::type_info(type).noun;
  const auto& held = holder_.held(type);
  for (const std::string& name : wanted) {
    const snapshot::ResourcePointer resource = view.find(as_served(type), name);
    const auto found = held.find(name);
    // In the state-of-the-world form routes and endpoints that are gone are not told; nothing names them any more.
    if (resource == nullptr) continue;
    if (holder_.refuses(name, resource->version)) {
      if (found != held.end() && found->second == resource->version)
        return absl::StrCat(std::string(noun), " ", name, " was refused and is held");
      continue;
    }
    if (found == held.end()) return absl::StrCat(std::string(noun), " ", name, " is missing");
    if (found->second != resource->version) return absl::StrCat(std::string(noun), " ", name, " is not the newest");
  }
  for (const auto& [name, version] : held) {
    if (!wanted.contains(name)) return absl::StrCat(std::string(noun), " ", name, " is held and not in the view");
  }
  return {};
}

std::string Proxy::difference(const snapshot::View& view) const {
  for (const Type type : {Type::kCluster, Type::kEndpoints, Type::kListener, Type::kRoutes}) {
    const bool all = holder_.wants_all() && (type == Type::kCluster || type == Type::kListener);
    std::set<std::string> wanted = holder_.wanted(type);
    if (all) view.for_each_name(as_served(type), [&](const std::string& name) { wanted.insert(name); });
    std::string what = difference(type, view, wanted);
    if (!what.empty()) return what;
  }
  if (holder_.applied() == nullptr) return {};
  return holder_.applied()->difference(holder_.held(Type::kCluster), holder_.held(Type::kEndpoints));
}

}  // namespace weft::simulation
