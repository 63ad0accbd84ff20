#include "proxy/call/grpc_frames.h"

#include <catch2/catch.hpp>
#include <vector>

namespace weft::call {
namespace {

std::vector<std::string> read(GrpcFrames& frames, std::string_view bytes) {
  base::Buffer data;
  data.append(bytes);
  std::vector<std::string> messages;
  std::string message;
  while (frames.next(data, &message)) messages.push_back(message);
  return messages;
}

}  // namespace

TEST_CASE("messages are found however their bytes are cut") {
  std::string large(70'000, 'x');
  std::string bytes = grpc_frame("one") + grpc_frame("") + grpc_frame(large) + grpc_frame("four");
  std::vector<std::string> expected = {"one", "", large, "four"};
  for (size_t piece : {1, 2, 3, 5, 7, 4096, 1'000'000}) {
    GrpcFrames frames(100'000);
    std::vector<std::string> messages;
    for (size_t at = 0; at < bytes.size(); at += piece) {
      for (std::string& each : read(frames, std::string_view(bytes).substr(at, piece))) {
        messages.push_back(std::move(each));
      }
    }
    CHECK(messages == expected);
    CHECK_FALSE(frames.within_message());
    CHECK(frames.error().ok());
  }
}

TEST_CASE("a message above the limit is refused before its bytes are kept") {
  GrpcFrames frames(10);
  CHECK(read(frames, grpc_frame(std::string(10, 'x'))).size() == 1);
  CHECK(read(frames, std::string_view("\0\0\0\0\x0b", 5)).empty());
  CHECK(frames.error().code() == absl::StatusCode::kResourceExhausted);
  CHECK(frames.error().message() == "a message of 11 bytes came, the limit is 10");
  CHECK(read(frames, grpc_frame("a")).empty());
}

TEST_CASE("a compressed message and unknown flags are refused") {
  GrpcFrames compressed(10), unknown(10);
  read(compressed, std::string_view("\1\0\0\0\1", 5));
  CHECK(compressed.error().code() == absl::StatusCode::kUnimplemented);
  read(unknown, std::string_view("\x80\0\0\0\1", 5));
  CHECK(unknown.error().message() == "a message begins with flags 128, expected 0");
}

TEST_CASE("an end within a message is seen") {
  GrpcFrames frames(10);
  read(frames, std::string_view("\0\0\0", 3));
  CHECK(frames.within_message());
}

}  // namespace weft::call
