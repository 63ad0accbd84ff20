#pragma once

#include <memory>

#include "proxy/base/buffer.h"
#include "proxy/codec/codec.h"
#include "proxy/transport/byte_stream.h"

// Between a codec and its stream, for an HTTP connection of either side: what was read and is not fed yet, and how far
// reading and writing may go on. Part of its connection (stream/ downstream, pool/ upstream), on its worker's thread.

namespace weft::codec {

struct ConnectionIo {
  // What one connection may read in a turn before others get theirs.
  static constexpr size_t kTurnReadBytes = 256 * 1024;

  // One read of at most `budget_bytes`, which it lessens. False: the stream is lost, see its error().
  bool read(size_t& budget_bytes);

  struct Written {
    size_t bytes = 0;
    bool lost = false;  // See the stream's error().
  };
  // Writes what the codec has to say until there is no more of it or the stream takes no more. The stream's writing
  // half ends with the codec's.
  Written write(Codec& codec);
  void shut_write();

  // Tells the codec when what waits to be written has passed `high_bytes`, or has since fallen below the half of it.
  // True if that is news.
  bool update_output_blocked(Codec& codec, size_t high_bytes);

  std::unique_ptr<transport::ByteStream> stream;
  base::Buffer input;
  bool readable = true;  // The stream may have more.
  bool input_ended = false;
  bool write_blocked = false;   // Until on_writable().
  bool write_shut = false;      // Our half has ended.
  bool output_blocked = false;  // As the codec was told.
};

}  // namespace weft::codec
