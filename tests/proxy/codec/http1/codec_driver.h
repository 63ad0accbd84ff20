// Both sides of an HTTP/1 codec under test, with all that they tell written down as text: for the unit tests and the
// fuzz target. One thread.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/codec/http1/http1.h"

namespace weft::codec::http1 {

template <typename... Parts>
void append(std::string& text, const Parts&... parts) {
  (text.append(std::string_view(parts)), ...);
}

inline std::string without_broken_body(std::string text, size_t body_at, size_t reset_at) {
  if (reset_at != std::string::npos && body_at <= reset_at) text.erase(body_at, reset_at - body_at);
  return text;
}

inline void tell_headers(const http::HeaderMap& headers, std::string& transcript) {
  for (const http::Header& header : headers) append(transcript, " ", header.name, "=", header.value, ";");
}

// A server's connection: every request that is whole gets `answer` as its body.
class ServerDriver : public ServerCodec::Events {
 public:
  explicit ServerDriver(const Limits& limits = Limits()) : limits_(limits), codec_(make_server_codec(limits_, *this)) {}
  ~ServerDriver() {
    codec_->on_connection_lost(ResetReason::kConnectionClosed, http::Cause::kDownstreamClosed), turn();
  }

  // Feeds bytes as a connection does: again and again, with the turns' ends in between, until nothing moves.
  FeedState feed(std::string_view bytes) {
    input_.append(bytes);
    FeedState state = FeedState::kMore;
    size_t input_bytes, told_bytes, output_bytes;
    do {
      input_bytes = input_.size();
      told_bytes = transcript.size();
      output_bytes = codec_->output().size();
      state = codec_->feed(input_);
      turn();
    } while (input_.size() != input_bytes || transcript.size() != told_bytes ||
             codec_->output().size() != output_bytes);
    return state;
  }
  FeedState end_input() {
    FeedState state = codec_->on_input_end();
    turn();
    return state;
  }
  void turn() {
    for (auto& exchange : exchanges_) exchange->answer();
    codec_->deliver_closed();
  }
  std::string output() {
    std::string text = codec_->output().to_string();
    codec_->output().clear();
    return text;
  }
  ServerCodec& codec() { return *codec_; }

  std::string answer = "ok";
  bool answers = true;
  std::string transcript;  // What the codec told, in order.

  // The transcript without the bytes of a body that was reset: how many are told before that depends on the reads.
  std::string comparable() const { return without_broken_body(transcript, body_at_, reset_at_); }

 private:
  struct Exchange final : RequestEvents {
    Exchange(ServerDriver& owner, ServerStream& handle) : owner(owner), handle(&handle), head(memory) {}
    base::Arena& arena() override { return memory; }
    http::RequestHead& request_head() override { return head; }
    void on_request_head(bool end) override {
      append(owner.transcript, "[", head.method, " ", head.path, " ", head.authority, " ", head.upgrade);
      tell_headers(head.headers, owner.transcript);
      append(owner.transcript, "]");
      owner.body_at_ = owner.transcript.size();
      if (end) finish();
      // Nobody here switches protocols: an upgrade gets an ordinary answer.
      if (head.is_tunnel()) whole = true;
    }
    void on_body(base::Buffer& data, bool end) override {
      owner.transcript += data.to_string();
      data.clear();
      if (end) finish();
    }
    void on_trailers(http::HeaderMap& trailers) override {
      tell_headers(trailers, owner.transcript);
      finish();
    }
    void on_reset(ResetReason, http::Cause cause) override {
      owner.reset_at_ = owner.transcript.size();
      append(owner.transcript, "!", http::cause_info(cause).name);
      status = http::cause_info(cause).http_status;
      whole = true;
    }
    void on_send_blocked(bool) override {}
    void on_stream_closed() override { handle = nullptr; }
    void finish() {
      owner.transcript += "|";
      owner.body_at_ = owner.transcript.size();
      whole = true;
    }
    void answer() {
      if (!whole || handle == nullptr || answered || !owner.answers) return;
      answered = true;
      http::ResponseHead response(memory);
      response.status = status;
      response.has_content_length = true;
      response.content_length = owner.answer.size();
      handle->send_head(response, false);
      base::Buffer body;
      body.append(owner.answer);
      handle->send_body(body, true);
    }
    ServerDriver& owner;
    base::Arena memory;
    ServerStream* handle;
    http::RequestHead head;
    uint16_t status = 200;
    bool whole = false;
    bool answered = false;
  };

  RequestEvents& on_new_stream(ServerStream& handle) override {
    exchanges_.push_back(std::make_unique<Exchange>(*this, handle));
    return *exchanges_.back();
  }

  size_t body_at_ = 0;
  size_t reset_at_ = std::string::npos;
  Limits limits_;
  std::vector<std::unique_ptr<Exchange>> exchanges_;
  std::unique_ptr<ServerCodec> codec_;
  base::Buffer input_;
};

// A client's connection with one request of the given method under way.
class ClientDriver : public ResponseEvents {
 public:
  explicit ClientDriver(http::Method method = http::Method::kGet, std::string_view upgrade = {},
                        const Limits& limits = Limits())
      : limits_(limits), codec_(make_client_codec(limits_)), response_(memory_) {
    http::RequestHead request(memory_);
    request.method_id = method;
    request.method = http::method_name(method);
    request.path = "/";
    request.authority = "a.example";
    request.upgrade = upgrade;
    handle_ = &codec_->new_stream(*this);
    handle_->send_head(request, true);
    codec_->output().clear();
  }
  ~ClientDriver() {
    codec_->on_connection_lost(ResetReason::kConnectionClosed, http::Cause::kUpstreamClosed), codec_->deliver_closed();
  }

  FeedState feed(std::string_view bytes) {
    input_.append(bytes);
    FeedState state = codec_->feed(input_);
    codec_->deliver_closed();
    return state;
  }
  FeedState end_input() {
    FeedState state = codec_->on_input_end();
    codec_->deliver_closed();
    return state;
  }
  ClientCodec& codec() { return *codec_; }
  std::string comparable() const { return without_broken_body(transcript, body_at_, reset_at_); }

  std::string transcript;

 private:
  base::Arena& arena() override { return memory_; }
  http::ResponseHead& response_head() override { return response_; }
  void on_informational() override { append(transcript, "(", std::to_string(response_.status), ")"); }
  void on_response_head(bool end) override {
    append(transcript, "[", std::to_string(response_.status), " ", response_.reason);
    tell_headers(response_.headers, transcript);
    append(transcript, "]", end ? "|" : "");
    body_at_ = transcript.size();
  }
  void on_body(base::Buffer& data, bool end) override {
    append(transcript, data.to_string(), end ? "|" : "");
    data.clear();
  }
  void on_trailers(http::HeaderMap& trailers) override {
    tell_headers(trailers, transcript);
    transcript += "|";
  }
  void on_reset(ResetReason, http::Cause cause) override {
    reset_at_ = transcript.size();
    append(transcript, "!", http::cause_info(cause).name);
  }
  void on_send_blocked(bool) override {}
  void on_stream_closed() override {}

  size_t body_at_ = 0;
  size_t reset_at_ = std::string::npos;
  Limits limits_;
  base::Arena memory_;
  std::unique_ptr<ClientCodec> codec_;
  http::ResponseHead response_;
  ClientStream* handle_ = nullptr;
  base::Buffer input_;
};

}  // namespace weft::codec::http1
