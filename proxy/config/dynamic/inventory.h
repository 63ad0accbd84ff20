#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "proxy/config/xds/subscription.h"

// What runs of the resources that come while the proxy runs, and who wants to know when that changes. Main thread.

namespace weft::config {

struct ResourceKey {
  xds::Type type = xds::Type::kCluster;
  // The serialised ConfigSource; empty for types that have only one.
  std::string source;
  std::string name;

  auto operator<=>(const ResourceKey&) const = default;
};

// Of one resource. All of it empty: the proxy does not have it.
struct ResourceState {
  struct Refused {
    std::string version;
    std::string reason;
    int64_t wall_ns = 0;
  };
  std::string version;          // In force: workers use it, or do as soon as they come to it.
  std::string warming_version;  // Waits for what it needs.
  std::optional<Refused> refused;
};

// Who must be told. It is within the change, so it may only take a note.
class ResourceWatcher {
 public:
  virtual void on_resource_changed(const ResourceKey& key) = 0;

 protected:
  ~ResourceWatcher() = default;
};

class Inventory {
 public:
  // The types of which it knows.
  virtual std::vector<xds::Type> types() const = 0;
  virtual ResourceState state(const ResourceKey& key) const = 0;
  // Each resource that has a state.
  virtual void visit(const std::function<void(const ResourceKey& key)>& each) const = 0;

 protected:
  ~Inventory() = default;
};

}  // namespace weft::config
