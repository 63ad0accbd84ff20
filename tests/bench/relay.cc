// The floor that the bench measures against: a byte relay on libevent that reads nothing of what it moves. One
// upstream connection per downstream one, edge-triggered, four system calls a request (read, write, and the answer's
// read, write) besides the loop's own epoll_wait. One thread, one process.
//
// relay PORT UPSTREAM_PORT: both on 127.0.0.1.

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

namespace {

constexpr size_t kReadBytes = 64 * 1024;

char g_read_buffer[kReadBytes];
event_base* g_base = nullptr;
sockaddr_in g_upstream{};

struct Pair;

// One of a pair's two sockets, and the bytes that wait for it to become writable.
struct Side {
  Pair* pair = nullptr;
  Side* peer = nullptr;
  event* watch = nullptr;
  int fd = -1;
  std::string pending;
  bool readable = false;     // an edge came and the socket has not been read dry since
  bool read_ended = false;   // its FIN has been read
  bool write_ended = false;  // our FIN has been sent
};

struct Pair {
  Side downstream;
  Side upstream;
};

void close_pair(Pair* pair) {
  for (Side* side : {&pair->downstream, &pair->upstream}) {
    if (side->watch != nullptr) {
      event_free(side->watch);
    }
    close(side->fd);
  }
  delete pair;
}

// Writes what waits for `to`. False when the connection is broken.
bool flush(Side* to) {
  while (!to->pending.empty()) {
    const ssize_t written = write(to->fd, to->pending.data(), to->pending.size());
    if (written < 0) {
      return errno == EAGAIN || errno == ENOTCONN;
    }
    to->pending.erase(0, static_cast<size_t>(written));
  }
  return true;
}

// Moves what `from` has to its peer, until it is dry or the peer is full. False when the connection is broken.
bool pump(Side* from, bool expect_end) {
  Side* to = from->peer;
  while (from->readable && to->pending.empty() && !from->read_ended) {
    const ssize_t got = read(from->fd, g_read_buffer, kReadBytes);
    if (got < 0) {
      from->readable = false;
      return errno == EAGAIN;
    }
    if (got == 0) {
      from->read_ended = true;
      break;
    }
    // A short read has drained the socket, and the next byte is a new edge. A FIN that is already there is not:
    // the loop tells of it by EV_CLOSED, and then the socket is read to its end.
    if (static_cast<size_t>(got) < kReadBytes && !expect_end) {
      from->readable = false;
    }
    const ssize_t written = write(to->fd, g_read_buffer, static_cast<size_t>(got));
    if (written < 0 && errno != EAGAIN && errno != ENOTCONN) {
      return false;
    }
    if (written < got) {
      const size_t done = written < 0 ? 0 : static_cast<size_t>(written);
      to->pending.assign(g_read_buffer + done, static_cast<size_t>(got) - done);
    }
  }
  if (from->read_ended && to->pending.empty() && !to->write_ended) {
    shutdown(to->fd, SHUT_WR);
    to->write_ended = true;
  }
  return true;
}

void on_event(evutil_socket_t, short what, void* argument) {
  Side* side = static_cast<Side*>(argument);
  Pair* pair = side->pair;
  bool alive = true;
  if ((what & EV_WRITE) != 0 && !side->pending.empty()) {
    alive = flush(side) && pump(side->peer, true);
  }
  if (alive && (what & (EV_READ | EV_CLOSED)) != 0) {
    side->readable = true;
    alive = pump(side, (what & EV_CLOSED) != 0);
  }
  if (!alive || (pair->downstream.write_ended && pair->upstream.write_ended)) {
    close_pair(pair);
  }
}

bool watch(Side* side) {
  const int on = 1;
  setsockopt(side->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  side->watch = event_new(g_base, side->fd, EV_READ | EV_WRITE | EV_CLOSED | EV_ET | EV_PERSIST, on_event, side);
  return side->watch != nullptr && event_add(side->watch, nullptr) == 0;
}

void on_accept(evutil_socket_t listener, short, void*) {
  for (;;) {
    const int fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      return;
    }
    const int upstream_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (upstream_fd < 0) {
      close(fd);
      continue;
    }
    Pair* pair = new Pair;
    pair->downstream.fd = fd;
    pair->upstream.fd = upstream_fd;
    pair->downstream.peer = &pair->upstream;
    pair->upstream.peer = &pair->downstream;
    pair->downstream.pair = pair->upstream.pair = pair;
    const int connected = connect(upstream_fd, reinterpret_cast<sockaddr*>(&g_upstream), sizeof(g_upstream));
    if ((connected != 0 && errno != EINPROGRESS) || !watch(&pair->upstream) || !watch(&pair->downstream)) {
      close_pair(pair);
    }
  }
}

int listen_on(uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0 || listen(fd, 4096) != 0) {
    perror("relay: listen");
    exit(1);
  }
  return fd;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: relay PORT UPSTREAM_PORT\n");
    return 2;
  }
  signal(SIGPIPE, SIG_IGN);
  g_upstream.sin_family = AF_INET;
  g_upstream.sin_port = htons(static_cast<uint16_t>(atoi(argv[2])));
  g_upstream.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  g_base = event_base_new();
  const int listener = listen_on(static_cast<uint16_t>(atoi(argv[1])));
  event* accepting = event_new(g_base, listener, EV_READ | EV_PERSIST, on_accept, nullptr);
  event_add(accepting, nullptr);
  return event_base_dispatch(g_base) == 0 ? 0 : 1;
}
