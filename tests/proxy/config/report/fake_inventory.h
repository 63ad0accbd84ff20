#pragma once

#include <map>

#include "proxy/config/dynamic/inventory.h"

// What runs, as a test says.

namespace weft::config::report {

struct FakeInventory final : Inventory {
  std::vector<xds::Type> types() const override { return {xds::Type::kCluster, xds::Type::kEndpoints}; }
  ResourceState state(const ResourceKey& key) const override {
    auto found = running.find(key);
    return found == running.end() ? ResourceState() : found->second;
  }
  void visit(const std::function<void(const ResourceKey& key)>& each) const override {
    for (const auto& [key, state] : running) each(key);
  }
  std::map<ResourceKey, ResourceState> running;
};

inline ResourceKey cluster_key(const std::string& name) { return {xds::Type::kCluster, "", name}; }

}  // namespace weft::config::report
