#include "proxy/dns/stream_frames.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

namespace weft::dns {
namespace {

TEST_CASE("messages come out of a stream as they went in, however it is cut") {
  base::Buffer whole;
  const std::string large(40'000, 'x');
  for (const std::string& each : {std::string("one"), std::string(), large}) put_frame(whole, each);
  const std::string bytes = whole.to_string();
  CHECK(bytes.size() == 3 + large.size() + 6);
  base::Buffer in;
  std::vector<std::string> out;
  std::string message;
  for (size_t at = 0; at < bytes.size(); at += 7) {
    in.append(std::string_view(bytes).substr(at, 7));
    while (take_frame(in, &message)) out.push_back(message);
  }
  CHECK(out == std::vector<std::string>{"one", "", large});
  CHECK(in.empty());
}

}  // namespace
}  // namespace weft::dns
