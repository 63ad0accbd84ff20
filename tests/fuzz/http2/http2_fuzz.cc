// Any frames leave a session of either side in order: every exchange is closed once, and none is forgotten. The first
// byte says which side receives and how it acts, the second how the rest is cut.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "proxy/codec/http2/http2.h"
#include "tests/proxy/codec/http1/recorder.h"

namespace {

using namespace weft;

enum Act : uint8_t { kClientSide = 1, kAnswer = 2, kPause = 4, kReset = 8, kDrain = 16, kInputEnd = 32 };

void require(bool condition) {
  if (!condition) std::abort();
}

template <typename EachPiece>
void feed(codec::Codec& codec, std::string_view bytes, size_t stride, EachPiece each_piece) {
  base::Buffer input;
  while (!bytes.empty()) {
    size_t n = std::min(stride, bytes.size());
    input.append(bytes.substr(0, n));
    bytes.remove_prefix(n);
    codec::FeedState state = codec.feed(input);
    require(input.empty());
    each_piece();
    codec.deliver_closed();
    codec.fill_output();
    require(codec.output().size() < 256 * 1024);
    codec.output().clear();
    codec.deliver_closed();
    if (state == codec::FeedState::kFailed) return require(codec.finished() && codec.cause() != http::Cause::kNone);
  }
}

template <typename Recorder>
bool open(const Recorder& recorder) {
  return !recorder.closed && !recorder.reset;
}

void serve(uint8_t acts, size_t stride, std::string_view bytes) {
  codec::Limits limits;
  codec::ServerOwner owner;
  auto server = codec::http2::make_server_codec(limits, owner);
  base::Buffer preface;
  preface.append(std::string_view("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", 33));
  server->feed(preface);
  if ((acts & kDrain) != 0) server->start_drain();
  size_t seen = 0;
  feed(*server, bytes, stride, [&] {
    for (; seen < owner.handles.size(); ++seen) {
      codec::RequestRecorder& exchange = *owner.exchanges[seen];
      if (!open(exchange)) continue;
      codec::ServerStream& handle = *owner.handles[seen];
      if ((acts & kPause) != 0) handle.pause_receiving(true);
      if ((acts & kAnswer) != 0 && !exchange.log.empty()) codec::answer(handle, exchange.memory, 200, "an answer");
      if ((acts & kReset) != 0) handle.reset(codec::ResetReason::kCancel);
    }
  });
  if ((acts & kDrain) != 0) server->finish_drain();
  if ((acts & kInputEnd) != 0) server->on_input_end();
  server->on_connection_lost(codec::ResetReason::kConnectionClosed, http::Cause::kDownstreamClosed);
  server->deliver_closed();
  server->fill_output();
  require(server->open_streams() == 0);
  for (const auto& exchange : owner.exchanges) require(exchange->closed);
}

void ask(uint8_t acts, size_t stride, std::string_view bytes) {
  codec::Limits limits;
  codec::ResponseRecorder answers[3];
  auto client = codec::http2::make_client_codec(limits);
  codec::ClientStream* handles[3];
  for (int i = 0; i < 3; ++i) {
    http::RequestHead head(answers[i].memory);
    head.method = i == 0 ? "GET" : "POST";
    head.method_id = http::method_of(head.method);
    head.authority = "a";
    head.path = "/";
    if (i == 2) head.upgrade = "websocket";
    handles[i] = &client->new_stream(answers[i]);
    handles[i]->send_head(head, i == 0);
  }
  client->fill_output();
  client->output().clear();
  bool acted = false;
  feed(*client, bytes, stride, [&] {
    if (acted) return;
    acted = true;
    for (int i = 0; i < 3; ++i) {
      if (!open(answers[i])) continue;
      if ((acts & kPause) != 0) handles[i]->pause_receiving(true);
      base::Buffer body;
      body.append("some of the body");
      if ((acts & kAnswer) != 0 && i != 0) handles[i]->send_body(body, i == 1);
      if ((acts & kReset) != 0) handles[i]->reset(codec::ResetReason::kCancel);
    }
  });
  if ((acts & kInputEnd) != 0) client->on_input_end();
  client->on_connection_lost(codec::ResetReason::kConnectionClosed, http::Cause::kUpstreamClosed);
  client->deliver_closed();
  client->fill_output();
  require(client->open_streams() == 0);
  for (const auto& each : answers) require(each.closed);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  size_t stride = data[1] == 0 ? bytes.size() : data[1];
  if (bytes.empty()) return 0;
  (data[0] & kClientSide) != 0 ? ask(data[0], stride, bytes) : serve(data[0], stride, bytes);
  return 0;
}
