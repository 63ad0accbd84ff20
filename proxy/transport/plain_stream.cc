#include "proxy/transport/plain_stream.h"

#include <errno.h>

#include <algorithm>

namespace weft::transport {
namespace {

// A read that follows a full one offers this many blocks at once: bulk costs a call per 64 KiB, small messages one
// block.
constexpr int kBulkBlocks = 4;
constexpr int kMaxWritePieces = 32;
// Less room than this at the end of a block is not worth a read of its own.
constexpr size_t kLeastRoomBytes = 1024;

// Room for up to `max_bytes` at the end of `into`, in up to kBulkBlocks pieces; gives the bytes read to the buffer.
class BulkRoom {
 public:
  BulkRoom(base::Buffer& into, size_t max_bytes, bool bulk) : into_(into) {
    base::Buffer::Room room = into.reserve(std::min(kLeastRoomBytes, max_bytes));
    add(room.data, std::min(room.size, max_bytes));
    while (bulk && count_ < kBulkBlocks && size_ < max_bytes) {
      base::Block* block = base::Block::make();
      blocks_[count_] = block;
      add(block->data, std::min<size_t>(block->capacity_bytes, max_bytes - size_));
    }
  }
  ~BulkRoom() {
    for (int i = 1; i < count_; ++i) blocks_[i]->release();
  }
  void commit(size_t n) {
    size_t first = std::min(n, pieces_[0].iov_len);
    into_.commit(first);
    n -= first;
    for (int i = 1; n != 0; ++i) {
      size_t taken = std::min(n, pieces_[i].iov_len);
      blocks_[i]->used_bytes = static_cast<uint32_t>(taken);
      into_.append(base::Slice(blocks_[i], blocks_[i]->data, taken));
      n -= taken;
    }
  }
  struct iovec* pieces() { return pieces_; }
  int count() const { return count_; }
  size_t size() const { return size_; }

 private:
  void add(char* data, size_t size) {
    pieces_[count_++] = {data, size};
    size_ += size;
  }
  base::Buffer& into_;
  struct iovec pieces_[kBulkBlocks];
  base::Block* blocks_[kBulkBlocks];
  int count_ = 0;
  size_t size_ = 0;
};

}  // namespace

PlainStream::PlainStream(event::LibeventLoop& loop, Descriptor fd, Address remote, Address local)
    : loop_(loop), fd_(std::move(fd)), state_(State::kOpen) {
  info_.direct_remote = remote;
  info_.remote = std::move(remote);
  first_read_ = true;
  local_known_ = local.family != Address::Family::kNone;
  info_.local = std::move(local);
}

PlainStream::PlainStream(event::LibeventLoop& loop, Descriptor fd, const Address& remote, int error)
    : loop_(loop), fd_(std::move(fd)), state_(fd_.open() ? State::kConnecting : State::kFailed), error_(error) {
  info_.remote = info_.direct_remote = remote;
}

PlainStream::~PlainStream() {
  if (destroyed_ != nullptr) *destroyed_ = true;
  close(CloseKind::kGraceful);
}

void PlainStream::attach(Events& events) {
  events_ = &events;
  if (state_ == State::kClosed) return;
  if (state_ == State::kFailed) {
    loop_.at_next_turn(*this);
  } else if (!watch_.started()) {
    watch_.start(loop_, fd_.get(), *this);
  } else if (may_read_ || peer_ended_) {
    // The edge went to the one who had the stream before.
    loop_.at_next_turn(*this);
  }
}

void PlainStream::on_next_turn() {
  if (events_ == nullptr) return;
  if (state_ == State::kFailed) {
    events_->on_connect_failed();
  } else if (state_ == State::kOpen) {
    events_->on_readable();
  }
}

void PlainStream::finish_connect() {
  error_ = take_socket_error(fd_.get());
  if (error_ == 0) {
    state_ = State::kOpen;
    events_->on_connected();
  } else {
    state_ = State::kFailed;
    watch_.stop();
    fd_.reset();
    events_->on_connect_failed();
  }
}

void PlainStream::on_io(bool readable, bool writable) {
  bool destroyed = false;
  destroyed_ = &destroyed;
  if (readable) may_read_ = true;
  if (state_ == State::kConnecting) {
    finish_connect();
    if (destroyed) return;
    writable = writable && write_blocked_;
  }
  if (readable && state_ == State::kOpen) {
    events_->on_readable();
    if (destroyed) return;
  }
  if (writable && write_blocked_ && state_ == State::kOpen) {
    write_blocked_ = false;
    events_->on_writable();
    if (destroyed) return;
  }
  destroyed_ = nullptr;
}

IoResult PlainStream::fail(int error) {
  error_ = error;
  return {IoResult::State::kError, 0, true};
}

IoResult PlainStream::read(base::Buffer& into, size_t max_bytes) {
  if (state_ != State::kOpen) {
    return {state_ == State::kConnecting ? IoResult::State::kBlocked : IoResult::State::kError, 0, true};
  }
  if (error_ != 0) return fail(error_);
  if (max_bytes == 0) return {};
  BulkRoom room(into, max_bytes, read_was_full_);
  ssize_t n = receive(fd_.get(), room.pieces(), room.count());
  if (n > 0) {
    size_t bytes = static_cast<size_t>(n);
    room.commit(bytes);
    received_bytes_ += bytes;
    read_was_full_ = bytes == room.size();
    // With the FIN already here no edge follows the last byte, so the owner reads until it is told the end.
    // The first edge of an accepted connection may hold bytes and their reset at once, and no edge follows that either.
    bool drained = !read_was_full_ && !peer_ended_ && !first_read_;
    first_read_ = false;
    if (drained) may_read_ = false;
    return {IoResult::State::kOk, bytes, drained};
  }
  int error = errno;
  read_was_full_ = false;
  if (into.empty()) into.trim();
  if (n == 0) {
    may_read_ = false;
    return {IoResult::State::kEnd, 0, true};
  }
  if (error == EAGAIN || error == EINTR) {
    may_read_ = false;
    return {IoResult::State::kBlocked, 0, true};
  }
  return fail(error);
}

IoResult PlainStream::write(base::Buffer& from) {
  if (state_ != State::kOpen) {
    if (state_ != State::kConnecting) return {IoResult::State::kError, 0, true};
    write_blocked_ = true;
    return {IoResult::State::kBlocked, 0, true};
  }
  if (error_ != 0) return fail(error_);
  size_t written = 0;
  while (!from.empty()) {
    struct iovec pieces[kMaxWritePieces];
    int count = from.pieces(pieces, kMaxWritePieces);
    size_t offered = 0;
    for (int i = 0; i < count; ++i) offered += pieces[i].iov_len;
    ssize_t n = transmit(fd_.get(), pieces, count);
    if (n < 0) {
      if (errno != EAGAIN && errno != EINTR) return fail(errno);
      write_blocked_ = true;
      return {written == 0 ? IoResult::State::kBlocked : IoResult::State::kOk, written, true};
    }
    size_t bytes = static_cast<size_t>(n);
    from.drain(bytes);
    sent_bytes_ += bytes;
    written += bytes;
    if (bytes < offered) {
      write_blocked_ = true;
      return {IoResult::State::kOk, written, true};
    }
  }
  return {IoResult::State::kOk, written, false};
}

void PlainStream::shutdown_write() {
  if (state_ == State::kOpen) shutdown_writing(fd_.get());
}

void PlainStream::close(CloseKind kind) {
  if (state_ == State::kClosed) return;
  if (fd_.open() && kind == CloseKind::kReset) reset_on_close(fd_.get());
  watch_.stop();
  NextTurnTask::unlink();
  fd_.reset();
  state_ = State::kClosed;
}

const ConnectionInfo& PlainStream::info() const { return const_cast<PlainStream*>(this)->mutable_info(); }

ConnectionInfo& PlainStream::mutable_info() {
  if (!local_known_ && fd_.open()) {
    local_known_ = true;
    info_.local = local_address(fd_.get());
  }
  return info_;
}

namespace {

class PlainConnector final : public Connector {
 public:
  explicit PlainConnector(SocketOptions options) : options_(std::move(options)) {}
  std::unique_ptr<ByteStream> connect(event::Loop& loop, const Address& to) override {
    int error = 0;
    Descriptor fd = start_connect(to, options_, &error);
    return std::make_unique<PlainStream>(static_cast<event::LibeventLoop&>(loop), std::move(fd), to, error);
  }

 private:
  SocketOptions options_;
};

}  // namespace

std::shared_ptr<Connector> make_plain_connector(SocketOptions options) {
  return std::make_shared<PlainConnector>(std::move(options));
}

}  // namespace weft::transport
