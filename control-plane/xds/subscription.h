#pragma once

// One type of resource on one stream: what the client asked for, what it holds, what is on its way, what it refused,
// and so what it must be sent next. Pure: no I/O. Belongs to its Stream.
//
// At most one response is in flight. What the client holds changes when it acknowledges; what it refuses is not sent to
// it again until its content changes. Where a refusal of several changes does not say which is meant, they are sent
// again in halves until it is found, so that one bad resource keeps back no other.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "control-plane/snapshot/view.h"

namespace weft::control::xds {

using snapshot::Change;
using snapshot::ResourcePointer;
using snapshot::Type;
using snapshot::View;

enum class Form : uint8_t { kStateOfTheWorld, kDelta };

struct Refusal {
  uint64_t version = 0;
  // In the client's words.
  std::string reason;
  int64_t wall_ms = 0;
};

class Subscription {
 public:
  Subscription(Type type, Form form) : type_(type), form_(form) {}

  bool begun() const { return begun_; }
  bool wildcard() const { return wildcard_; }
  bool in_flight() const { return in_flight_.has_value(); }
  bool wants(const std::string& name) const { return wildcard_ || names_.contains(name); }
  bool holds(const std::string& name) const { return held_.contains(name); }
  // A resource that the client asked for, and that there is, has never been sent.
  bool owes_first(const View& view) const;

  // The whole list of a state-of-the-world request.
  void set_names(std::vector<std::string> names, const View& view);
  // `initial` (name -> version, 0 if it is none of ours) is of the stream's first request for the type.
  struct DeltaChange {
    std::vector<std::string> subscribe;
    std::vector<std::string> unsubscribe;
    std::vector<std::pair<std::string, uint64_t>> initial;
  };
  void change_names(DeltaChange change, const View& view);

  // The view has changed there. False if that is nothing to the client.
  bool mark(const std::string& name);
  void mark_all(const View& view);
  // The client must be sent it again, although it holds it.
  void mark_again(const std::string& name);

  // What is to be sent now; null if nothing is. Without `removals`, what is gone stays due.
  std::optional<std::vector<Change>> collect(const View& view, bool removals);
  // Takes what collect() gave. Returns all that a response has to hold.
  std::vector<ResourcePointer> send(std::vector<Change> changes, std::string nonce);
  // False if it is not the response in flight that is answered. Else `held` is told, where it is set, of each name what
  // the client held before and what it holds now, 0 being nothing.
  using OnHeld = std::function<void(const std::string& name, uint64_t before, uint64_t version)>;
  bool acknowledge(std::string_view nonce, const OnHeld& held = nullptr);
  bool refuse(std::string_view nonce, std::string_view reason, int64_t wall_ms);

  size_t held_count() const { return held_.size(); }
  uint64_t held_version(const std::string& name) const;
  // visit(const std::string& name, const snapshot::Resource&); of a version that is none of ours, only the version is
  // known.
  template <typename Visit>
  void for_each_held(Visit&& visit) const {
    for (const ResourcePointer& resource : held_) visit(resource->name, *resource);
  }
  // Due, and not in flight.
  size_t due_count() const { return due_.size(); }
  // Beside what is in flight, something is to be sent.
  bool owes_more() const { return !due_.empty() || !suspects_.empty() || must_respond_; }
  bool is_settled() const { return !owes_more() && !in_flight(); }
  // Null if nothing is.
  const std::vector<Change>* changes_in_flight() const { return in_flight() ? &in_flight_->changes : nullptr; }
  const absl::flat_hash_set<std::string>& names() const { return names_; }
  const absl::flat_hash_map<std::string, Refusal>& refusals() const { return refused_; }

 private:
  struct InFlight {
    std::string nonce;
    std::vector<Change> changes;
  };

  // A state-of-the-world response is the whole state, and what is not in it is removed.
  bool is_whole() const { return form_ == Form::kStateOfTheWorld && has_legacy_wildcard(); }
  // Of which who names nothing wants all.
  bool has_legacy_wildcard() const {
    return type_ == Type::kCluster || type_ == Type::kListener || type_ == Type::kName;
  }
  void forget(const std::string& name);
  void drop_unwanted();
  std::vector<Change> changes_of(const std::vector<std::string>& names, const View& view, bool removals);
  bool is_refused(const std::string& name, const snapshot::Resource& resource) const;

  const Type type_;
  const Form form_;
  bool begun_ = false;
  bool wildcard_ = false;
  // The client waits for a response, be it empty.
  bool must_respond_ = false;
  absl::flat_hash_set<std::string> names_;
  snapshot::Resources held_;
  // Names to look at; true: the client waits for an answer about it, whatever it holds.
  absl::flat_hash_map<std::string, bool> due_;
  std::optional<InFlight> in_flight_;
  absl::flat_hash_map<std::string, Refusal> refused_;
  // Groups to be sent alone, the last one first, to find which of them is refused.
  std::vector<std::vector<std::string>> suspects_;
};

// Whether `text` has `name` as a word of its own.
bool mentions(std::string_view text, std::string_view name);

}  // namespace weft::control::xds
