#include "proxy/server/admin_server.h"

#include "proxy/codec/http1/http1.h"

namespace weft::server {
namespace {

constexpr size_t kMaxConnections = 256;
constexpr int64_t kIdleMs = 60'000;
constexpr size_t kMaxBodyBytes = 64 * 1024;  // Admin requests have no use for a body.

int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = static_cast<char>(c | 0x20);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

std::string percent_decode(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && hex(text[i + 1]) >= 0 && hex(text[i + 2]) >= 0) {
      out.push_back(static_cast<char>(hex(text[i + 1]) * 16 + hex(text[i + 2])));
      i += 2;
    } else {
      out.push_back(text[i] == '+' ? ' ' : text[i]);
    }
  }
  return out;
}

AdminRequest parse(const http::RequestHead& head) {
  AdminRequest request;
  request.method = head.method;
  std::string_view path = head.path;
  size_t question = path.find('?');
  request.path = std::string(path.substr(0, question));
  if (question == std::string_view::npos) return request;
  std::string_view rest = path.substr(question + 1);
  while (!rest.empty()) {
    std::string_view pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(pair.size() + 1, rest.size()));
    size_t equals = pair.find('=');
    std::string_view value = equals == std::string_view::npos ? std::string_view() : pair.substr(equals + 1);
    request.query.emplace_back(percent_decode(pair.substr(0, equals)), percent_decode(value));
  }
  return request;
}

}  // namespace

const std::string* AdminRequest::parameter(std::string_view name) const {
  for (const auto& [key, value] : query) {
    if (key == name) return &value;
  }
  return nullptr;
}

class AdminConnection final : public transport::ByteStream::Events,
                              public codec::ServerCodec::Events,
                              public codec::RequestEvents,
                              public event::TurnEndTask,
                              public event::Deferred,
                              public base::ListNode<AdminConnection> {
 public:
  AdminConnection(AdminServer& server, std::unique_ptr<transport::ByteStream> stream)
      : server_(server),
        stream_(std::move(stream)),
        codec_(codec::http1::make_server_codec(server.limits_, *this)),
        request_(arena_),
        idle_timer_(server.loop_.timers(), base::bind<&AdminConnection::end>(this)) {
    ++server_.open_;
    idle_timer_.arm(kIdleMs);
    stream_->attach(*this);
  }

  void end() {
    if (ended_) return;
    ended_ = true;
    forget_reply();
    --server_.open_;
    idle_timer_.disarm();
    base::ListNode<AdminConnection>::unlink();
    base::ListNode<event::TurnEndTask>::unlink();
    codec_->on_connection_lost(codec::ResetReason::kConnectionClosed, http::Cause::kDownstreamClosed);
    codec_->deliver_closed();
    stream_->close(transport::ByteStream::CloseKind::kGraceful);
    server_.loop_.destroy_later(std::unique_ptr<event::Deferred>(this));
  }

 private:
  void on_connected() override {}
  void on_connect_failed() override { end(); }
  void on_writable() override { server_.loop_.at_turn_end(*this); }
  void on_readable() override {
    while (!ended_) {
      transport::IoResult result = stream_->read(input_, base::Block::kDataBytes);
      if (result.state == transport::IoResult::State::kError) return end();
      codec_->feed(input_);
      if (result.state == transport::IoResult::State::kEnd) {
        codec_->on_input_end();
        break;
      }
      if (result.state == transport::IoResult::State::kBlocked || result.drained) break;
    }
    server_.loop_.at_turn_end(*this);
  }
  void on_turn_end() override {
    // Pipelined requests wait in the input until the answer before them is told.
    for (size_t before = SIZE_MAX; codec_->deliver_closed(), !input_.empty() && input_.size() != before;) {
      before = input_.size();
      codec_->feed(input_);
    }
    base::Buffer& output = codec_->output();
    while (!output.empty()) {
      transport::IoResult result = stream_->write(output);
      if (result.state == transport::IoResult::State::kError) return end();
      if (result.state == transport::IoResult::State::kBlocked || result.drained) break;
    }
    if (codec_->finished() && output.empty()) return end();
    idle_timer_.arm(kIdleMs);
  }

  codec::RequestEvents& on_new_stream(codec::ServerStream& handle) override {
    handle_ = &handle;
    body_bytes_ = 0;
    record_ = observe::RequestRecord();
    record_.start_ns = server_.loop_.now_ns();
    record_.start_wall_ns = server_.loop_.wall_ns();
    return *this;
  }
  base::Arena& arena() override { return arena_; }
  http::RequestHead& request_head() override { return request_; }
  void on_request_head(bool end) override {
    if (end) ask();
  }
  void on_body(base::Buffer& data, bool end) override {
    body_bytes_ += data.size();
    data.clear();
    if (body_bytes_ > kMaxBodyBytes) return handle_->reset(codec::ResetReason::kMessageTooLarge);
    if (end) ask();
  }
  void on_trailers(http::HeaderMap&) override { ask(); }
  void on_reset(codec::ResetReason reason, http::Cause cause) override {
    if (reason != codec::ResetReason::kProtocolError) return;
    const http::CauseInfo& info = http::cause_info(cause);
    answer({info.http_status, "text/plain; charset=UTF-8", std::string(info.sentence) + "\n"});
  }
  void on_send_blocked(bool) override {}
  void on_stream_closed() override {
    forget_reply();
    handle_ = nullptr;
    arena_.reset();
    request_ = http::RequestHead(arena_);
  }

  void ask() {
    awaited_ = std::make_shared<AdminConnection*>(this);
    server_.handler_(parse(request_), [awaited = awaited_](const AdminAnswer& answer) {
      if (*awaited != nullptr) (*awaited)->answer(answer);
    });
  }
  // An answer that comes now comes too late.
  void forget_reply() {
    if (awaited_ != nullptr) *awaited_ = nullptr;
    awaited_.reset();
  }

  void answer(const AdminAnswer& answer) {
    forget_reply();
    server_.loop_.at_turn_end(*this);
    http::ResponseHead head(arena_);
    head.status = answer.status;
    head.headers.add(http::HeaderId::kContentType, answer.content_type);
    head.headers.add(http::HeaderId::kCacheControl, "no-cache, max-age=0");
    head.headers.add("x-content-type-options", "nosniff");
    head.headers.add(http::HeaderId::kServer, "weft");
    head.has_content_length = true;
    head.content_length = answer.body.size();
    record_.request = &request_;
    record_.response = &head;
    record_.status = answer.status;
    record_.protocol = http::version_name(request_.version);
    record_.response_body_bytes = answer.body.size();
    record_.end_ns = server_.loop_.now_ns();
    for (auto& log : server_.access_logs_) {
      log->record(record_, 0);
      log->flush_worker(0);
    }
    handle_->send_head(head, answer.body.empty());
    if (answer.body.empty()) return;
    base::Buffer body;
    body.append(answer.body);
    handle_->send_body(body, true);
  }

  AdminServer& server_;
  std::unique_ptr<transport::ByteStream> stream_;
  std::unique_ptr<codec::ServerCodec> codec_;
  base::Arena arena_;
  http::RequestHead request_;
  observe::RequestRecord record_;
  codec::ServerStream* handle_ = nullptr;
  std::shared_ptr<AdminConnection*> awaited_;  // Of the request that has no answer yet: where that goes.
  base::Buffer input_;
  size_t body_bytes_ = 0;
  event::Timer idle_timer_;
  bool ended_ = false;
};

AdminServer::AdminServer(event::LibeventLoop& loop, Handler handler,
                         std::vector<std::shared_ptr<observe::AccessLog>> access_logs)
    : loop_(loop), handler_(std::move(handler)), access_logs_(std::move(access_logs)) {}

AdminServer::~AdminServer() { stop(); }

absl::StatusOr<transport::Address> AdminServer::start(const transport::Address& address, bool ipv4_compat) {
  transport::ListenOptions options;
  options.ipv4_compat = ipv4_compat;
  options.reuse_port = false;
  absl::StatusOr<transport::Descriptor> socket = transport::listen_on(address, options);
  if (!socket.ok()) return socket.status();
  socket_ = *std::move(socket);
  address_ = transport::local_address(socket_.get());
  watch_.start_level(loop_, socket_.get(), accept_, true, false);
  return address_;
}

void AdminServer::stop() {
  watch_.stop();
  if (socket_.open()) transport::unlink_listener_path(address_);
  socket_.reset();
  while (!connections_.empty()) connections_.front().end();
}

void AdminServer::accept_some() {
  transport::Address peer;
  int error = 0;
  transport::Descriptor fd = transport::accept_connection(socket_.get(), &peer, &error);
  if (!fd.open() || open_ >= kMaxConnections) return;
  auto stream = std::make_unique<transport::PlainStream>(loop_, std::move(fd), peer, transport::Address());
  connections_.push_back(*new AdminConnection(*this, std::move(stream)));
}

}  // namespace weft::server
