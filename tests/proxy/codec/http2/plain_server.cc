#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <list>
#include <string>
#include <thread>

#include "proxy/codec/http2/http2.h"

// The HTTP/2 codec alone behind a blocking socket, a thread per connection, for conformance suites: every request is
// answered with 200 bytes once it is whole. Prints its port; ends with its input.

namespace {

using namespace weft;

struct Request final : codec::RequestEvents {
  base::Arena memory;
  http::RequestHead head{memory};
  codec::ServerStream* stream = nullptr;
  bool answered = false;
  bool closed = false;

  void answer(uint16_t status) {
    if (answered) return;
    answered = true;
    http::ResponseHead response(memory);
    response.status = status;
    stream->send_head(response, false);
    base::Buffer body;
    body.append(std::string(200, 'x'));
    stream->send_body(body, true);
  }
  base::Arena& arena() override { return memory; }
  http::RequestHead& request_head() override { return head; }
  void on_request_head(bool end) override {
    if (end) answer(200);
  }
  void on_body(base::Buffer& data, bool end) override {
    data.clear();
    if (end) answer(200);
  }
  void on_trailers(http::HeaderMap&) override { answer(200); }
  void on_reset(codec::ResetReason reason, http::Cause) override {
    if (reason == codec::ResetReason::kMessageTooLarge) answer(431);
  }
  void on_send_blocked(bool) override {}
  void on_stream_closed() override { closed = true; }
};

struct Connection final : codec::ServerCodec::Events {
  std::list<Request> requests;
  codec::RequestEvents& on_new_stream(codec::ServerStream& handle) override {
    requests.remove_if([](const Request& request) { return request.closed; });
    requests.emplace_back().stream = &handle;
    return requests.back();
  }
};

bool write_out(int socket, base::Buffer& output) {
  while (!output.empty()) {
    ssize_t sent = ::send(socket, output.front().data(), output.front().size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    output.drain(static_cast<size_t>(sent));
  }
  return true;
}

void serve(int socket) {
  codec::Limits limits;
  Connection connection;
  auto codec = codec::http2::make_server_codec(limits, connection);
  base::Buffer input;
  auto state = codec::FeedState::kMore;
  bool open = true;
  while (open && state == codec::FeedState::kMore && !codec->finished()) {
    do {
      codec->fill_output();
      open = !codec->output().empty() ? write_out(socket, codec->output()) : false;
    } while (open);
    codec->deliver_closed();
    if (codec->finished()) break;
    auto room = input.reserve();
    ssize_t got = ::recv(socket, room.data, room.size, 0);
    if (got <= 0) break;
    input.commit(static_cast<size_t>(got));
    state = codec->feed(input);
    open = true;
  }
  codec->fill_output();
  write_out(socket, codec->output());
  codec->on_connection_lost(codec::ResetReason::kConnectionClosed, http::Cause::kDownstreamClosed);
  codec->deliver_closed();
  ::shutdown(socket, SHUT_WR);
  ::close(socket);
}

}  // namespace

int main() {
  int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  if (::bind(listener, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(listener, 128) != 0) return 1;
  ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
  std::printf("%d\n", ntohs(address.sin_port));
  std::fflush(stdout);
  std::thread([listener] {
    for (;;) {
      int socket = ::accept(listener, nullptr, nullptr);
      if (socket >= 0) std::thread(serve, socket).detach();
    }
  }).detach();
  while (std::getchar() != EOF) {
  }
  std::fflush(nullptr);
  ::_exit(0);
}
