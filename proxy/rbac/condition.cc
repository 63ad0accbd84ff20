#include "proxy/rbac/condition.h"

#include <algorithm>
#include <utility>

namespace weft::rbac {
namespace {

class Always final : public Condition {
 public:
  bool holds(const Facts&) const override { return true; }
  int cost() const override { return 0; }
};

int cost_of(const Conditions& parts) {
  int sum = 1;
  for (const ConditionPtr& part : parts) sum += part->cost();
  return sum;
}

// No condition has an effect, so the order in which they are asked is ours to choose.
void cheapest_first(Conditions& parts) {
  std::stable_sort(parts.begin(), parts.end(),
                   [](const ConditionPtr& a, const ConditionPtr& b) { return a->cost() < b->cost(); });
}

class AllOf final : public Condition {
 public:
  explicit AllOf(Conditions parts) : parts_(std::move(parts)), cost_(cost_of(parts_)) { cheapest_first(parts_); }
  bool holds(const Facts& facts) const override {
    for (const ConditionPtr& part : parts_) {
      if (!part->holds(facts)) return false;
    }
    return true;
  }
  int cost() const override { return cost_; }
  bool only_for(Key key, std::vector<std::string_view>* values) const override {
    for (const ConditionPtr& part : parts_) {
      if (part->only_for(key, values)) return true;
    }
    return false;
  }

 private:
  Conditions parts_;
  int cost_;
};

class AnyOf final : public Condition {
 public:
  explicit AnyOf(Conditions parts) : parts_(std::move(parts)), cost_(cost_of(parts_)) { cheapest_first(parts_); }
  bool holds(const Facts& facts) const override {
    for (const ConditionPtr& part : parts_) {
      if (part->holds(facts)) return true;
    }
    return false;
  }
  int cost() const override { return cost_; }
  bool only_for(Key key, std::vector<std::string_view>* values) const override {
    size_t before = values->size();
    for (const ConditionPtr& part : parts_) {
      if (part->only_for(key, values)) continue;
      values->resize(before);
      return false;
    }
    return true;
  }

 private:
  Conditions parts_;
  int cost_;
};

class NoneOf final : public Condition {
 public:
  explicit NoneOf(ConditionPtr part) : part_(std::move(part)) {}
  bool holds(const Facts& facts) const override { return !part_->holds(facts); }
  int cost() const override { return part_->cost(); }

 private:
  ConditionPtr part_;
};

// What asking a string matcher takes.
int cost_of(const route::StringMatcher& match) { return match.kind == route::StringMatcher::Kind::kRegex ? 50 : 2; }

bool exact(const route::StringMatcher& match) {
  return match.kind == route::StringMatcher::Kind::kExact && !match.ignore_case;
}

class Header final : public Condition {
 public:
  explicit Header(route::HeaderMatch match) : match_(std::move(match)) {}
  bool holds(const Facts& facts) const override {
    if (facts.request == nullptr) return route::absent_header_matches(match_);
    return route::header_matches(match_, *facts.request);
  }
  int cost() const override { return (match_.name.starts_with(':') ? 3 : 10) + cost_of(match_.string); }

 private:
  route::HeaderMatch match_;
};

class Path final : public Condition {
 public:
  explicit Path(route::StringMatcher match) : match_(std::move(match)) {}
  bool holds(const Facts& facts) const override {
    return facts.request != nullptr && match_.matches(http::path_only(facts.request->path));
  }
  int cost() const override { return 5 + cost_of(match_); }
  bool only_for(Key key, std::vector<std::string_view>* values) const override {
    if (key != Key::kPath || !exact(match_)) return false;
    values->push_back(match_.value);
    return true;
  }

 private:
  route::StringMatcher match_;
};

class PathTemplate final : public Condition {
 public:
  explicit PathTemplate(std::shared_ptr<const route::Regex> regex) : regex_(std::move(regex)) {}
  bool holds(const Facts& facts) const override {
    return facts.request != nullptr && regex_->matches(http::path_only(facts.request->path));
  }
  int cost() const override { return 60; }

 private:
  std::shared_ptr<const route::Regex> regex_;
};

class Principal final : public Condition {
 public:
  explicit Principal(route::StringMatcher match) : match_(std::move(match)) {}
  bool holds(const Facts& facts) const override {
    return any_principal(facts.connection, [&](std::string_view name) { return match_.matches(name); });
  }
  int cost() const override { return 3 + cost_of(match_); }
  bool only_for(Key key, std::vector<std::string_view>* values) const override {
    if (key != Key::kPrincipal || !exact(match_)) return false;
    values->push_back(match_.value);
    return true;
  }

 private:
  route::StringMatcher match_;
};

class AnyAuthenticated final : public Condition {
 public:
  bool holds(const Facts& facts) const override {
    return facts.connection.tls != nullptr && facts.connection.tls->peer_verified;
  }
  int cost() const override { return 1; }
};

class ServerName final : public Condition {
 public:
  explicit ServerName(route::StringMatcher match) : match_(std::move(match)) {}
  bool holds(const Facts& facts) const override {
    const transport::ConnectionInfo& connection = facts.connection;
    return match_.matches(connection.tls != nullptr ? connection.tls->sni : connection.detected_server_name);
  }
  int cost() const override { return 1 + cost_of(match_); }

 private:
  route::StringMatcher match_;
};

class DestinationPorts final : public Condition {
 public:
  DestinationPorts(int64_t first, int64_t end) : first_(first), end_(end) {}
  bool holds(const Facts& facts) const override {
    const transport::Address& local = facts.connection.local;
    bool has_port =
        local.family == transport::Address::Family::kIpv4 || local.family == transport::Address::Family::kIpv6;
    return has_port && local.port >= first_ && local.port < end_;
  }
  int cost() const override { return 1; }

 private:
  int64_t first_, end_;
};

class MetadataIs final : public Condition {
 public:
  explicit MetadataIs(MetadataMatch match) : match_(std::move(match)) {}
  bool holds(const Facts& facts) const override { return match_.holds(facts.metadata); }
  int cost() const override { return 40; }

 private:
  MetadataMatch match_;
};

class AddressWithin final : public Condition {
 public:
  AddressWithin(AddressOf whose, transport::Address network, uint8_t prefix_bits)
      : whose_(whose), network_(std::move(network)), prefix_bits_(prefix_bits) {}
  bool holds(const Facts& facts) const override {
    const transport::ConnectionInfo& connection = facts.connection;
    switch (whose_) {
      case AddressOf::kDestination:
        return connection.local.is_within(network_, prefix_bits_);
      case AddressOf::kSource:
        return connection.remote.is_within(network_, prefix_bits_);
      case AddressOf::kDirectRemote:
        return connection.direct_remote.is_within(network_, prefix_bits_);
      case AddressOf::kRemote:
        break;
    }
    if (facts.remote_ip.empty()) return connection.remote.is_within(network_, prefix_bits_);
    return transport::Address::parse_ip(facts.remote_ip, 0).is_within(network_, prefix_bits_);
  }
  int cost() const override { return whose_ == AddressOf::kRemote ? 30 : 2; }

 private:
  AddressOf whose_;
  transport::Address network_;
  uint8_t prefix_bits_;
};

}  // namespace

ConditionPtr always() { return std::make_unique<Always>(); }

ConditionPtr all_of(Conditions parts) {
  if (parts.size() == 1) return std::move(parts[0]);
  return std::make_unique<AllOf>(std::move(parts));
}

ConditionPtr any_of(Conditions parts) {
  if (parts.size() == 1) return std::move(parts[0]);
  return std::make_unique<AnyOf>(std::move(parts));
}

ConditionPtr none_of(ConditionPtr part) { return std::make_unique<NoneOf>(std::move(part)); }

ConditionPtr header(route::HeaderMatch match) { return std::make_unique<Header>(std::move(match)); }

ConditionPtr path(route::StringMatcher match) { return std::make_unique<Path>(std::move(match)); }

ConditionPtr path_template(std::shared_ptr<const route::Regex> regex) {
  return std::make_unique<PathTemplate>(std::move(regex));
}

ConditionPtr principal(route::StringMatcher match) { return std::make_unique<Principal>(std::move(match)); }

ConditionPtr any_authenticated() { return std::make_unique<AnyAuthenticated>(); }

ConditionPtr server_name(route::StringMatcher match) { return std::make_unique<ServerName>(std::move(match)); }

ConditionPtr destination_ports(int64_t first, int64_t end) { return std::make_unique<DestinationPorts>(first, end); }

ConditionPtr metadata(MetadataMatch match) { return std::make_unique<MetadataIs>(std::move(match)); }

ConditionPtr address(AddressOf whose, transport::Address network, uint8_t prefix_bits) {
  return std::make_unique<AddressWithin>(whose, std::move(network), prefix_bits);
}

}  // namespace weft::rbac
