#pragma once

#include <memory>
#include <string>

#include "proxy/base/buffer.h"
#include "proxy/base/intrusive_list.h"
#include "proxy/codec/codec.h"
#include "proxy/codec/connection_io.h"
#include "proxy/event/loop.h"
#include "proxy/observe/request_record.h"
#include "proxy/snapshot/connection_handler.h"
#include "proxy/stream/worker.h"

// A downstream HTTP connection: reads into its codec, writes the codec's output once a turn, and knows when to close.
// Owned by itself from start() on; ends through Loop::destroy_later. One thread.

namespace weft::stream {

class Connection final : public transport::ByteStream::Events,
                         public codec::ServerCodec::Events,
                         public event::TurnEndTask,
                         public event::NextTurnTask,
                         public event::Deferred,
                         public base::ListNode<Connection> {
 public:
  Connection(Worker& worker, std::unique_ptr<transport::ByteStream> stream, const snapshot::Listener& listener,
             const snapshot::FilterChain& chain, base::Buffer early, snapshot::ConnectionTicket ticket);
  ~Connection() override;

  void start();
  // No further exchange; those open go on.
  void drain();
  // As drain(), but what the client may have sent before it can know is answered: an idle HTTP/1 connection has one
  // more exchange, an HTTP/2 one those that come within the drain timeout.
  void retire();
  // By retire(), and not ended yet.
  bool is_retired() const { return retired_; }
  // Ends it now; open exchanges are reset with `cause`.
  void close_now(http::Cause cause);
  // To be called after anything was sent, or receiving was resumed.
  void schedule_flush() { worker_.context().loop.at_turn_end(*this); }

  Worker& worker() { return worker_; }
  const snapshot::HttpConnectionManager& http() const { return *chain_.http; }
  observe::HttpStats& stats() { return stats_; }
  const snapshot::FilterChain& chain() const { return chain_; }
  const transport::ConnectionInfo& info() const { return io_.stream->info(); }
  bool is_tls() const { return chain_.tls != nullptr; }
  const observe::PeerTexts& peer() const { return peer_; }
  std::string_view client_certificate() const { return client_certificate_; }
  std::string peer_certificate_pem() const { return io_.stream->peer_certificates_pem(/*all=*/false); }
  // nullptr without TLS, and where nobody asks for it.
  const observe::ConnectionPrincipals* principals() const { return principals_.get(); }
  http::Version version() const { return codec_->version(); }
  // An exchange ended (for the idle timer and max_requests_per_connection).
  void on_exchange_closed();

 private:
  void on_connected() override {}
  void on_readable() override;
  void on_writable() override;
  void on_connect_failed() override;
  codec::RequestEvents& on_new_stream(codec::ServerStream& handle) override;
  void on_turn_end() override;
  void on_next_turn() override;

  // Reads and feeds until the socket or the codec has enough.
  void receive();
  bool choose_codec();
  void start_drain();
  void write_output();
  void finish_if_done();
  void lost(codec::ResetReason reason, http::Cause cause);
  void end(transport::ByteStream::CloseKind kind);
  void on_idle();
  void on_head_timeout();
  void on_lifetime_over();
  void render_peer();

  Worker& worker_;
  codec::ConnectionIo io_;
  const snapshot::Listener& listener_;
  const snapshot::FilterChain& chain_;
  snapshot::ConnectionTicket ticket_;
  observe::HttpStats& stats_;
  std::unique_ptr<codec::ServerCodec> codec_;
  event::Timer idle_timer_;
  event::Timer head_timer_;
  event::Timer lifetime_timer_;
  int64_t started_ns_;
  uint32_t requests_ = 0;
  bool end_told_ = false;  // The codec knows of the input's end.
  bool draining_ = false;
  bool retired_ = false;    // Draining by retire().
  bool lingering_ = false;  // Our half is closed; waiting for the peer's.
  bool ended_ = false;
  http::Cause refused_ = http::Cause::kNone;  // Before its first byte was looked at.
  observe::PeerTexts peer_;
  std::string peer_texts_;  // What peer_ points into.
  std::string client_certificate_;
  std::shared_ptr<const observe::ConnectionPrincipals> principals_;
};

}  // namespace weft::stream
