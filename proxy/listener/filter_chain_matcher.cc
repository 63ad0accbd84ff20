#include "proxy/listener/filter_chain_matcher.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"

namespace weft::listener {
namespace {

using snapshot::FilterChain;
using snapshot::FilterChainMatch;
using transport::Address;

// The criteria in the order in which they decide.
enum Level {
  kDestinationPort,
  kDestinationIp,
  kServerName,
  kTransportProtocol,
  kApplicationProtocol,
  kDirectSourceIp,
  kSourceType,
  kSourceIp,
  kSourcePort,
  kLevels,
};

absl::string_view view(std::string_view text) { return {text.data(), text.size()}; }

std::string port_key(uint16_t port) { return {static_cast<char>(port >> 8), static_cast<char>(port & 0xff)}; }

bool in_range(const Address& address, const FilterChainMatch::Cidr& range) {
  return address.is_within(range.address, range.prefix_bits);
}

bool same_range(const FilterChainMatch::Cidr& a, const FilterChainMatch::Cidr& b) {
  return a.prefix_bits == b.prefix_bits && in_range(a.address, b);
}

bool same_ip(const Address& a, const Address& b) {
  if (a.family != b.family) return false;
  return std::memcmp(a.ip, b.ip, a.family == Address::Family::kIpv4 ? 4 : 16) == 0;
}

// "" for a chain that does not care.
std::string_view source_type_key(FilterChainMatch::SourceType type) {
  switch (type) {
    case FilterChainMatch::SourceType::kAny:
      return "";
    case FilterChainMatch::SourceType::kSameIpOrLoopback:
      return "local";
    case FilterChainMatch::SourceType::kExternal:
      return "external";
  }
  return "";
}

}  // namespace

struct FilterChainMatcher::Node {
  absl::flat_hash_map<std::string, std::unique_ptr<Node>> exact;
  std::vector<std::pair<FilterChainMatch::Cidr, std::unique_ptr<Node>>> ranges;  // The longest prefix first.
  std::unique_ptr<Node> any;
  std::shared_ptr<const FilterChain> chain;  // Of the last level.

  const Node* find(std::string_view key) const {
    if (exact.empty()) return nullptr;
    auto found = exact.find(view(key));
    return found == exact.end() ? nullptr : found->second.get();
  }
  const Node* find(const Address& address) const {
    for (const auto& [range, node] : ranges) {
      if (in_range(address, range)) return node.get();
    }
    return nullptr;
  }
  // "www.example.com", then ".example.com", then ".com".
  const Node* find_server_name(std::string_view name) const {
    if (exact.empty() || name.empty()) return nullptr;
    if (const Node* node = find(name)) return node;
    for (size_t dot = name.find('.', 1); dot != std::string_view::npos; dot = name.find('.', dot + 1)) {
      if (const Node* node = find(name.substr(dot))) return node;
    }
    return nullptr;
  }
};

class FilterChainMatcher::Builder {
 public:
  explicit Builder(std::shared_ptr<const FilterChain> chain) : chain_(std::move(chain)), match_(chain_->match) {}

  // Puts the chain below `node` under every combination of its criteria. Its clash is named by `existing`.
  bool add(Node& node, int level) {
    switch (level) {
      case kDestinationPort:
        return keys(node, level, match_.has_destination_port ? Keys{port_key(match_.destination_port)} : Keys{});
      case kDestinationIp:
        return ranges(node, level, match_.destination_ranges);
      case kServerName:
        return keys(node, level, match_.server_names);
      case kTransportProtocol:
        return keys(node, level, match_.transport_protocol.empty() ? Keys{} : Keys{match_.transport_protocol});
      case kApplicationProtocol:
        return keys(node, level, match_.application_protocols);
      case kDirectSourceIp:
        return ranges(node, level, match_.direct_source_ranges);
      case kSourceType: {
        std::string key(source_type_key(match_.source_type));
        return keys(node, level, key.empty() ? Keys{} : Keys{key});
      }
      case kSourceIp:
        return ranges(node, level, match_.source_ranges);
      case kSourcePort: {
        Keys ports;
        for (uint16_t port : match_.source_ports) ports.push_back(port_key(port));
        return keys(node, level, ports);
      }
      default:
        break;
    }
    if (node.chain != nullptr && node.chain != chain_) {
      existing_ = node.chain.get();
      return false;
    }
    node.chain = chain_;
    return true;
  }
  const FilterChain* existing() const { return existing_; }

 private:
  using Keys = std::vector<std::string>;

  bool below(std::unique_ptr<Node>& child, int level) {
    if (child == nullptr) child = std::make_unique<Node>();
    return add(*child, level + 1);
  }
  bool keys(Node& node, int level, const Keys& keys) {
    if (keys.empty()) return below(node.any, level);
    return std::all_of(keys.begin(), keys.end(), [&](const std::string& key) { return below(node.exact[key], level); });
  }
  bool ranges(Node& node, int level, const std::vector<FilterChainMatch::Cidr>& ranges) {
    if (ranges.empty()) return below(node.any, level);
    for (const auto& range : ranges) {
      auto same = std::find_if(node.ranges.begin(), node.ranges.end(),
                               [&](const auto& entry) { return same_range(entry.first, range); });
      if (same == node.ranges.end()) {
        auto place = std::find_if(node.ranges.begin(), node.ranges.end(),
                                  [&](const auto& entry) { return entry.first.prefix_bits < range.prefix_bits; });
        same = node.ranges.insert(place, {range, nullptr});
      }
      if (!below(same->second, level)) return false;
    }
    return true;
  }

  std::shared_ptr<const FilterChain> chain_;
  const FilterChainMatch& match_;
  const FilterChain* existing_ = nullptr;
};

FilterChainMatcher::FilterChainMatcher() : root_(std::make_unique<Node>()) {}
FilterChainMatcher::~FilterChainMatcher() = default;

absl::StatusOr<std::shared_ptr<const FilterChainMatcher>> FilterChainMatcher::build(
    const snapshot::Listener& listener) {
  std::shared_ptr<FilterChainMatcher> matcher(new FilterChainMatcher());
  matcher->default_ = listener.default_filter_chain;
  for (const auto& chain : listener.filter_chains) {
    Builder builder(chain);
    if (!builder.add(*matcher->root_, 0)) {
      return absl::InvalidArgumentError(absl::StrCat("listener '", listener.name, "': filter chains '",
                                                     builder.existing()->name, "' and '", chain->name,
                                                     "' match the same connections"));
    }
  }
  return std::shared_ptr<const FilterChainMatcher>(std::move(matcher));
}

const std::shared_ptr<const FilterChain>& FilterChainMatcher::find(const ConnectionFacts& facts) const {
  const Node* node = root_.get();
  for (int level = 0; level < kLevels; ++level) {
    const Node* next = nullptr;
    switch (level) {
      case kDestinationPort:
        if (!node->exact.empty()) next = node->find(port_key(facts.local->port));
        break;
      case kDestinationIp:
        next = node->find(*facts.local);
        break;
      case kServerName:
        next = node->find_server_name(facts.server_name);
        break;
      case kTransportProtocol:
        next = node->find(facts.transport_protocol);
        break;
      case kApplicationProtocol:
        if (node->exact.empty() || facts.application_protocols == nullptr) break;
        for (const std::string& protocol : *facts.application_protocols) {
          next = node->find(protocol);
          if (next != nullptr) break;
        }
        break;
      case kDirectSourceIp:
        next = node->find(*facts.direct_remote);
        break;
      case kSourceType:
        if (!node->exact.empty()) {
          bool local = facts.remote->is_loopback() || same_ip(*facts.remote, *facts.local);
          next = node->find(local ? "local" : "external");
        }
        break;
      case kSourceIp:
        next = node->find(*facts.remote);
        break;
      case kSourcePort:
        if (!node->exact.empty()) next = node->find(port_key(facts.remote->port));
        break;
      default:
        break;
    }
    node = next != nullptr ? next : node->any.get();
    if (node == nullptr) return default_;
  }
  return node->chain;
}

}  // namespace weft::listener
