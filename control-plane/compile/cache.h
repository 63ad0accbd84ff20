#pragma once

// What was compiled of services and is the same for many audiences: compiled once, and kept until the service changes.
// Of one model at a time. Belongs to the thread that compiles.

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/container/node_hash_map.h"
#include "control-plane/registry/model.h"
#include "control-plane/snapshot/interner.h"

namespace weft::control::compile {

using Resources = std::vector<snapshot::ResourcePointer>;

// A port of a service as a proxy's outbound route has it: the bytes of its VirtualHost, what of them must be looked at
// together with others', and the clusters that it names.
struct Host {
  uint16_t port = 0;
  std::vector<std::string> domains;
  // The first so many are made of the service's own name, which no other Service has.
  size_t own_domains = 0;
  std::string bytes;
  std::set<std::string> clusters;
};

class Cache {
 public:
  // Of one service.
  struct Entry {
    // By what a proxy is, of which there are as many kinds as compile.cc tells apart, and for gRPC's clients.
    std::array<std::optional<Resources>, 5> clusters;
    std::optional<Resources> endpoints;
    // For proxies to which connections are brought, of namespaces that have no routes of their own to it: by whether
    // they speak mutual TLS, and are ours.
    std::array<std::optional<Resources>, 4> captured;
    // For proxies of its own namespace, and of others that have no routes of their own to it.
    std::array<std::optional<std::vector<Host>>, 2> hosts;
    // For proxies of its own namespace, and of others; with IPv6, and without.
    std::array<std::optional<Resources>, 4> names;
  };

  // Stays where it is until it is forgotten.
  Entry& of(const registry::ServiceName& name) { return entries_[name]; }

  // The outbound listener of proxies that reach no TLS by name, in which nothing of any service stands. Null until it
  // is set.
  struct PlainListener {
    uint16_t port = 0;
    bool is_weft = false;

    auto operator<=>(const PlainListener&) const = default;
  };
  snapshot::ResourcePointer& plain(const PlainListener& listener) {
    // Nodes say which port.
    if (plain_.size() >= kMaxPlain && !plain_.contains(listener)) plain_.clear();
    return plain_[listener];
  }

  // To be called for whatever is different in the next model, before anything is compiled of that.
  void forget(const registry::ChangeSet& changed);

  snapshot::Interner& interner() { return interner_; }

 private:
  static constexpr size_t kMaxPlain = 64;

  absl::node_hash_map<registry::ServiceName, Entry> entries_;
  std::map<PlainListener, snapshot::ResourcePointer> plain_;
  snapshot::Interner interner_;
};

}  // namespace weft::control::compile
