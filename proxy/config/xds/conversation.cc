#include "proxy/config/xds/conversation.h"

#include <algorithm>

#include "api/text/canonical_bytes.h"
#include "api/text/cat.h"
#include "proxy/base/log.h"
#include "proxy/config/xds/type.h"

namespace weft::config::xds {
namespace {

constexpr int kInvalidArgument = 3;  // google.rpc.Code
// A deadline's key when all that the server has is wanted.
constexpr char kAll[] = "";
// A server may have nothing to say of routes on a new stream, because they are as they were.
constexpr int64_t kKeepClustersMs = 5'000;
constexpr size_t kMaxLoggedNames = 10;
constexpr size_t kMaxLoggedBytes = 200;

std::string join(const std::vector<std::string>& names) {
  std::string result;
  for (size_t i = 0; i < std::min(names.size(), kMaxLoggedNames); ++i) {
    text::append(&result, i == 0 ? "\"" : ", \"", names[i], "\"");
  }
  if (names.size() > kMaxLoggedNames) text::append(&result, " and ", names.size() - kMaxLoggedNames, " more");
  return result;
}

// Deadlines that fell due, by type.
std::array<std::vector<std::string>, kTypes> by_type(const std::vector<Deadlines::Key>& due) {
  std::array<std::vector<std::string>, kTypes> names;
  for (const auto& [type, name] : due) names[static_cast<size_t>(type)].push_back(name);
  return names;
}

}  // namespace

Conversation::Conversation(event::Loop& loop, Consumer& consumer, ConversationOptions options)
    : consumer_(consumer),
      options_(std::move(options)),
      fetches_(loop, base::bind<&Conversation::on_fetch_timeouts>(this)),
      lifetimes_(loop, base::bind<&Conversation::on_expired>(this)),
      kept_timer_(loop.timers(), base::bind<&Conversation::drop_kept>(this)) {}

void Conversation::subscribe(Type type, std::vector<std::string> names, int64_t initial_fetch_timeout_ms) {
  TypeState& state = this->state(type);
  bool wildcard = names.empty() && type_info(type).whole;
  std::set<std::string, std::less<>> wanted(std::make_move_iterator(names.begin()),
                                            std::make_move_iterator(names.end()));
  if (state.subscribed && wildcard == state.wildcard && wanted == state.wanted) return;
  std::vector<std::string> added, dropped;
  std::set_difference(wanted.begin(), wanted.end(), state.wanted.begin(), state.wanted.end(),
                      std::back_inserter(added));
  std::set_difference(state.wanted.begin(), state.wanted.end(), wanted.begin(), wanted.end(),
                      std::back_inserter(dropped));
  bool was_wildcard = std::exchange(state.wildcard, wildcard);
  bool first_all = wildcard && (!state.subscribed || !was_wildcard);
  state.wanted = std::move(wanted);
  state.subscribed = true;
  // What is in force is not all: the version does not speak for it.
  if (first_all) {
    state.version.clear();
    state.unanswered = true;
  }
  if (!wildcard) {
    fetches_.stop({type, kAll});
    for (auto held = state.held.begin(); held != state.held.end();) {
      if (state.wanted.count(held->first) != 0) {
        ++held;
        continue;
      }
      lifetimes_.stop({type, held->first});
      held = state.held.erase(held);
    }
  }
  for (const std::string& name : dropped) fetches_.stop({type, name});
  if (initial_fetch_timeout_ms != 0) {
    if (first_all) fetches_.start({type, kAll}, initial_fetch_timeout_ms);
    for (const std::string& name : added) {
      if (state.held.count(name) == 0) fetches_.start({type, name}, initial_fetch_timeout_ms);
    }
  }
  on_names_changed(type, added, dropped, was_wildcard);
}

void Conversation::open() {
  open_ = true;
  node_sent_ = false;
  requests_.clear();
  for (Type type : {Type::kListener, Type::kRoutes}) {
    if (state(type).wildcard || !state(type).wanted.empty()) unheard_.insert(type);
  }
  for (int i = 0; i < kTypes; ++i) on_open(static_cast<Type>(i));
}

void Conversation::close() {
  open_ = false;
  requests_.clear();
  unheard_.clear();
  kept_clusters_.clear();
  kept_timer_.disarm();
}

absl::Status Conversation::receive(std::string_view message) { return on_message(message); }

std::vector<std::string> Conversation::take_requests() {
  if (!open_) return {};
  for (int i = 0; i < kTypes; ++i) ask(static_cast<Type>(i));
  return std::exchange(requests_, {});
}

const envoy::config::core::v3::Node* Conversation::node_to_send() {
  bool send = !node_sent_ || !options_.node_on_first_only;
  node_sent_ = true;
  return send ? &options_.node : nullptr;
}

void Conversation::send(const google::protobuf::MessageLite& request) {
  requests_.push_back(text::canonical_bytes(request));
}

std::optional<Type> Conversation::expected_type(const std::string& url) {
  std::optional<Type> type = type_of(url);
  if (type && state(*type).subscribed) return type;
  base::log_warning(
      text::cat("xds: ", peer_, " sent resources of type \"", url.substr(0, kMaxLoggedBytes), "\" unasked; ignored"));
  return std::nullopt;
}

std::vector<Refusal> Conversation::apply(Response response) {
  Type type = response.type;
  TypeState& state = this->state(type);
  fetches_.stop({type, kAll});
  std::vector<Refusal> refusals;
  std::vector<Given> given;
  Update update;
  update.version = response.version;
  std::set<std::string, std::less<>> seen;
  bool all_named = true, heartbeats = false;
  auto wants = [&](const std::string& name) { return state.wildcard || state.wanted.count(name) != 0; };
  for (Received& each : response.received) {
    Resource& resource = each.resource;
    if (resource.name.empty()) {
      all_named = false;
      refusals.push_back({"", std::move(each.problem)});
      continue;
    }
    if (!wants(resource.name)) continue;
    if (!seen.insert(resource.name).second) {
      refusals.push_back({resource.name, "stands twice in one response"});
    } else if (!each.problem.empty()) {
      refusals.push_back({resource.name, std::move(each.problem)});
    } else if (each.heartbeat) {
      heartbeats = true;
      if (state.held.count(resource.name) != 0) lifetimes_.start({type, resource.name}, *each.ttl_ms);
    } else {
      given.push_back({resource.name, resource.version, each.ttl_ms});
      update.changed.push_back(std::move(resource));
    }
  }
  for (std::string& name : response.removed) {
    if (wants(name) && seen.count(name) == 0) update.removed.push_back(std::move(name));
  }
  // What was refused unread or only kept alive is not in `changed`, and not gone either.
  update.whole = response.whole && refusals.empty() && !heartbeats;
  std::vector<std::string> lost = update.removed;
  if (response.whole && all_named) {
    for (const auto& [name, version] : state.held) {
      if (seen.count(name) == 0) lost.push_back(name);
    }
    if (!update.whole) update.removed = lost;
  }
  if (keeps_for_now(type, lost, seen)) {
    update.whole = false;
    update.removed.clear();
    lost.clear();
  }
  for (const std::string& name : lost) {
    state.held.erase(name);
    lifetimes_.stop({type, name});
    fetches_.stop({type, name});
  }
  // Also that there is nothing, where somebody waits to hear it: in delta such an answer is empty.
  bool first_answer = std::exchange(state.unanswered, false);
  if (update.whole || first_answer || !update.changed.empty() || !update.removed.empty()) {
    for (Refusal& refusal : consumer_.on_update(type, update)) refusals.push_back(std::move(refusal));
  }
  note_held(type, given, refusals);
  if (refusals.empty()) state.version = response.version;
  take_errors(type, response.errors);
  heard_of(type);
  // Before the answer: a server that hears that new clusters are taken goes on to routes, unless it already knows that
  // endpoints are wanted first.
  for (int i = 0; is_open() && i < kTypes; ++i) {
    if (static_cast<Type>(i) != type) ask(static_cast<Type>(i));
  }
  return refusals;
}

// What changed while there was no stream comes all at once, and clusters first: routes that are in force may still name
// those that are gone, until the routes of the new stream are here.
bool Conversation::keeps_for_now(Type type, const std::vector<std::string>& lost,
                                 const std::set<std::string, std::less<>>& present) {
  if (type != Type::kCluster) return false;
  for (const std::string& name : present) kept_clusters_.erase(name);
  if (unheard_.empty() || lost.empty()) return false;
  kept_clusters_.insert(lost.begin(), lost.end());
  if (!kept_timer_.armed()) kept_timer_.arm(kKeepClustersMs);
  return true;
}

void Conversation::heard_of(Type type) {
  if (unheard_.erase(type) != 0 && unheard_.empty()) drop_kept();
}

void Conversation::drop_kept() {
  unheard_.clear();
  kept_timer_.disarm();
  if (kept_clusters_.empty()) return;
  Update update;
  update.version = state(Type::kCluster).version;
  update.removed.assign(kept_clusters_.begin(), kept_clusters_.end());
  kept_clusters_.clear();
  for (const std::string& name : update.removed) state(Type::kCluster).held.erase(name);
  consumer_.on_update(Type::kCluster, update);
}

void Conversation::note_held(Type type, const std::vector<Given>& given, const std::vector<Refusal>& refusals) {
  TypeState& state = this->state(type);
  std::set<std::string_view> refused;
  for (const Refusal& refusal : refusals) refused.insert(refusal.name);
  for (const Given& each : given) {
    // The consumer may have changed what it wants as it took the update.
    if (refused.count(each.name) != 0 || !(state.wildcard || state.wanted.count(each.name) != 0)) continue;
    state.held[each.name] = each.version;
    fetches_.stop({type, each.name});
    if (each.ttl_ms) {
      lifetimes_.start({type, each.name}, *each.ttl_ms);
    } else {
      lifetimes_.stop({type, each.name});
    }
  }
}

void Conversation::take_errors(Type type, const std::vector<std::pair<std::string, std::string>>& errors) {
  std::vector<std::string> names;
  for (const auto& [name, error] : errors) {
    if (state(type).wanted.count(name) == 0) continue;
    base::log_warning(text::cat("xds: ", peer_, " has no ", type_info(type).noun, " \"", name, "\": ", error));
    fetches_.stop({type, name});
    names.push_back(name);
  }
  if (!names.empty()) consumer_.on_fetch_timeout(type, names);
}

google::rpc::Status Conversation::refuse(Type type, std::string_view version, const std::vector<Refusal>& refusals) {
  google::rpc::Status status;
  status.set_code(kInvalidArgument);
  status.set_message(refusal_text(type, refusals));
  base::log_warning(text::cat("xds: refused version \"", version, "\" of ", peer_, ", ", refusals.size(),
                              refusals.size() == 1 ? " resource: " : " resources: ", status.message()));
  return status;
}

void Conversation::on_fetch_timeouts(std::vector<Deadlines::Key> due) {
  auto names = by_type(due);
  for (int i = 0; i < kTypes; ++i) {
    if (names[i].empty()) continue;
    Type type = static_cast<Type>(i);
    bool all = names[i].front() == kAll;
    base::log_warning(text::cat("xds: ", peer_, " sent no ", type_info(type).noun, all ? "" : " ",
                                all ? "" : join(names[i]), " within the initial fetch timeout; going on without"));
    if (all) names[i].erase(names[i].begin());
    if (all) consumer_.on_fetch_timeout(type, {});
    if (!names[i].empty()) consumer_.on_fetch_timeout(type, names[i]);
  }
}

void Conversation::on_expired(std::vector<Deadlines::Key> due) {
  auto names = by_type(due);
  for (int i = 0; i < kTypes; ++i) {
    if (names[i].empty()) continue;
    Type type = static_cast<Type>(i);
    base::log_warning(text::cat("xds: the time to live of ", type_info(type).noun, " ", join(names[i]), " is over"));
    for (const std::string& name : names[i]) state(type).held.erase(name);
    Update update;
    update.version = state(type).version;
    update.removed = std::move(names[i]);
    // A SotW server that is told a version would not send them again.
    state(type).version.clear();
    consumer_.on_update(type, update);
  }
}

}  // namespace weft::config::xds
