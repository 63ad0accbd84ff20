// Fuzzes the order of what an HTTP/2 codec of either side tells. The first byte says which side, how the rest is cut,
// and what the receivers do with what they are told: answer, reset, pause, send trailers. Every stream must be told
// closed exactly once, nothing may come after it, nor body after a message's end.
#include <algorithm>
#include <cstdint>
#include <list>
#include <string_view>

#include "proxy/base/assert.h"
#include "proxy/codec/http2/http2.h"

namespace weft::codec::http2 {
namespace {

constexpr uint8_t kClient = 1;
constexpr uint8_t kAnswer = 2;
constexpr uint8_t kReset = 4;
constexpr uint8_t kPause = 8;
constexpr uint8_t kTrailers = 16;

template <typename Events>
struct Receiver : Events {
  base::Arena memory;
  bool ended = false;
  bool reset = false;
  bool closed = false;

  base::Arena& arena() override { return memory; }
  void on_body(base::Buffer& data, bool end) override {
    WEFT_ASSERT(!ended && !reset && !closed);
    data.clear();
    ended = end;
  }
  void on_trailers(http::HeaderMap&) override {
    WEFT_ASSERT(!ended && !reset && !closed);
    ended = true;
  }
  void on_reset(ResetReason, http::Cause) override {
    WEFT_ASSERT(!reset && !closed);
    reset = true;
  }
  void on_send_blocked(bool) override { WEFT_ASSERT(!closed); }
  void on_stream_closed() override {
    WEFT_ASSERT(!closed);
    closed = true;
  }
};

struct Request final : Receiver<RequestEvents> {
  http::RequestHead head{memory};
  ServerStream* stream = nullptr;
  uint8_t flags = 0;

  http::RequestHead& request_head() override { return head; }
  void on_request_head(bool end) override {
    WEFT_ASSERT(!ended && !reset && !closed && !head.method.empty());
    ended = end;
    if ((flags & kPause) != 0) stream->pause_receiving(true);
    if ((flags & kAnswer) != 0) answer();
    if ((flags & kReset) != 0) stream->reset(ResetReason::kCancel);
  }
  void answer() {
    http::ResponseHead response(memory);
    response.status = 200;
    response.headers.add("X-Name", "value");
    stream->send_head(response, false);
    base::Buffer body;
    body.append("body");
    stream->send_body(body, (flags & kTrailers) == 0);
    if ((flags & kTrailers) == 0) return;
    http::HeaderMap trailers(memory);
    trailers.add("grpc-status", "0");
    stream->send_trailers(trailers);
  }
};

struct Response final : Receiver<ResponseEvents> {
  http::ResponseHead head{memory};
  http::ResponseHead& response_head() override { return head; }
  void on_informational() override { WEFT_ASSERT(!ended && !reset && !closed); }
  void on_response_head(bool end) override {
    WEFT_ASSERT(!ended && !reset && !closed && head.status >= 101);
    ended = end;
  }
};

struct Owner final : ServerCodec::Events {
  std::list<Request> requests;
  uint8_t flags = 0;
  RequestEvents& on_new_stream(ServerStream& handle) override {
    Request& request = requests.emplace_back();
    request.stream = &handle;
    request.flags = flags;
    return request;
  }
};

void feed_all(Codec& codec, std::string_view bytes, size_t step) {
  while (!bytes.empty()) {
    base::Buffer input;
    input.append(bytes.substr(0, step));
    bytes.remove_prefix(std::min(step, bytes.size()));
    FeedState state = codec.feed(input);
    codec.fill_output();
    codec.output().clear();
    codec.deliver_closed();
    if (state != FeedState::kMore) break;
  }
  codec.on_connection_lost(ResetReason::kConnectionClosed, http::Cause::kDownstreamClosed);
  codec.deliver_closed();
  WEFT_ASSERT(codec.open_streams() == 0);
}

void run_server(const Limits& limits, uint8_t flags, std::string_view bytes, size_t step) {
  Owner owner;
  owner.flags = flags;
  auto codec = make_server_codec(limits, owner);
  base::Buffer preface;
  preface.append(std::string_view("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", 33));
  codec->feed(preface);
  feed_all(*codec, bytes, step);
  for (const Request& request : owner.requests) WEFT_ASSERT(request.closed);
}

void run_client(const Limits& limits, uint8_t flags, std::string_view bytes, size_t step) {
  std::list<Response> responses;
  auto codec = make_client_codec(limits);
  base::Buffer settings;
  settings.append(std::string_view("\0\0\0\4\0\0\0\0\0", 9));
  codec->feed(settings);
  for (std::string_view method : {"GET", "HEAD", "POST"}) {
    Response& response = responses.emplace_back();
    http::RequestHead head(response.memory);
    head.method = method;
    head.method_id = http::method_of(method);
    head.scheme = "http";
    head.authority = "a";
    head.path = "/";
    ClientStream& stream = codec->new_stream(response);
    stream.send_head(head, method != "POST");
    if ((flags & kPause) != 0) stream.pause_receiving(true);
    if (method == "POST") {
      base::Buffer body;
      body.append("body");
      stream.send_body(body, (flags & kAnswer) != 0);
      if ((flags & kReset) != 0) stream.reset(ResetReason::kCancel);
    }
  }
  codec->fill_output();
  codec->output().clear();
  feed_all(*codec, bytes, step);
  for (const Response& response : responses) WEFT_ASSERT(response.closed);
}

}  // namespace
}  // namespace weft::codec::http2

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace weft::codec;
  if (size == 0) return 0;
  uint8_t flags = data[0];
  std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  size_t step = (flags & 0x20) != 0 ? 1 : (flags & 0x40) != 0 ? 13 : 4096;
  Limits limits;
  limits.max_header_bytes = 1024;
  limits.h2_initial_stream_window_bytes = 65535;
  if ((flags & http2::kClient) != 0) {
    http2::run_client(limits, flags, bytes, step);
  } else {
    http2::run_server(limits, flags, bytes, step);
  }
  return 0;
}
