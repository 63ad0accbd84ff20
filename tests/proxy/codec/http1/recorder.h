#pragma once

#include <memory>
#include <string>
#include <vector>

#include "proxy/codec/codec.h"

// Receivers that write down what a codec tells them.

namespace weft::codec {

// What both halves of an exchange have in common: Events is one of them, Head its head.
template <typename Events, typename Head>
struct Recorder : Events {
  Recorder() : head(memory) {}
  base::Arena& arena() override { return memory; }
  void on_body(base::Buffer& data, bool end) override {
    body += data.to_string();
    data.clear();
    ended = ended || end;
  }
  void on_trailers(http::HeaderMap& trailers) override {
    for (const auto& header : trailers) body += "{" + std::string(header.name) + "=" + std::string(header.value) + "}";
    ended = true;
  }
  void on_reset(ResetReason why, http::Cause what) override {
    reset = true;
    reason = why;
    cause = what;
  }
  void on_send_blocked(bool now) override { blocked = now; }
  void on_stream_closed() override { closed = true; }

  void log_headers() {
    for (const auto& header : head.headers)
      log += " [" + std::string(header.name) + "=" + std::string(header.value) + "]";
  }

  base::Arena memory;
  Head head;
  std::string log, body;
  bool ended = false, reset = false, closed = false, blocked = false;
  ResetReason reason = ResetReason::kNone;
  http::Cause cause = http::Cause::kNone;
};

struct RequestRecorder final : Recorder<RequestEvents, http::RequestHead> {
  http::RequestHead& request_head() override { return head; }
  void on_request_head(bool end) override {
    log += std::string(head.method) + " " + std::string(head.authority) + std::string(head.path);
    log_headers();
    if (!head.upgrade.empty()) log += " upgrade=" + std::string(head.upgrade);
    log += end ? " end\n" : "\n";
    ended = end;
  }
};

struct ResponseRecorder final : Recorder<ResponseEvents, http::ResponseHead> {
  http::ResponseHead& response_head() override { return head; }
  void on_informational() override { interim += std::to_string(head.status) + " "; }
  void on_response_head(bool end) override {
    log = std::to_string(head.status);
    log_headers();
    ended = end;
  }

  std::string interim;
};

// A server's owner: keeps every exchange, and answers as told.
struct ServerOwner : ServerCodec::Events {
  RequestEvents& on_new_stream(ServerStream& handle) override {
    exchanges.push_back(std::make_unique<RequestRecorder>());
    handles.push_back(&handle);
    return *exchanges.back();
  }
  std::vector<std::unique_ptr<RequestRecorder>> exchanges;
  std::vector<ServerStream*> handles;
};

inline void answer(ServerStream& handle, base::Arena& arena, uint16_t status, std::string_view body) {
  http::ResponseHead head(arena);
  head.status = status;
  head.has_content_length = true;
  head.content_length = body.size();
  handle.send_head(head, body.empty());
  if (body.empty()) return;
  base::Buffer data;
  data.append(body);
  handle.send_body(data, true);
}

}  // namespace weft::codec
