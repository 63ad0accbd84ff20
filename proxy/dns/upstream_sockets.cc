#include "proxy/dns/upstream_sockets.h"

#include <cerrno>
#include <vector>

#include "proxy/dns/message.h"
#include "proxy/dns/stream_frames.h"
#include "proxy/transport/plain_stream.h"
#include "proxy/transport/socket.h"

namespace weft::dns {
namespace {

// Of one turn; a flood must not keep others waiting.
constexpr int kMaxDatagramsATurn = 16;

class UdpQuery final : public UpstreamQuery, private event::IoEvents {
 public:
  UdpQuery(event::LibeventLoop& loop, const transport::Address& server, std::string_view message, Events& events)
      : events_(events), failure_(loop.timers(), base::bind<&UdpQuery::fail>(this)) {
    int error = 0;
    socket_ = transport::connect_datagrams(server, &error);
    struct iovec piece = {const_cast<char*>(message.data()), message.size()};
    if (socket_.open() && transport::transmit(socket_.get(), &piece, 1) >= 0) {
      watch_.start_level(loop, socket_.get(), *this, true, false);
    } else {
      failure_.arm(0);
    }
  }
  ~UdpQuery() override { watch_.stop(); }

 private:
  void on_io(bool, bool) override {
    std::vector<char> room(kMaxMessageBytes);
    for (int i = 0; i < kMaxDatagramsATurn; ++i) {
      ssize_t size = transport::receive_datagram(socket_.get(), room, nullptr);
      if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
      // Nobody listens there, or the network cannot be reached.
      if (size < 0) return fail();
      events_.on_message({room.data(), static_cast<size_t>(size)});
    }
  }
  void fail() {
    watch_.stop();
    events_.on_failed();
  }

  Events& events_;
  event::Timer failure_;
  transport::Descriptor socket_;
  event::IoWatch watch_;
};

class TcpQuery final : public UpstreamQuery, private transport::ByteStream::Events {
 public:
  TcpQuery(event::LibeventLoop& loop, const transport::Address& server, std::string_view message,
           UpstreamQuery::Events& events)
      : events_(events) {
    put_frame(output_, message);
    int error = 0;
    transport::Descriptor socket = transport::start_connect(server, {}, &error);
    stream_ = std::make_unique<transport::PlainStream>(loop, std::move(socket), server, error);
    stream_->attach(*this);
  }
  ~TcpQuery() override { stream_->close(transport::ByteStream::CloseKind::kGraceful); }

 private:
  void on_connected() override { on_writable(); }
  void on_connect_failed() override { fail(); }
  void on_writable() override {
    while (!output_.empty()) {
      transport::IoResult result = stream_->write(output_);
      if (result.state == transport::IoResult::State::kError) return fail();
      if (result.state == transport::IoResult::State::kBlocked || result.drained) return;
    }
  }
  void on_readable() override {
    for (;;) {
      transport::IoResult result = stream_->read(input_, base::Block::kDataBytes);
      if (result.state == transport::IoResult::State::kError) return fail();
      // A server that sends more than one answer is not read on.
      if (std::string message; take_frame(input_, &message)) return events_.on_message(message);
      if (result.state == transport::IoResult::State::kEnd) return fail();
      if (result.state == transport::IoResult::State::kBlocked || result.drained) return;
    }
  }
  void fail() { events_.on_failed(); }

  UpstreamQuery::Events& events_;
  std::unique_ptr<transport::ByteStream> stream_;
  base::Buffer output_;
  base::Buffer input_;
};

}  // namespace

std::unique_ptr<UpstreamQuery> UpstreamSockets::ask(const transport::Address& server, Protocol protocol,
                                                    std::string_view message, UpstreamQuery::Events& events) {
  if (protocol == Protocol::kTcp) return std::make_unique<TcpQuery>(loop_, server, message, events);
  return std::make_unique<UdpQuery>(loop_, server, message, events);
}

}  // namespace weft::dns
