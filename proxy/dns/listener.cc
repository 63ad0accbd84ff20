#include "proxy/dns/listener.h"

#include <array>
#include <utility>

#include "proxy/dns/message.h"
#include "proxy/dns/stream_frames.h"
#include "proxy/transport/plain_stream.h"

namespace weft::dns {
namespace {

constexpr int kMaxDatagramsATurn = 64;
// Of a question. There is no reason for one to be longer, and what is, is cut and so no question any more.
constexpr size_t kMaxDatagramBytes = 4096;
constexpr int64_t kIdleMs = 10'000;
// Of one connection: questions that have no answer yet, and bytes of answers that it does not take.
constexpr size_t kMaxPending = 32;
constexpr size_t kMaxUnsentBytes = 128 * 1024;

}  // namespace

// A client by TCP.
class Listener::Connection final : public event::Deferred,
                                   public base::ListNode<Connection>,
                                   private transport::ByteStream::Events {
 public:
  Connection(Listener& owner, std::unique_ptr<transport::ByteStream> stream)
      : owner_(owner),
        stream_(std::move(stream)),
        self_(std::make_shared<Connection*>(this)),
        idle_timer_(owner.loop_.timers(), base::bind<&Connection::end>(this)) {
    ++owner_.open_;
    idle_timer_.arm(kIdleMs);
    stream_->attach(*this);
  }

  void end() {
    if (*self_ == nullptr) return;
    *self_ = nullptr;
    idle_timer_.disarm();
    base::ListNode<Connection>::unlink();
    --owner_.open_;
    stream_->close(transport::ByteStream::CloseKind::kGraceful);
    owner_.loop_.destroy_later(std::unique_ptr<event::Deferred>(this));
  }

 private:
  bool ended() const { return *self_ == nullptr; }
  bool takes_more() const { return pending_ < kMaxPending && output_.size() < kMaxUnsentBytes; }
  void on_connected() override {}
  void on_connect_failed() override { end(); }
  void on_readable() override {
    take_questions();
    while (!ended() && !paused_ && !peer_ended_) {
      transport::IoResult result = stream_->read(input_, base::Block::kDataBytes);
      if (result.state == transport::IoResult::State::kError) return end();
      peer_ended_ = result.state == transport::IoResult::State::kEnd;
      take_questions();
      if (result.state == transport::IoResult::State::kBlocked || result.drained) break;
    }
    if (!ended()) flush();
  }
  void on_writable() override { flush(); }
  // Those that have come, as far as there is room for their answers.
  void take_questions() {
    std::string message;
    taking_ = true;
    while (!ended() && takes_more() && take_frame(input_, &message)) {
      idle_timer_.arm(kIdleMs);
      ++pending_;
      owner_.handler_(message, Protocol::kTcp, [self = self_](std::string_view answer) {
        if (*self != nullptr) (*self)->on_answer(answer);
      });
    }
    taking_ = false;
    paused_ = !takes_more();
  }
  void on_answer(std::string_view answer) {
    --pending_;
    // Whoever sends what is no question has nothing to hope for.
    if (answer.empty()) return end();
    put_frame(output_, answer);
    if (!taking_) flush();
  }
  void flush() {
    while (!output_.empty()) {
      transport::IoResult result = stream_->write(output_);
      if (result.state == transport::IoResult::State::kError) return end();
      if (result.state == transport::IoResult::State::kBlocked || result.drained) break;
    }
    if (paused_ && takes_more()) {
      paused_ = false;
      return stream_->read_later();
    }
    if (peer_ended_ && !paused_ && pending_ == 0 && output_.empty()) end();
  }

  Listener& owner_;
  std::unique_ptr<transport::ByteStream> stream_;
  std::shared_ptr<Connection*> self_;  // nullptr in it: it has ended, and answers come too late.
  event::Timer idle_timer_;
  base::Buffer input_;
  base::Buffer output_;
  size_t pending_ = 0;
  bool taking_ = false;
  bool paused_ = false;  // What it sends is left where it is.
  bool peer_ended_ = false;
};

// An address.
class Listener::Endpoint {
 public:
  Endpoint(Listener& owner, Sockets sockets) : owner_(owner), sockets_(std::move(sockets)) {
    udp_watch_.start_level(owner_.loop_, sockets_.udp.get(), udp_, true, false);
    tcp_watch_.start_level(owner_.loop_, sockets_.tcp.get(), tcp_, true, false);
  }
  ~Endpoint() {
    udp_watch_.stop();
    tcp_watch_.stop();
  }

 private:
  struct Udp final : event::IoEvents {
    explicit Udp(Endpoint& owner) : owner(owner) {}
    void on_io(bool, bool) override { owner.receive(); }
    Endpoint& owner;
  };
  struct Tcp final : event::IoEvents {
    explicit Tcp(Endpoint& owner) : owner(owner) {}
    void on_io(bool, bool) override { owner.accept(); }
    Endpoint& owner;
  };

  void receive() {
    std::array<char, kMaxDatagramBytes> room;
    for (int i = 0; i < kMaxDatagramsATurn; ++i) {
      transport::Address from;
      ssize_t size = transport::receive_datagram(sockets_.udp.get(), room, &from);
      if (size < 0) return;
      if (static_cast<size_t>(size) > room.size()) continue;
      owner_.handler_({room.data(), static_cast<size_t>(size)}, Protocol::kUdp,
                      [socket = sockets_.udp.get(), from](std::string_view answer) {
                        // Whoever does not get it asks again.
                        if (!answer.empty()) transport::send_datagram(socket, answer, from);
                      });
    }
  }
  void accept() {
    transport::Address peer;
    int error = 0;
    transport::Descriptor fd = transport::accept_connection(sockets_.tcp.get(), &peer, &error);
    if (!fd.open() || owner_.open_ >= kMaxConnections) return;
    auto stream = std::make_unique<transport::PlainStream>(owner_.loop_, std::move(fd), peer, transport::Address());
    owner_.connections_.push_back(*new Connection(owner_, std::move(stream)));
  }

  Listener& owner_;
  Sockets sockets_;
  Udp udp_{*this};
  Tcp tcp_{*this};
  event::IoWatch udp_watch_, tcp_watch_;
};

absl::StatusOr<Listener::Sockets> Listener::bind(const transport::Address& address) {
  transport::ListenOptions options;
  options.reuse_port = false;
  absl::StatusOr<transport::Descriptor> tcp = transport::listen_on(address, options);
  if (!tcp.ok()) return tcp.status();
  absl::StatusOr<transport::Descriptor> udp = transport::bind_datagrams(transport::local_address(tcp->get()));
  if (!udp.ok()) return udp.status();
  return Sockets{*std::move(udp), *std::move(tcp)};
}

Listener::Listener(event::LibeventLoop& loop, std::vector<Sockets> sockets, Handler handler)
    : loop_(loop), handler_(std::move(handler)) {
  for (Sockets& each : sockets) endpoints_.push_back(std::make_unique<Endpoint>(*this, std::move(each)));
}

Listener::~Listener() {
  endpoints_.clear();
  while (!connections_.empty()) connections_.front().end();
}

}  // namespace weft::dns
