#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "proxy/snapshot/snapshot.h"

// Which filter chain takes a connection. Envoy's rule (its FilterChainMatch): criterion by criterion, in a fixed order,
// only the chains that match most specifically stay, and one that was passed over is not come back to. An index is
// built once for a listener; finding is a walk down nine levels. Immutable; shared by all workers.

namespace weft::listener {

// What is known of a connection when its chain is chosen.
struct ConnectionFacts {
  const transport::Address* local = nullptr;
  const transport::Address* remote = nullptr;
  const transport::Address* direct_remote = nullptr;
  std::string_view server_name;         // Lower case; empty when none was detected.
  std::string_view transport_protocol;  // "tls" or "raw_buffer"
  const std::vector<std::string>* application_protocols = nullptr;
};

class FilterChainMatcher {
 public:
  // Fails when two chains would match exactly the same, naming both.
  static absl::StatusOr<std::shared_ptr<const FilterChainMatcher>> build(const snapshot::Listener& listener);
  ~FilterChainMatcher();

  // nullptr: no chain matches, and there is no default one.
  const std::shared_ptr<const snapshot::FilterChain>& find(const ConnectionFacts& facts) const;

 private:
  struct Node;
  class Builder;
  FilterChainMatcher();
  std::unique_ptr<Node> root_;
  std::shared_ptr<const snapshot::FilterChain> default_;
};

}  // namespace weft::listener
