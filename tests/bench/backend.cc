// The application behind every proxy of the bench: answers any GET with 200 and as many bytes as the path asks for
// (/b/10240, else 100), as cheaply as it can. Speaks HTTP/1.1 (keep-alive, pipelining, Connection: close) and, when a
// connection begins with the preface, HTTP/2 by prior knowledge. It trusts its peers: requests carry no body, and only
// what the bench's clients and proxies send is understood. One thread, one edge-triggered epoll.
//
// backend PORT: on 127.0.0.1.

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <string>
#include <string_view>
#include <unordered_map>

namespace {

constexpr size_t kReadBytes = 64 * 1024;
constexpr size_t kMaxBodyBytes = 4 * 1024 * 1024;
constexpr size_t kDefaultBodyBytes = 100;
constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

char g_read_buffer[kReadBytes];
char g_body[kMaxBodyBytes];
std::string g_date;

// The size that a path asks for.
size_t body_bytes_of(std::string_view path) {
  if (path.substr(0, 3) != "/b/") {
    return kDefaultBodyBytes;
  }
  size_t bytes = 0;
  for (const char digit : path.substr(3)) {
    if (digit < '0' || digit > '9' || bytes > kMaxBodyBytes) {
      break;
    }
    bytes = bytes * 10 + static_cast<size_t>(digit - '0');
  }
  return bytes < kMaxBodyBytes ? bytes : kMaxBodyBytes;
}

// The head for a size, rendered once.
const std::string& head_for(size_t body_bytes, bool last) {
  static std::unordered_map<size_t, std::string> heads;
  std::string& head = heads[body_bytes * 2 + (last ? 1 : 0)];
  if (head.empty()) {
    head = "HTTP/1.1 200 OK\r\nServer: app\r\nDate: " + g_date +
           "\r\nContent-Type: text/plain\r\nContent-Length: " + std::to_string(body_bytes) + "\r\n" +
           (last ? "Connection: close\r\n\r\n" : "\r\n");
  }
  return head;
}

struct Connection {
  int fd = -1;
  nghttp2_session* session = nullptr;
  std::string input;     // an HTTP/1 request that has not come whole, or the answers' turn has not come
  std::string output;    // HTTP/2 frames, or an HTTP/1 head, that did not fit the socket
  size_t body_left = 0;  // of an HTTP/1 answer
  bool closing = false;  // after what is still to be written
  bool known = false;    // the protocol has been told
};

// What an HTTP/2 stream still has to say.
struct Stream {
  size_t body_bytes = kDefaultBodyBytes;
  size_t sent = 0;
};

// Writes what waits. True when nothing waits any more; `closing` is set when the connection is broken.
bool flush(Connection* connection) {
  while (!connection->output.empty() || connection->body_left > 0) {
    iovec parts[2] = {{connection->output.data(), connection->output.size()}, {g_body, connection->body_left}};
    const ssize_t written = writev(connection->fd, parts, 2);
    if (written < 0) {
      if (errno != EAGAIN) {
        connection->closing = true;
        connection->output.clear();
        connection->body_left = 0;
      }
      return errno != EAGAIN;
    }
    const size_t done = static_cast<size_t>(written);
    const size_t of_output = done < connection->output.size() ? done : connection->output.size();
    connection->output.erase(0, of_output);
    connection->body_left -= done - of_output;
  }
  return true;
}

// - HTTP/1

bool asks_to_close(std::string_view head) { return head.find("onnection: close") != std::string_view::npos; }

// Answers the requests in `input`, as far as the socket takes the answers. Returns the bytes consumed.
size_t serve_http1(Connection* connection, std::string_view input) {
  size_t consumed = 0;
  while (!connection->closing) {
    const std::string_view rest = input.substr(consumed);
    const size_t end = rest.find("\r\n\r\n");
    if (end == std::string_view::npos) {
      break;
    }
    const std::string_view head = rest.substr(0, end);
    const size_t path = head.find(' ');
    const size_t path_end = path == std::string_view::npos ? path : head.find(' ', path + 1);
    if (path_end == std::string_view::npos) {
      connection->closing = true;
      break;
    }
    consumed += end + 4;
    const bool last = asks_to_close(head);
    connection->body_left = body_bytes_of(head.substr(path + 1, path_end - path - 1));
    connection->output = head_for(connection->body_left, last);
    connection->closing = last;
    if (!flush(connection)) {
      break;
    }
  }
  return consumed;
}

// - HTTP/2

ssize_t read_body(nghttp2_session*, int32_t, uint8_t* buffer, size_t length, uint32_t* flags,
                  nghttp2_data_source* source, void*) {
  Stream* stream = static_cast<Stream*>(source->ptr);
  const size_t left = stream->body_bytes - stream->sent;
  const size_t now = left < length ? left : length;
  memcpy(buffer, g_body, now);
  stream->sent += now;
  if (stream->sent == stream->body_bytes) {
    *flags |= NGHTTP2_DATA_FLAG_EOF;
  }
  return static_cast<ssize_t>(now);
}

nghttp2_nv pair_of(std::string_view name, std::string_view value) {
  return {reinterpret_cast<uint8_t*>(const_cast<char*>(name.data())),
          reinterpret_cast<uint8_t*>(const_cast<char*>(value.data())), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
}

int on_begin_headers(nghttp2_session* session, const nghttp2_frame* frame, void*) {
  nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, new Stream);
  return 0;
}

int on_header(nghttp2_session* session, const nghttp2_frame* frame, const uint8_t* name, size_t name_length,
              const uint8_t* value, size_t value_length, uint8_t, void*) {
  if (name_length == 5 && memcmp(name, ":path", 5) == 0) {
    Stream* stream = static_cast<Stream*>(nghttp2_session_get_stream_user_data(session, frame->hd.stream_id));
    stream->body_bytes = body_bytes_of({reinterpret_cast<const char*>(value), value_length});
  }
  return 0;
}

int on_frame(nghttp2_session* session, const nghttp2_frame* frame, void*) {
  const bool ends = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
  if (!ends || (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)) {
    return 0;
  }
  Stream* stream = static_cast<Stream*>(nghttp2_session_get_stream_user_data(session, frame->hd.stream_id));
  const std::string length = std::to_string(stream->body_bytes);
  const nghttp2_nv headers[] = {pair_of(":status", "200"), pair_of("server", "app"), pair_of("date", g_date),
                                pair_of("content-type", "text/plain"), pair_of("content-length", length)};
  nghttp2_data_provider body{};
  body.source.ptr = stream;
  body.read_callback = read_body;
  return nghttp2_submit_response(session, frame->hd.stream_id, headers, 5, stream->body_bytes > 0 ? &body : nullptr);
}

int on_stream_close(nghttp2_session* session, int32_t stream_id, uint32_t, void*) {
  delete static_cast<Stream*>(nghttp2_session_get_stream_user_data(session, stream_id));
  return 0;
}

nghttp2_session* new_session(Connection* connection) {
  static nghttp2_session_callbacks* callbacks = nullptr;
  if (callbacks == nullptr) {
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
  }
  nghttp2_session* session = nullptr;
  nghttp2_session_server_new(&session, callbacks, connection);
  const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 1000}};
  nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings, 1);
  return session;
}

void write_http2(Connection* connection) {
  while (flush(connection) && !connection->closing) {
    while (connection->output.size() < kReadBytes) {
      const uint8_t* bytes = nullptr;
      const ssize_t length = nghttp2_session_mem_send(connection->session, &bytes);
      if (length <= 0) {
        break;
      }
      connection->output.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(length));
    }
    if (connection->output.empty()) {
      connection->closing = nghttp2_session_want_read(connection->session) == 0;
      return;
    }
  }
}

// - Connections

void receive(Connection* connection, std::string_view bytes) {
  if (!connection->known) {
    connection->known = true;
    if (bytes.substr(0, 4) == kPreface.substr(0, 4)) {
      connection->session = new_session(connection);
    }
  }
  if (connection->session != nullptr) {
    const ssize_t used =
        nghttp2_session_mem_recv(connection->session, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
    connection->closing |= used < 0;
    return;
  }
  if (connection->input.empty() && connection->output.empty() && connection->body_left == 0) {
    bytes.remove_prefix(serve_http1(connection, bytes));
  }
  connection->input.append(bytes);
}

// Reads until the socket is dry, or the peer has ended.
void read_all(Connection* connection, bool to_the_end) {
  while (!connection->closing) {
    const ssize_t got = read(connection->fd, g_read_buffer, kReadBytes);
    if (got <= 0) {
      connection->closing |= got == 0 || errno != EAGAIN;
      return;
    }
    receive(connection, {g_read_buffer, static_cast<size_t>(got)});
    if (static_cast<size_t>(got) < kReadBytes && !to_the_end) {
      return;
    }
  }
}

void on_ready(Connection* connection, uint32_t events) {
  if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) {
    read_all(connection, (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0);
  }
  if (connection->session != nullptr) {
    write_http2(connection);
  } else if (flush(connection) && !connection->input.empty()) {
    connection->input.erase(0, serve_http1(connection, connection->input));
  }
  if (connection->closing && connection->output.empty() && connection->body_left == 0) {
    if (connection->session != nullptr) {
      nghttp2_session_del(connection->session);
    }
    close(connection->fd);
    delete connection;
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
    perror("backend: listen");
    exit(1);
  }
  return fd;
}

void accept_all(int epoll, int listener) {
  for (;;) {
    const int fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      return;
    }
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    Connection* connection = new Connection;
    connection->fd = fd;
    epoll_event event{};
    event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    event.data.ptr = connection;
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
  }
}

std::string http_date() {
  const time_t now = time(nullptr);
  tm parts{};
  gmtime_r(&now, &parts);
  char text[64];
  strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &parts);
  return text;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: backend PORT\n");
    return 2;
  }
  signal(SIGPIPE, SIG_IGN);
  memset(g_body, 'x', sizeof(g_body));
  g_date = http_date();
  const int listener = listen_on(static_cast<uint16_t>(atoi(argv[1])));
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = nullptr;
  epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
  epoll_event ready[256];
  for (;;) {
    const int count = epoll_wait(epoll, ready, 256, -1);
    for (int i = 0; i < count; ++i) {
      if (ready[i].data.ptr == nullptr) {
        accept_all(epoll, listener);
      } else {
        on_ready(static_cast<Connection*>(ready[i].data.ptr), ready[i].events);
      }
    }
  }
}
