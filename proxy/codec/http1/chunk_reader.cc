#include "proxy/codec/http1/chunk_reader.h"

#include <algorithm>

#include "proxy/codec/http1/chars.h"

namespace weft::codec::http1 {
namespace {

// 15 hexadecimal digits cannot overflow, and no body is that large.
constexpr int kMaxSizeDigits = 15;
constexpr uint64_t kExtensionBodyFactor = 16;

}  // namespace

void ChunkReader::start(const Limits& limits) {
  limits_ = &limits;
  state_ = State::kSize;
  left_ = 0;
  digits_ = 0;
  extension_bytes_ = all_extension_bytes_ = 0;
  ended_ = false;
  trailers_.clear();
  error_ = {};
}

ChunkReader::Result ChunkReader::read(base::Buffer& input, base::Buffer& body) {
  while (!input.empty()) {
    if (state_ == State::kData) {
      size_t n = static_cast<size_t>(std::min<uint64_t>(left_, input.size()));
      body.move_from(input, n);
      left_ -= n;
      if (left_ == 0) state_ = State::kDataCr;
      continue;
    }
    std::string_view piece = input.front();
    size_t used = 0;
    while (used < piece.size() && state_ != State::kData && !ended_) {
      if (!take(piece[used++])) return Result::kError;
    }
    input.drain(used);
    if (ended_) return Result::kEnd;
  }
  return Result::kMore;
}

bool ChunkReader::take(char c) {
  auto fail = [&](std::string_view why) {
    error_ = why;
    return false;
  };
  switch (state_) {
    case State::kSize: {
      int digit = hex_digit(c);
      if (digit >= 0) {
        if (++digits_ > kMaxSizeDigits) return fail("a chunk's size is too large");
        left_ = left_ * 16 + static_cast<uint64_t>(digit);
        return true;
      }
      if (digits_ == 0) return fail("a chunk's size is no hexadecimal number");
      if (c == '\r') {
        state_ = State::kSizeLf;
      } else if (c == ';') {
        state_ = State::kExtension;
      } else {
        return fail("a chunk's size is no hexadecimal number");
      }
      return true;
    }
    case State::kExtension:
      ++extension_bytes_;
      if (extension_bytes_ > limits_->max_chunk_extension_bytes ||
          ++all_extension_bytes_ > kExtensionBodyFactor * limits_->max_chunk_extension_bytes) {
        return fail("chunk extensions are too long");
      }
      if (c == '\r') {
        state_ = State::kSizeLf;
      } else if ((static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f) {
        return fail("a chunk extension has a control character");
      }
      return true;
    case State::kSizeLf:
      if (c != '\n') return fail("a chunk's size line does not end in CRLF");
      state_ = left_ == 0 ? State::kTrailers : State::kData;
      digits_ = 0;
      extension_bytes_ = 0;
      return true;
    case State::kDataCr:
      if (c != '\r') return fail("a chunk's data is not followed by CRLF");
      state_ = State::kDataLf;
      return true;
    case State::kDataLf:
      if (c != '\n') return fail("a chunk's data is not followed by CRLF");
      state_ = State::kSize;
      return true;
    case State::kTrailers:
      trailers_.push_back(c);
      if (trailers_.size() > limits_->max_header_bytes) return fail("the trailers are too large");
      if (c == '\n') {
        size_t size = trailers_.size();
        if (size < 2 || trailers_[size - 2] != '\r') return fail("a trailer line does not end in CRLF");
        ended_ = size == 2 || trailers_[size - 3] == '\n';
      }
      return true;
    case State::kData:
      break;
  }
  return fail("a chunk is malformed");
}

}  // namespace weft::codec::http1
