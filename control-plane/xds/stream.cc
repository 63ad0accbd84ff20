#include "control-plane/xds/stream.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "envoy/service/discovery/v3/discovery.pb.h"
#include "proxy/base/hash.h"

namespace weft::control::xds {

namespace {

// What names another goes before it.
constexpr std::array<Type, snapshot::kTypeCount> kRemovalOrder = {Type::kName,   Type::kListener, Type::kRoute,
                                                                  Type::kSecret, Type::kCluster,  Type::kEndpoint};

// Who comes back asks for all that it has at once. Who has not by then asks for clusters alone, and is told of those
// that are gone with whatever happens next.
constexpr int64_t kMaxComingBackMs = 15'000;

// The same for the same resources, whatever their order.
std::string version_of(const std::vector<ResourcePointer>& resources) {
  uint64_t sum = 0;
  for (const ResourcePointer& resource : resources) sum += weft::base::xxhash64(resource->name, resource->version);
  return snapshot::version_text(sum);
}

std::vector<std::string> strings(const google::protobuf::RepeatedPtrField<std::string>& field) {
  return {field.begin(), field.end()};
}

// The same for the same names, whatever their order; never 0.
uint64_t fingerprint_of(const google::protobuf::RepeatedPtrField<std::string>& names) {
  uint64_t sum = 0;
  for (const std::string& name : names) sum += weft::base::xxhash64(name);
  return std::max<uint64_t>(1, sum);
}

}  // namespace

Stream::Stream(Form form, const View& view, base::Clock& clock, bool is_aggregated)
    : form_(form),
      view_(view),
      clock_(clock),
      is_aggregated_(is_aggregated),
      began_ms_(clock.monotonic_ms()),
      subscriptions_{{{Type::kCluster, form},
                      {Type::kEndpoint, form},
                      {Type::kSecret, form},
                      {Type::kListener, form},
                      {Type::kRoute, form},
                      {Type::kName, form}}},
      seen_generation_(view.generation()) {}

void Stream::answer(Type type, std::string_view nonce, const std::string* error) {
  Counts& counts = counts_[static_cast<size_t>(type)];
  Subscription::OnHeld on_held;
  if (on_held_ != nullptr) {
    on_held = [&](const std::string& name, uint64_t before, uint64_t version) {
      on_held_(type, name, before, version);
    };
  }
  const bool answers =
      error == nullptr ? at(type).acknowledge(nonce, on_held) : at(type).refuse(nonce, *error, clock_.wall_ms());
  if (!answers) return;
  ++(error == nullptr ? counts.acknowledged : counts.refused);
  Answered& answered = answered_[static_cast<size_t>(type)];
  if (error != nullptr) answered.refused = {answered.through, answered.sent};
  if (at(type).is_settled()) {
    answered.through = epoch_;
  } else if (error == nullptr) {
    // Of a response that was refused, what may be good is due again.
    answered.through = answered.with_flight;
  }
}

void Stream::on_request(const envoy::service::discovery::v3::DiscoveryRequest& request) {
  const std::optional<Type> type = snapshot::type_of_url(request.type_url());
  if (!type.has_value()) return;
  if (!request.response_nonce().empty()) {
    answer(*type, request.response_nonce(), request.has_error_detail() ? &request.error_detail().message() : nullptr);
  }
  // Each acknowledgement has the whole list again.
  const uint64_t list = fingerprint_of(request.resource_names());
  if (std::exchange(lists_[static_cast<size_t>(*type)], list) == list) return;
  at(*type).set_names(strings(request.resource_names()), view_);
}

void Stream::on_request(const envoy::service::discovery::v3::DeltaDiscoveryRequest& request) {
  const std::optional<Type> type = snapshot::type_of_url(request.type_url());
  if (!type.has_value()) return;
  if (!request.response_nonce().empty()) {
    answer(*type, request.response_nonce(), request.has_error_detail() ? &request.error_detail().message() : nullptr);
  }
  Subscription::DeltaChange change;
  change.subscribe = strings(request.resource_names_subscribe());
  change.unsubscribe = strings(request.resource_names_unsubscribe());
  if (!at(*type).begun()) {
    for (const auto& [name, version] : request.initial_resource_versions()) {
      change.initial.emplace_back(name, snapshot::parse_version(version));
    }
    if (*type == Type::kCluster) came_back_ = is_aggregated_ && !change.initial.empty();
  }
  at(*type).change_names(std::move(change), view_);
}

bool Stream::catch_up() {
  if (seen_generation_ == view_.generation()) return false;
  bool is_concerned = false;
  const bool known = view_.changes_since(seen_generation_, [&](Type type, const std::string& name) {
    is_concerned = at(type).mark(name) || is_concerned;
  });
  if (!known) {
    for (Subscription& subscription : subscriptions_) subscription.mark_all(view_);
  }
  seen_generation_ = view_.generation();
  return is_concerned || !known;
}

bool Stream::must_wait(Type type) const {
  if (type != Type::kListener && type != Type::kRoute) return false;
  const Subscription& clusters = subscription(Type::kCluster);
  // Others learn of clusters from routes, and would wait for ever.
  if (!clusters.wildcard()) return false;
  const Subscription& endpoints = subscription(Type::kEndpoint);
  return clusters.in_flight() || (endpoints.in_flight() && endpoints.owes_first(view_));
}

// Called when of listeners and routes nothing is to be sent, and nothing unanswered.
bool Stream::must_keep_clusters() const {
  if (!came_back_ || clock_.monotonic_ms() - began_ms_ >= kMaxComingBackMs) return false;
  if (!subscription(Type::kListener).begun()) return true;
  if (subscription(Type::kRoute).begun()) return false;
  bool has_routes = false;
  subscription(Type::kListener).for_each_held([&](const std::string&, const snapshot::Resource& listener) {
    has_routes = has_routes || std::any_of(listener.references.begin(), listener.references.end(),
                                           [](const auto& reference) { return reference.type == Type::kRoute; });
  });
  return has_routes;
}

std::optional<Response> Stream::next() {
  catch_up();
  for (const Type type : snapshot::kTypes) {
    if (must_wait(type)) return std::nullopt;
    std::optional<std::vector<Change>> changes = at(type).collect(view_, false);
    if (changes.has_value()) return respond(type, *std::move(changes));
  }
  for (const Type type : {Type::kCluster, Type::kListener, Type::kRoute}) {
    if (subscription(type).in_flight()) return std::nullopt;
  }
  came_back_ = must_keep_clusters();
  for (const Type type : kRemovalOrder) {
    if (came_back_ && (type == Type::kCluster || type == Type::kEndpoint)) continue;
    std::optional<std::vector<Change>> changes = at(type).collect(view_, true);
    if (changes.has_value()) return respond(type, *std::move(changes));
  }
  return std::nullopt;
}

Response Stream::respond(Type type, std::vector<Change> changes) {
  for (const Change& change : changes) {
    if (change.resource == nullptr) continue;
    // A client that takes a cluster or a listener anew waits for what it names, be it as before.
    const bool is_update =
        at(type).holds(change.name) && at(type).held_version(change.name) != change.resource->version;
    if (!is_update) continue;
    for (const snapshot::Reference& reference : change.resource->references) {
      // A listener that names a cluster does not wait for it.
      const bool is_awaited = type == Type::kCluster || (type == Type::kListener && reference.type != Type::kCluster);
      if (is_awaited) at(reference.type).mark_again(reference.name);
    }
  }
  Response response;
  response.type = type;
  response.nonce = absl::StrCat(++last_nonce_);
  if (form_ == Form::kDelta) {
    for (const Change& change : changes) {
      if (change.resource == nullptr) response.removed.push_back(change.name);
    }
  }
  response.resources = at(type).send(std::move(changes), response.nonce);
  // What is still due goes with a later response.
  Answered& answered = answered_[static_cast<size_t>(type)];
  answered.sent = epoch_;
  answered.with_flight = at(type).owes_more() ? answered.through : epoch_;
  response.is_first = last_nonce_ == 1;
  response.version = version_of(response.resources);
  ++counts_[static_cast<size_t>(type)].sent;
  return response;
}

bool Stream::is_settled() const {
  return std::all_of(subscriptions_.begin(), subscriptions_.end(),
                     [](const Subscription& subscription) { return subscription.is_settled(); });
}

bool Stream::catch_up(uint64_t epoch) {
  const bool is_concerned = catch_up();
  for (const Type type : snapshot::kTypes) {
    // Who had nothing to answer to has answered to everything until now.
    if (at(type).is_settled()) answered_[static_cast<size_t>(type)].through = epoch;
  }
  epoch_ = epoch;
  return is_concerned;
}

uint64_t Stream::acknowledged(Type type) const {
  return subscription(type).is_settled() ? epoch_ : answered_[static_cast<size_t>(type)].through;
}

uint64_t Stream::acknowledged() const {
  uint64_t through = epoch_;
  for (const Type type : snapshot::kTypes) through = std::min(through, acknowledged(type));
  return through;
}

}  // namespace weft::control::xds
