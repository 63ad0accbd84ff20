#pragma once

#include <memory>
#include <string>

#include "proxy/base/intrusive_list.h"
#include "proxy/codec/codec.h"
#include "proxy/codec/connection_io.h"
#include "proxy/event/loop.h"
#include "proxy/pool/pool.h"

// An upstream HTTP connection: connects, reads into its codec, writes the codec's output once a turn, and tells its
// HostPool when it can take another exchange or has ended. Owned by the HostPool; ends through Loop::destroy_later.

namespace weft::pool {

class HostPool;

class Connection final : public transport::ByteStream::Events,
                         public UpstreamConnection,
                         public event::TurnEndTask,
                         public event::NextTurnTask,
                         public event::Deferred,
                         public base::ListNode<Connection> {
 public:
  explicit Connection(HostPool& pool);
  ~Connection() override;

  void connect();
  bool ready() const { return codec_ != nullptr && !ended_; }
  bool can_start_stream() const;
  bool version_unknown() const { return codec_ == nullptr; }  // Not connected yet.
  bool used() const { return started_streams_ != 0; }
  // Once connected: 1 for HTTP/1; for HTTP/2 what its peer allows, as far as it is known.
  uint32_t max_concurrent_streams() const { return codec_->max_concurrent_streams(); }
  size_t open_streams() const { return codec_ == nullptr ? 0 : codec_->open_streams(); }
  codec::ClientStream& start_stream(codec::ResponseEvents& events);
  // No further exchange; ends with the last one.
  void drain();
  void close_now(codec::ResetReason reason, http::Cause cause);

  // UpstreamConnection
  const transport::ConnectionInfo& info() const override { return io_.stream->info(); }
  uint64_t id() const override { return id_; }
  http::Version version() const override { return codec_->version(); }
  bool reused() const override { return started_streams_ > 1; }
  void schedule_flush() override;
  bool request_bytes_written(const codec::ClientStream& stream) const override;
  const std::shared_ptr<const observe::ConnectionPrincipals>& principals() const override { return principals_; }
  std::string_view local_address_text() const override;

 private:
  void on_connected() override;
  void on_readable() override;
  void on_writable() override;
  void on_connect_failed() override;
  void on_turn_end() override;
  void on_next_turn() override;

  void receive();
  void write_output();
  void lost(http::Cause cause, std::string_view detail);
  void connect_failed(http::Cause cause, std::string_view detail);
  void end(transport::ByteStream::CloseKind kind);
  void on_timer();
  void on_ping_timer();
  void on_lifetime_over();

  HostPool& pool_;
  codec::ConnectionIo io_;
  std::unique_ptr<codec::ClientCodec> codec_;
  event::Timer timer_;  // Connecting: the connect timeout. Afterwards: the idle timeout.
  event::Timer ping_timer_;
  event::Timer lifetime_timer_;
  uint64_t id_;
  int64_t begun_ns_;
  uint32_t started_streams_ = 0;
  uint32_t written_streams_ = 0;  // How many had begun when bytes were last written.
  bool draining_ = false;
  bool ended_ = false;
  bool was_busy_ = false;
  std::shared_ptr<const observe::ConnectionPrincipals> principals_;
  mutable std::string local_address_;
};

}  // namespace weft::pool
