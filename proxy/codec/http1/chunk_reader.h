#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/base/buffer.h"
#include "proxy/codec/codec.h"

// Takes the chunked coding (RFC 9112, 7.1) off a body. Chunk data moves without a copy; sizes are strict hexadecimal,
// extensions are read and dropped within a bound, trailers are gathered whole. Owned by a codec; one thread.

namespace weft::codec::http1 {

class ChunkReader {
 public:
  enum class Result : uint8_t {
    kMore,   // All input was used; the body goes on.
    kEnd,    // The last chunk and the trailers were read. What follows in the input is not the body's.
    kError,  // error() says why.
  };
  void start(const Limits& limits);
  // Moves chunk data from the front of `input` to the end of `body`.
  Result read(base::Buffer& input, base::Buffer& body);
  // After kEnd: the trailer fields with their final empty line; just "\r\n" if there are none.
  std::string_view trailers() const { return trailers_; }
  std::string_view error() const { return error_; }

 private:
  enum class State : uint8_t { kSize, kExtension, kSizeLf, kData, kDataCr, kDataLf, kTrailers };
  // One byte of anything but data. False: an error.
  bool take(char c);

  const Limits* limits_ = nullptr;
  State state_ = State::kSize;
  uint64_t left_ = 0;  // Of the size being read, or of the chunk's data.
  int digits_ = 0;
  uint64_t extension_bytes_ = 0;      // Of this chunk.
  uint64_t all_extension_bytes_ = 0;  // Of the body.
  bool ended_ = false;
  std::string trailers_;
  std::string_view error_;
};

}  // namespace weft::codec::http1
