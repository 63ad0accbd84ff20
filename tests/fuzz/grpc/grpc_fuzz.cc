#include <cstdlib>

#include "proxy/base/log.h"
#include "proxy/call/grpc_frames.h"
#include "proxy/config/xds/conversation.h"

// What a control plane sends, from the body's bytes on. The first byte says how the rest is cut into pieces and which
// form of the protocol it is; however it is cut, the same messages must come of it.

namespace {

using namespace weft;
using namespace weft::config::xds;

struct TakesAll final : Consumer {
  std::vector<Refusal> on_update(Type, const Update& update) override {
    for (const Resource& resource : update.changed) {
      if (resource.name.empty()) abort();
    }
    return {};
  }
  void on_fetch_timeout(Type, const std::vector<std::string>&) override {}
};

std::vector<std::string> read(std::string_view bytes, size_t piece, bool* failed) {
  call::GrpcFrames frames(4096);
  std::vector<std::string> messages;
  for (size_t at = 0; at < bytes.size() && frames.error().ok(); at += piece) {
    base::Buffer data;
    data.append(bytes.substr(at, piece));
    std::string message;
    while (frames.next(data, &message)) messages.push_back(message);
    if (frames.error().ok() && !data.empty()) abort();
  }
  *failed = !frames.error().ok();
  return messages;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  bool whole_failed = false, cut_failed = false;
  std::vector<std::string> messages = read(bytes, bytes.size() + 1, &whole_failed);
  if (messages != read(bytes, 1 + (data[0] >> 1), &cut_failed) || whole_failed != cut_failed) abort();

  base::set_log_level(base::LogLevel::kOff);
  base::ManualClock clock;
  weft::event::ManualLoop loop{clock};
  TakesAll consumer;
  auto conversation =
      (data[0] & 1) != 0 ? make_delta_conversation(loop, consumer, {}) : make_sotw_conversation(loop, consumer, {});
  conversation->subscribe(Type::kCluster, {}, 250);
  conversation->subscribe(Type::kEndpoints, {"a", "b"}, 250);
  conversation->subscribe(Type::kListener, {"l"}, 250);
  conversation->open();
  for (const std::string& message : messages) {
    if (!conversation->receive(message).ok()) break;
    conversation->take_requests();
    loop.advance_ms(100);
  }
  return 0;
}
