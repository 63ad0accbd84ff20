#include "proxy/filter/jwt_authn/remote_keys.h"

#include <algorithm>

#include "proxy/base/assert.h"

namespace weft::filter {
namespace {

constexpr uint32_t kMaxAnswerBytes = 1024 * 1024;

}  // namespace

class RemoteKeys::Fetch final : private call::HttpCall::Events {
 public:
  Fetch(RemoteKeys& owner, pool::WorkerContext& context)
      : owner_(owner), context_(context), timer_(context.loop.timers(), base::bind<&Fetch::ask>(this)) {
    ask();
  }
  ~Fetch() {
    if (call_ != nullptr) call_->cancel();
  }

 private:
  void ask() {
    call::HttpRequest request;
    request.cluster = owner_.config_.cluster;
    request.authority = owner_.config_.authority;
    request.path = owner_.config_.path;
    request.headers = {{"user-agent", "weft-proxy"}};
    request.timeout_ms = owner_.config_.timeout_ms;
    request.max_answer_bytes = kMaxAnswerBytes;
    call_ = call::HttpCall::start(context_, std::move(request), *this);
  }

  void on_call_answer(const call::HttpAnswer& answer) override {
    call_ = nullptr;
    if (answer.head.status != 200) return failed();
    auto keys = KeySet::parse(answer.body);
    if (!keys.ok()) return failed();
    owner_.stats_->of_worker(context_.worker).jwks_fetch_success.add();
    owner_.on_fetched(context_, *std::move(keys));  // Destroys this.
  }

  void on_call_failed(std::string_view) override {
    call_ = nullptr;
    failed();
  }

  void failed() {
    owner_.stats_->of_worker(context_.worker).jwks_fetch_failed.add();
    if (tries_++ == owner_.config_.retries) return owner_.on_fetched(context_, nullptr);  // Destroys this.
    int64_t most = std::min(owner_.config_.back_off_base_ms << std::min(tries_, 16u), owner_.config_.back_off_max_ms);
    timer_.arm(1 + static_cast<int64_t>(context_.random.below(static_cast<uint64_t>(std::max<int64_t>(most, 1)))));
  }

  RemoteKeys& owner_;
  pool::WorkerContext& context_;
  event::Timer timer_;
  call::HttpCall* call_ = nullptr;
  uint32_t tries_ = 0;
};

RemoteKeys::RemoteKeys(RemoteKeysConfig config, JwtStatsFamily stats, uint32_t workers)
    : config_(std::move(config)), stats_(std::move(stats)), of_worker_(workers) {}

RemoteKeys::~RemoteKeys() {
  // Whoever waits keeps what it waits for.
  for (OfWorker& each : of_worker_) WEFT_ASSERT(each.fetch == nullptr && each.waiters.empty());
}

KeySetPtr RemoteKeys::at_hand(uint32_t worker, int64_t now_ms) {
  const OfWorker& mine = of_worker_[worker];
  return now_ms < mine.expires_ms ? mine.keys : nullptr;
}

void RemoteKeys::wait(pool::WorkerContext& context, KeyWaiter& waiter) {
  OfWorker& mine = of_worker_[context.worker];
  mine.waiters.push_back(waiter);
  if (mine.fetch == nullptr) mine.fetch = std::make_unique<Fetch>(*this, context);
}

void RemoteKeys::left(uint32_t worker) {
  OfWorker& mine = of_worker_[worker];
  if (mine.waiters.empty()) mine.fetch.reset();
}

void RemoteKeys::on_fetched(pool::WorkerContext& context, KeySetPtr keys) {
  OfWorker& mine = of_worker_[context.worker];
  bool fetched = keys != nullptr;
  if (fetched) {
    mine.keys = std::move(keys);
    mine.expires_ms = context.loop.now_ms() + config_.keep_ms;
  }
  mine.fetch.reset();
  // Whoever waits anew meanwhile waits for the next answer.
  base::IntrusiveList<KeyWaiter, KeyWaiter> told;
  while (!mine.waiters.empty()) told.push_back(mine.waiters.pop_front());
  while (!told.empty()) told.pop_front().on_keys(fetched);
}

}  // namespace weft::filter
