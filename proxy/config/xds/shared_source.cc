#include "proxy/config/xds/shared_source.h"

#include <algorithm>

#include "proxy/config/xds/type.h"

namespace weft::config::xds {

class SharedSource::Share final : public Source {
 public:
  Share(SharedSource& owner, Type type, Consumer& consumer, int64_t initial_fetch_timeout_ms)
      : owner_(owner), type_(type), consumer_(consumer), initial_fetch_timeout_ms_(initial_fetch_timeout_ms) {
    owner_.shares(type_).insert(this);
  }
  ~Share() override {
    owner_.shares(type_).erase(this);
    if (subscribed_) owner_.ask(type_, 0);
  }

  void subscribe(Type, std::vector<std::string> names) override {
    std::vector<std::string> added;
    std::set_difference(names.begin(), names.end(), names_.begin(), names_.end(), std::back_inserter(added));
    // What came for another share already comes again only when it is asked for anew.
    if (!added.empty() && owner_.wanted_by_others(type_, *this, added)) {
      owner_.ask(type_, initial_fetch_timeout_ms_, added);
    }
    names_ = std::move(names);
    subscribed_ = true;
    owner_.ask(type_, initial_fetch_timeout_ms_);
  }
  bool connected() const override { return owner_.source_.connected(); }

  bool subscribed() const { return subscribed_; }
  bool wants_all() const { return names_.empty() && type_info(type_).whole; }
  bool wants(const std::string& name) const {
    return subscribed_ && (wants_all() || std::binary_search(names_.begin(), names_.end(), name));
  }
  const std::vector<std::string>& names() const { return names_; }
  Consumer& consumer() { return consumer_; }

 private:
  SharedSource& owner_;
  Type type_;
  Consumer& consumer_;
  int64_t initial_fetch_timeout_ms_;
  std::vector<std::string> names_;  // Sorted.
  bool subscribed_ = false;
};

SharedSource::SharedSource(pool::WorkerContext& context, GrpcSourceOptions options, StreamStates& states)
    : source_(context, *this, std::move(options), states) {}

SharedSource::~SharedSource() = default;

std::unique_ptr<Source> SharedSource::share(Type type, Consumer& consumer, int64_t initial_fetch_timeout_ms) {
  return std::make_unique<Share>(*this, type, consumer, initial_fetch_timeout_ms);
}

bool SharedSource::unused() const {
  return std::all_of(shares_.begin(), shares_.end(), [](const auto& shares) { return shares.empty(); });
}

bool SharedSource::wanted_by_others(Type type, const Share& than, const std::vector<std::string>& names) {
  for (const Share* share : shares(type)) {
    for (const std::string& name : names) {
      if (share != &than && share->wants(name)) return true;
    }
  }
  return false;
}

void SharedSource::ask(Type type, int64_t initial_fetch_timeout_ms, const std::vector<std::string>& without) {
  std::set<std::string> names;
  bool all = false, any = false;
  for (const Share* share : shares(type)) {
    if (!share->subscribed()) continue;
    any = true;
    all |= share->wants_all();
    names.insert(share->names().begin(), share->names().end());
  }
  for (const std::string& name : without) names.erase(name);
  if (!any) return source_.unsubscribe(type);
  source_.subscribe_within(type, all ? std::vector<std::string>() : std::vector(names.begin(), names.end()),
                           initial_fetch_timeout_ms);
}

std::vector<Refusal> SharedSource::on_update(Type type, const Update& update) {
  if (shares(type).size() == 1 && (*shares(type).begin())->wants_all()) {
    return (*shares(type).begin())->consumer().on_update(type, update);
  }
  std::vector<Refusal> refusals;
  // A consumer may make or drop shares as it takes its part.
  for (Share* share : std::set<Share*>(shares(type))) {
    if (shares(type).count(share) == 0) continue;
    Update part;
    part.version = update.version;
    part.whole = update.whole;
    for (const Resource& each : update.changed) {
      if (share->wants(each.name)) part.changed.push_back(each);
    }
    for (const std::string& name : update.removed) {
      if (share->wants(name)) part.removed.push_back(name);
    }
    if (!part.whole && part.changed.empty() && part.removed.empty()) continue;
    for (Refusal& refusal : share->consumer().on_update(type, part)) refusals.push_back(std::move(refusal));
  }
  return refusals;
}

void SharedSource::on_fetch_timeout(Type type, const std::vector<std::string>& names) {
  for (Share* share : std::set<Share*>(shares(type))) {
    if (shares(type).count(share) == 0) continue;
    std::vector<std::string> part;
    for (const std::string& name : names) {
      if (share->wants(name)) part.push_back(name);
    }
    if (!part.empty() || (names.empty() && share->wants_all())) share->consumer().on_fetch_timeout(type, part);
  }
}

}  // namespace weft::config::xds
