#pragma once

// What a resource names: of a cluster its endpoints, of a listener its routes, of routes their clusters. Looked up by
// the resource's bytes, since thousands of proxies hold the same. One thread.

#include <google/protobuf/any.pb.h>

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "proxy/config/xds/subscription.h"

namespace weft::simulation {

// A resource's version as the control plane makes it of the bytes.
uint64_t version_of(const google::protobuf::Any& body);

class References {
 public:
  // Sorted, each once. `version` is that of the body.
  const std::vector<std::string>& of(config::xds::Type type, uint64_t version, const google::protobuf::Any& body);

 private:
  std::unordered_map<uint64_t, std::vector<std::string>> known_;
};

}  // namespace weft::simulation
