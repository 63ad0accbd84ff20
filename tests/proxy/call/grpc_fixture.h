#pragma once

#include <string>
#include <vector>

#include "proxy/call/grpc_frames.h"
#include "proxy/pool/worker_context.h"
#include "tests/proxy/pool/fixture.h"

// A cluster of fake hosts that speak HTTP/2, and what a gRPC server says to calls of ours, byte by byte.

namespace weft::call {

// HPACK: a literal that is not indexed, with a literal name (RFC 7541, 6.2.2). Both shorter than 127 bytes.
inline std::string header(std::string_view name, std::string_view value) {
  return std::string(1, '\0') + static_cast<char>(name.size()) + std::string(name) + static_cast<char>(value.size()) +
         std::string(value);
}
inline std::string head(uint32_t stream, std::string_view fields, bool end = false) {
  return pool::frame(1, end ? 0x5 : 0x4, stream, fields);
}
inline std::string grpc_head(uint32_t stream) {
  return head(stream, "\x88" + header("content-type", "application/grpc+proto"));
}
inline std::string trailers(uint32_t stream, std::string_view status, std::string_view message = {}) {
  return head(stream, header("grpc-status", status) + (message.empty() ? "" : header("grpc-message", message)), true);
}
inline std::string data(uint32_t stream, std::string_view bytes, bool end = false) {
  return pool::frame(0, end ? 1 : 0, stream, bytes);
}

// Of any length, in as many frames as it needs.
inline std::string long_data(uint32_t stream, std::string_view bytes) {
  constexpr size_t kMostBytes = 16'000;
  std::string frames;
  for (; !bytes.empty(); bytes.remove_prefix(std::min(kMostBytes, bytes.size()))) {
    std::string frame = pool::frame(0, 0, stream, bytes.substr(0, kMostBytes));
    frame[1] = static_cast<char>(std::min(kMostBytes, bytes.size()) >> 8);
    frames += frame;
  }
  return frames;
}

struct SentFrame {
  uint8_t type, flags;
  uint32_t stream;
  std::string payload;
};

struct GrpcFixture : pool::Fixture {
  GrpcFixture() : pool::Fixture(pool::http2) { cluster->set_hosts({{hosts[0]}}); }
  void serve(size_t wire) {
    accept(wire);
    arrive(wire, pool::settings());
  }
  // What was sent on a wire, behind the preface.
  std::vector<SentFrame> sent(size_t wire_index) {
    std::vector<SentFrame> frames;
    std::string_view bytes = wire(wire_index).sent;
    bytes.remove_prefix(24);
    while (bytes.size() >= 9) {
      auto byte = [&](size_t i) { return static_cast<uint32_t>(static_cast<uint8_t>(bytes[i])); };
      uint32_t length = byte(0) << 16 | byte(1) << 8 | byte(2);
      frames.push_back({static_cast<uint8_t>(byte(3)), static_cast<uint8_t>(byte(4)),
                        byte(5) << 24 | byte(6) << 16 | byte(7) << 8 | byte(8), std::string(bytes.substr(9, length))});
      bytes.remove_prefix(9 + length);
    }
    return frames;
  }
  // The messages sent on a stream.
  std::vector<std::string> messages(size_t wire_index, uint32_t stream) {
    base::Buffer body;
    for (const SentFrame& frame : sent(wire_index)) {
      if (frame.type == 0 && frame.stream == stream) body.append(frame.payload);
    }
    std::vector<std::string> result;
    GrpcFrames frames(1 << 20);
    std::string message;
    while (frames.next(body, &message)) result.push_back(message);
    return result;
  }
  bool was_reset(size_t wire_index, uint32_t stream) {
    for (const SentFrame& frame : sent(wire_index)) {
      if (frame.type == 3 && frame.stream == stream) return true;
    }
    return false;
  }
  pool::WorkerContext context() { return {loop, random, *upstreams, 0}; }
};

}  // namespace weft::call
