#include "proxy/config/xds/grpc_source.h"

#include <deque>

#include "api/text/cat.h"
#include "proxy/base/log.h"
#include "proxy/config/xds/pace.h"
#include "proxy/config/xds/type.h"

namespace weft::config::xds {

call::GrpcCall call_to(const ControlPlane& control_plane, std::string_view path) {
  call::GrpcCall call = control_plane.call;
  call.path = std::string(path);
  const Credentials* credentials = control_plane.credentials;
  if (credentials == nullptr) return call;
  constexpr std::string_view kAuthorization = "authorization";
  std::string token = credentials->token();
  if (credentials->certified() || !token.empty()) {
    std::erase_if(call.metadata, [&](const auto& each) { return each.first == kAuthorization; });
  }
  if (!credentials->certified() && !token.empty()) {
    call.metadata.emplace_back(kAuthorization, text::cat("Bearer ", token));
  }
  return call;
}

// One stream, and those that follow it.
class GrpcSource::Channel final : private call::GrpcStream::Events, private event::TurnEndTask {
 public:
  Channel(GrpcSource& owner, std::string_view path)
      : owner_(owner),
        path_(path),
        conversation_(owner.options_.delta
                          ? make_delta_conversation(owner.context_.loop, owner.consumer_, owner.options_.conversation)
                          : make_sotw_conversation(owner.context_.loop, owner.consumer_, owner.options_.conversation)),
        backoff_(owner.options_.backoff_base_ms, owner.options_.backoff_max_ms),
        retry_timer_(owner.context_.loop.timers(), base::bind<&Channel::connect>(this)),
        send_timer_(owner.context_.loop.timers(), base::bind<&Channel::on_turn_end>(this)) {
    owner_.states_.change(1, 0);
    if (const auto& limit = owner.options_.rate_limit) bucket_.emplace(limit->max_tokens, limit->per_second);
  }
  ~Channel() {
    if (stream_ != nullptr) stream_->cancel();
    note_closed();
    owner_.states_.change(-1, 0);
  }

  void subscribe(Type type, std::vector<std::string> names, int64_t initial_fetch_timeout_ms) {
    conversation_->subscribe(type, std::move(names), initial_fetch_timeout_ms);
    if (!started_) {
      started_ = true;
      connect();
    }
    owner_.context_.loop.at_turn_end(*this);
  }
  bool open() const { return open_; }

 private:
  observe::ControlPlaneStats& stats() { return owner_.states_.stats(); }
  const ControlPlane& control_plane() const { return owner_.options_.control_planes[at_]; }
  Credentials* credentials() const { return control_plane().credentials; }

  void connect() {
    conversation_->name_peer(text::cat("control plane \"", control_plane().cluster->name(), "\""));
    stream_ = call::GrpcStream::start(owner_.context_, control_plane().cluster, call_to(control_plane(), path_), *this);
  }

  void on_grpc_open() override {
    open_ = true;
    heard_ = false;
    owner_.states_.change(0, 1);
    conversation_->open();
    owner_.context_.loop.at_turn_end(*this);
  }

  void on_grpc_message(std::string_view message) override {
    absl::Status status = conversation_->receive(message);
    if (!status.ok()) {
      stream_->cancel();
      return ended(text::cat("it sent ", status.message()));
    }
    if (!heard_) {
      heard_ = true;
      backoff_.reset();
      const std::string& name = conversation_->server_name();
      base::log_info(text::cat("xds: connected to control plane \"", control_plane().cluster->name(), "\"",
                               name.empty() ? "" : ", which calls itself ", name));
      if (owner_.options_.watcher != nullptr) {
        owner_.options_.watcher->on_connected(control_plane(), owner_.options_.conversation.node, name);
      }
    }
    owner_.context_.loop.at_turn_end(*this);
  }

  void on_grpc_end(const call::GrpcEnd& end) override {
    if (credentials() != nullptr && !heard_) credentials()->failed(end.status);
    ended(end.reason);
  }

  void ended(std::string_view reason) {
    stream_ = nullptr;
    conversation_->close();
    note_closed();
    std::string was = control_plane().cluster->name();
    at_ = (at_ + 1) % owner_.options_.control_planes.size();
    int64_t delay_ms = backoff_.next_ms(owner_.context_.random);
    base::log_warning(text::cat("xds: control plane \"", was, "\" is away: ", reason, "; trying \"",
                                control_plane().cluster->name(), "\" in ", delay_ms, " ms"));
    retry_timer_.arm(delay_ms);
  }

  void note_closed() {
    if (std::exchange(open_, false)) owner_.states_.change(0, -1);
    if (std::exchange(heard_, false) && owner_.options_.watcher != nullptr) {
      owner_.options_.watcher->on_disconnected();
    }
    unsent_.clear();
    send_timer_.disarm();
    stats().pending_requests.subtract(std::exchange(counted_unsent_, 0));
  }

  void on_turn_end() override {
    if (!open_) return;
    for (std::string& request : conversation_->take_requests()) unsent_.push_back(std::move(request));
    while (!unsent_.empty()) {
      if (bucket_ && !bucket_->take(owner_.context_.loop.now_ms())) {
        stats().rate_limit_enforced.add();
        send_timer_.arm(bucket_->wait_ms());
        break;
      }
      stream_->send(unsent_.front());
      unsent_.pop_front();
    }
    // What is not answered yet is not followed by more.
    stream_->hold(!unsent_.empty());
    auto unsent = static_cast<int64_t>(unsent_.size());
    stats().pending_requests.add(unsent - std::exchange(counted_unsent_, unsent));
  }

  GrpcSource& owner_;
  std::string path_;
  std::unique_ptr<Conversation> conversation_;
  Backoff backoff_;
  std::optional<TokenBucket> bucket_;
  event::Timer retry_timer_;
  event::Timer send_timer_;
  call::GrpcStream* stream_ = nullptr;
  std::deque<std::string> unsent_;
  int64_t counted_unsent_ = 0;
  size_t at_ = 0;  // Of the control planes.
  bool started_ = false;
  bool open_ = false;
  bool heard_ = false;  // This stream has brought a message.
};

GrpcSource::GrpcSource(pool::WorkerContext& context, Consumer& consumer, GrpcSourceOptions options,
                       StreamStates& states)
    : context_(context), consumer_(consumer), options_(std::move(options)), states_(states) {}

GrpcSource::~GrpcSource() = default;

void GrpcSource::unsubscribe(Type type) {
  auto& channel = channels_[options_.aggregated ? 0 : static_cast<size_t>(type)];
  if (channel == nullptr) return;
  if (!options_.aggregated) {
    channel.reset();
  } else if (!type_info(type).whole) {
    channel->subscribe(type, {}, 0);
  }
}

void GrpcSource::subscribe_within(Type type, std::vector<std::string> names, int64_t initial_fetch_timeout_ms) {
  auto& channel = channels_[options_.aggregated ? 0 : static_cast<size_t>(type)];
  if (channel == nullptr) {
    const TypeInfo& info = type_info(type);
    std::string_view path = options_.aggregated ? (options_.delta ? kAggregatedDeltaPath : kAggregatedSotwPath)
                                                : (options_.delta ? info.delta_path : info.sotw_path);
    channel = std::make_unique<Channel>(*this, path);
  }
  channel->subscribe(type, std::move(names), initial_fetch_timeout_ms);
}

bool GrpcSource::connected() const {
  bool any = false;
  for (const auto& channel : channels_) {
    if (channel == nullptr) continue;
    if (!channel->open()) return false;
    any = true;
  }
  return any;
}

}  // namespace weft::config::xds
