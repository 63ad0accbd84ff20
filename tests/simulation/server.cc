#include "tests/simulation/server.h"

#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "proxy/call/grpc_frames.h"
#include "proxy/codec/connection_io.h"
#include "proxy/codec/http2/http2.h"
#include "proxy/config/xds/type.h"

namespace weft::simulation {

namespace {

constexpr uint32_t kMaxMessageBytes = 16 * 1024 * 1024;
constexpr std::string_view kUnavailable = "14";

struct Method {
  control::xds::Form form;
  std::optional<control::snapshot::Type> only;
};

std::optional<Method> method_of(std::string_view path) {
  using control::xds::Form;
  if (path == config::xds::kAggregatedSotwPath) return Method{Form::kStateOfTheWorld, std::nullopt};
  if (path == config::xds::kAggregatedDeltaPath) return Method{Form::kDelta, std::nullopt};
  for (int i = 0; i < config::xds::kTypes; ++i) {
    const config::xds::TypeInfo& info = config::xds::type_info(static_cast<config::xds::Type>(i));
    if (path == info.sotw_path) return Method{Form::kStateOfTheWorld, control::snapshot::type_of_url(info.url)};
    if (path == info.delta_path) return Method{Form::kDelta, control::snapshot::type_of_url(info.url)};
  }
  return std::nullopt;
}

}  // namespace

class Server::Connection final : private transport::ByteStream::Events,
                                 private codec::ServerCodec::Events,
                                 private event::TurnEndTask {
 public:
  Connection(Server& owner, uint64_t key, PipePointer pipe, std::string name)
      : owner_(owner),
        key_(key),
        pipe_(std::move(pipe)),
        name_(std::move(name)),
        codec_(codec::http2::make_server_codec(limits_, *this)) {
    io_.stream = pipe_->stream(Side::kControlPlane);
    io_.stream->attach(*this);
  }
  ~Connection();

  Server& owner() { return owner_; }
  const std::string& name() const { return name_; }
  Pipe& pipe() { return *pipe_; }
  void schedule_flush() { owner_.world_.loop().at_turn_end(*this); }
  void closed(Call* call);

 private:
  codec::RequestEvents& on_new_stream(codec::ServerStream& handle) override;
  void on_connected() override {}
  void on_connect_failed() override {}
  void on_writable() override {
    io_.write_blocked = false;
    schedule_flush();
  }
  void on_readable() override;
  void on_turn_end() override;
  void lost();

  Server& owner_;
  const uint64_t key_;
  const PipePointer pipe_;
  const std::string name_;
  codec::Limits limits_;
  codec::ConnectionIo io_;
  std::map<Call*, std::unique_ptr<Call>> calls_;
  std::unique_ptr<codec::ServerCodec> codec_;
  bool ended_ = false;
};

class Server::Call final : public codec::RequestEvents, public Link::End, public event::Deferred {
 public:
  Call(Connection& connection, codec::ServerStream& handle) : connection_(connection), handle_(&handle) {}
  ~Call() override { leave(); }

  base::Arena& arena() override { return arena_; }
  http::RequestHead& request_head() override { return head_; }
  void on_request_head(bool) override {
    World& world = connection_.owner().world_;
    const std::optional<Method> method = method_of(head_.path);
    if (!method.has_value()) return world.fail(absl::StrCat("a call of ", std::string(head_.path)));
    link_ = std::make_shared<Link>(world, absl::StrCat(connection_.name(), "/", handle_->stream_id()));
    link_->attach(Side::kProxy, *this);
    if (connection_.owner().control_plane_.accept(link_, method->form, method->only)) return;
    leave();
    finish();
  }
  void on_body(base::Buffer& data, bool end) override {
    std::string message;
    while (link_ != nullptr && frames_.next(data, &message)) link_->send(Side::kProxy, message);
    data.clear();
    if (!frames_.error().ok()) connection_.owner().world_.fail(std::string(frames_.error().message()));
    if (end) on_end();
  }
  void on_trailers(http::HeaderMap&) override { on_end(); }
  void on_reset(codec::ResetReason, http::Cause) override {
    leave();
    handle_ = nullptr;
  }
  void on_send_blocked(bool blocked) override {
    if (link_ != nullptr) link_->pause(Side::kProxy, blocked);
  }
  void on_stream_closed() override {
    handle_ = nullptr;
    connection_.closed(this);
  }

  void on_message(const std::string& bytes) override {
    if (handle_ == nullptr) return;
    send_head();
    base::Buffer body;
    body.append(call::grpc_frame(bytes));
    handle_->send_body(body, false);
    connection_.schedule_flush();
  }
  void on_closed() override {
    link_.reset();
    finish();
  }

 private:
  void send_head() {
    if (std::exchange(head_sent_, true)) return;
    http::ResponseHead head(arena_);
    head.status = 200;
    head.headers.add("content-type", "application/grpc");
    handle_->send_head(head, false);
  }
  void on_end() {
    leave();
    finish();
  }
  // The control plane hears nothing of this call any more.
  void leave() {
    if (link_ != nullptr) std::exchange(link_, nullptr)->close(Side::kProxy);
  }
  void finish() {
    if (handle_ == nullptr) return;
    send_head();
    http::HeaderMap trailers(arena_);
    trailers.add("grpc-status", kUnavailable);
    handle_->send_trailers(trailers);
    connection_.schedule_flush();
  }

  Connection& connection_;
  // Null once the exchange is over.
  codec::ServerStream* handle_;
  base::Arena arena_;
  http::RequestHead head_{arena_};
  call::GrpcFrames frames_{kMaxMessageBytes};
  LinkPointer link_;
  bool head_sent_ = false;
};

Server::Connection::~Connection() {
  codec_->on_connection_lost(codec::ResetReason::kConnectionClosed, http::Cause::kNone);
  codec_->deliver_closed();
}

codec::RequestEvents& Server::Connection::on_new_stream(codec::ServerStream& handle) {
  auto call = std::make_unique<Call>(*this, handle);
  Call* const key = call.get();
  calls_.emplace(key, std::move(call));
  return *key;
}

void Server::Connection::closed(Call* call) {
  const auto found = calls_.find(call);
  owner_.world_.loop().destroy_later(std::move(found->second));
  calls_.erase(found);
}

void Server::Connection::on_readable() {
  io_.readable = true;
  schedule_flush();
}

void Server::Connection::on_turn_end() {
  if (ended_) return;
  // Without a budget: there is one client on a connection, and it waits for answers.
  size_t budget_bytes = SIZE_MAX;
  while (io_.readable && !io_.input_ended) {
    if (!io_.read(budget_bytes)) return lost();
    const codec::FeedState state = codec_->feed(io_.input);
    if (state == codec::FeedState::kFailed) {
      owner_.world_.fail(absl::StrCat(name_, ": ", std::string(codec_->detail())));
      return lost();
    }
    if (state != codec::FeedState::kMore) break;
  }
  if (io_.input_ended) {
    codec_->on_input_end();
    return lost();
  }
  codec_->deliver_closed();
  if (io_.write(*codec_).lost) return lost();
  io_.update_output_blocked(*codec_, limits_.connection_buffer_high_bytes);
  codec_->deliver_closed();
}

void Server::Connection::lost() {
  if (std::exchange(ended_, true)) return;
  codec_->on_connection_lost(codec::ResetReason::kConnectionClosed, http::Cause::kNone);
  codec_->deliver_closed();
  owner_.world_.at(0, [&owner = owner_, key = key_] { owner.connections_.erase(key); });
}

Server::Server(World& world, ControlPlane& control_plane) : world_(world), control_plane_(control_plane) {}
Server::~Server() = default;

bool Server::accept(const PipePointer& pipe) {
  if (!control_plane_.up()) return false;
  const uint64_t key = ++last_connection_;
  connections_.emplace(key, std::make_unique<Connection>(*this, key, pipe, absl::StrCat("connection ", key)));
  return true;
}

void Server::crash() {
  for (auto& [key, connection] : connections_)
    connection->pipe().cut(world_.between(0, ControlPlane::kCrashKnownUs), 0);
  connections_.clear();
}

}  // namespace weft::simulation
