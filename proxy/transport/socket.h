#pragma once

#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "proxy/transport/byte_stream.h"
#include "proxy/transport/socket_options.h"

// The system's socket calls, and nothing else: every other file of the proxy reaches the network through this one. All
// sockets are non-blocking and close-on-exec. Any thread.

namespace weft::transport {

// Owns a descriptor.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() { reset(); }
  int get() const { return fd_; }
  bool open() const { return fd_ >= 0; }
  void reset();

 private:
  int fd_ = -1;
};

struct ListenOptions {
  bool reuse_port = true;
  bool ipv4_compat = false;  // An IPv6 socket takes IPv4 too.
  bool transparent = false;
  bool freebind = false;
  int unix_mode = 0;  // 0: as the umask says.
  uint32_t backlog = 4096;
  std::optional<TcpKeepalive> keepalive;  // Accepted sockets inherit it.
  bool operator==(const ListenOptions&) const = default;
};

// A bound socket, to which nobody can connect before start_listening(). What it was really bound to (for port 0) is
// local_address(). A Unix path at which nobody listens any more is taken over. Errors name the address.
absl::StatusOr<Descriptor> bind_listener(const Address& address, const ListenOptions& options);
// May be called again, with another backlog.
absl::Status start_listening(const Descriptor& socket, const Address& address, uint32_t backlog);
// Both of them.
absl::StatusOr<Descriptor> listen_on(const Address& address, const ListenOptions& options);
// A second descriptor of the same socket.
absl::StatusOr<Descriptor> duplicate(const Descriptor& socket);
// Removes the file of a Unix listener; no effect on other families.
void unlink_listener_path(const Address& address);

// One waiting connection. On failure the descriptor is not open and *error is errno (EAGAIN: none waits).
Descriptor accept_connection(int listener, Address* peer, int* error);

// Starts a client connection, which is made or refused when the descriptor becomes writable. On immediate failure the
// descriptor is not open and *error is errno.
Descriptor start_connect(const Address& to, const SocketOptions& options, int* error);

// Datagrams (UDP). Bound to an address; errors name it.
absl::StatusOr<Descriptor> bind_datagrams(const Address& address);
// Sends to this peer and receives from no other, on a port that the kernel chooses at random. On failure the descriptor
// is not open and *error is errno.
Descriptor connect_datagrams(const Address& to, int* error);
// The next datagram into `room`, and in *from, unless it is nullptr, whose it is. Its size, which is more than there is
// room for if it was cut; -1 and errno.
ssize_t receive_datagram(int fd, std::span<char> room, Address* from);
// -1 and errno.
ssize_t send_datagram(int fd, std::string_view bytes, const Address& to);

Address local_address(int fd);
// The address from which this host reaches another, by the kernel's routes; port 0. Nothing is sent, but a name is
// looked up by the system's resolver, which may take seconds: for a start only.
absl::StatusOr<Address> local_address_towards(const std::string& host, uint16_t port);
Address peer_address(int fd);
// Where the connection was going before the kernel redirected it (SO_ORIGINAL_DST). False: it was not redirected.
bool original_destination(int fd, Address::Family family, Address* destination);
// The pending error of a socket (SO_ERROR), which this clears; 0: none.
int take_socket_error(int fd);

// As recvmsg and sendmsg: -1 and errno on failure; never raise SIGPIPE.
ssize_t receive(int fd, struct iovec* pieces, int count);
ssize_t transmit(int fd, struct iovec* pieces, int count);

void shutdown_writing(int fd);
// The coming close() sends RST and forgets what was not sent.
void reset_on_close(int fd);

// "connection refused", "connection reset by peer", ...; lives forever.
std::string_view socket_error_text(int error);
ByteStream::ErrorKind socket_error_kind(int error);

}  // namespace weft::transport
