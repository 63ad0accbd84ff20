#include "proxy/transport/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter_ipv4.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"

namespace weft::transport {
namespace {

// linux/netfilter_ipv6/ip6_tables.h, which C++ cannot include.
constexpr int kIp6OriginalDestination = 80;

struct SystemAddress {
  union {
    sockaddr any;
    sockaddr_in v4;
    sockaddr_in6 v6;
    sockaddr_un path;
    sockaddr_storage storage;
  };
  socklen_t size = 0;
};

// False: a Unix path longer than the system takes, or no address at all.
bool to_system(const Address& address, SystemAddress* out) {
  std::memset(&out->storage, 0, sizeof(out->storage));
  switch (address.family) {
    case Address::Family::kIpv4:
      out->v4.sin_family = AF_INET;
      out->v4.sin_port = htons(address.port);
      std::memcpy(&out->v4.sin_addr, address.ip, 4);
      out->size = sizeof(out->v4);
      return true;
    case Address::Family::kIpv6:
      out->v6.sin6_family = AF_INET6;
      out->v6.sin6_port = htons(address.port);
      std::memcpy(&out->v6.sin6_addr, address.ip, 16);
      out->v6.sin6_scope_id = address.scope_id;
      out->size = sizeof(out->v6);
      return true;
    case Address::Family::kUnix: {
      const std::string& path = address.path;
      bool abstract = !path.empty() && path[0] == '@';
      if (path.empty() || path.size() >= sizeof(out->path.sun_path)) return false;
      out->path.sun_family = AF_UNIX;
      std::memcpy(out->path.sun_path, path.data(), path.size());
      out->size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
      if (abstract) {
        out->path.sun_path[0] = '\0';
      } else {
        ++out->size;
      }
      return true;
    }
    case Address::Family::kNone:
      return false;
  }
  return false;
}

Address from_system(const SystemAddress& from) {
  Address address;
  switch (from.any.sa_family) {
    case AF_INET:
      address.family = Address::Family::kIpv4;
      address.port = ntohs(from.v4.sin_port);
      std::memcpy(address.ip, &from.v4.sin_addr, 4);
      break;
    case AF_INET6: {
      static constexpr uint8_t kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
      address.port = ntohs(from.v6.sin6_port);
      const auto* bytes = reinterpret_cast<const uint8_t*>(&from.v6.sin6_addr);
      if (std::memcmp(bytes, kMapped, sizeof(kMapped)) == 0) {
        // An IPv4 peer of a socket for both: people and matchers know it by its IPv4 address.
        address.family = Address::Family::kIpv4;
        std::memcpy(address.ip, bytes + 12, 4);
        break;
      }
      address.family = Address::Family::kIpv6;
      std::memcpy(address.ip, bytes, 16);
      address.scope_id = from.v6.sin6_scope_id;
      break;
    }
    case AF_UNIX: {
      address.family = Address::Family::kUnix;
      size_t offset = offsetof(sockaddr_un, sun_path);
      if (from.size <= offset) break;
      size_t length = from.size - offset;
      if (from.path.sun_path[0] == '\0') {
        address.path.assign(from.path.sun_path, length);
        address.path[0] = '@';
      } else {
        address.path.assign(from.path.sun_path, strnlen(from.path.sun_path, length));
      }
      break;
    }
    default:
      break;
  }
  return address;
}

bool set_option(int fd, int level, int name, int value) {
  return setsockopt(fd, level, name, &value, sizeof(value)) == 0;
}

bool is_ip(Address::Family family) { return family == Address::Family::kIpv4 || family == Address::Family::kIpv6; }

int open_socket(Address::Family family, int type = SOCK_STREAM) {
  int domain = family == Address::Family::kIpv4 ? AF_INET : family == Address::Family::kIpv6 ? AF_INET6 : AF_UNIX;
  return socket(domain, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

bool set_transparent(int fd, Address::Family family) {
  return family == Address::Family::kIpv4 ? set_option(fd, SOL_IP, IP_TRANSPARENT, 1)
                                          : set_option(fd, SOL_IPV6, IPV6_TRANSPARENT, 1);
}

bool set_freebind(int fd, Address::Family family) {
  return family == Address::Family::kIpv4 ? set_option(fd, SOL_IP, IP_FREEBIND, 1)
                                          : set_option(fd, SOL_IPV6, IPV6_FREEBIND, 1);
}

bool set_keepalive(int fd, const TcpKeepalive& keepalive) {
  bool ok = set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  if (keepalive.probes != 0) ok &= set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, static_cast<int>(keepalive.probes));
  if (keepalive.time_s != 0) ok &= set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, static_cast<int>(keepalive.time_s));
  if (keepalive.interval_s != 0) {
    ok &= set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, static_cast<int>(keepalive.interval_s));
  }
  return ok;
}

// A socket file at which nobody answers was left by a process that is gone.
void unlink_stale_path(const Address& address, const SystemAddress& system) {
  struct stat file;
  if (address.path[0] == '@' || lstat(address.path.c_str(), &file) != 0 || !S_ISSOCK(file.st_mode)) return;
  Descriptor probe(open_socket(Address::Family::kUnix));
  if (!probe.open()) return;
  if (connect(probe.get(), &system.any, system.size) != 0 && errno == ECONNREFUSED) unlink(address.path.c_str());
}

absl::Status listen_error(const Address& address, const char* what) {
  return absl::UnavailableError(
      absl::StrCat("cannot listen on ", address.to_string(), ": ", what, ": ", strerrordesc_np(errno)));
}

}  // namespace

void Descriptor::reset() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

absl::StatusOr<Descriptor> bind_listener(const Address& address, const ListenOptions& options) {
  SystemAddress system;
  if (!to_system(address, &system)) {
    return absl::InvalidArgumentError(absl::StrCat("cannot listen on '", address.to_string(),
                                                   "': it is no IP address and no Unix path of at most 107 bytes"));
  }
  Descriptor fd(open_socket(address.family));
  if (!fd.open()) return listen_error(address, "socket");
  if (is_ip(address.family)) {
    if (!set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1)) return listen_error(address, "SO_REUSEADDR");
    if (options.reuse_port && !set_option(fd.get(), SOL_SOCKET, SO_REUSEPORT, 1)) {
      return listen_error(address, "SO_REUSEPORT");
    }
    // Accepted sockets inherit this, so that accepting takes no call for it.
    if (!set_option(fd.get(), IPPROTO_TCP, TCP_NODELAY, 1)) return listen_error(address, "TCP_NODELAY");
    if (address.family == Address::Family::kIpv6 &&
        !set_option(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, options.ipv4_compat ? 0 : 1)) {
      return listen_error(address, "IPV6_V6ONLY");
    }
    if (options.transparent && !set_transparent(fd.get(), address.family)) {
      return listen_error(address, "IP_TRANSPARENT");
    }
    if (options.freebind && !set_freebind(fd.get(), address.family)) return listen_error(address, "IP_FREEBIND");
    if (options.keepalive.has_value() && !set_keepalive(fd.get(), *options.keepalive)) {
      return listen_error(address, "SO_KEEPALIVE");
    }
  } else {
    unlink_stale_path(address, system);
  }
  if (bind(fd.get(), &system.any, system.size) != 0) return listen_error(address, "bind");
  if (address.family == Address::Family::kUnix && options.unix_mode != 0 && address.path[0] != '@' &&
      chmod(address.path.c_str(), static_cast<mode_t>(options.unix_mode)) != 0) {
    return listen_error(address, "chmod");
  }
  return fd;
}

absl::Status start_listening(const Descriptor& socket, const Address& address, uint32_t backlog) {
  if (listen(socket.get(), static_cast<int>(backlog)) != 0) return listen_error(address, "listen");
  return absl::OkStatus();
}

absl::StatusOr<Descriptor> listen_on(const Address& address, const ListenOptions& options) {
  absl::StatusOr<Descriptor> socket = bind_listener(address, options);
  if (!socket.ok()) return socket;
  absl::Status listening = start_listening(*socket, address, options.backlog);
  if (!listening.ok()) return listening;
  return socket;
}

absl::StatusOr<Descriptor> duplicate(const Descriptor& socket) {
  Descriptor copy(fcntl(socket.get(), F_DUPFD_CLOEXEC, 0));
  if (copy.open()) return copy;
  return absl::UnavailableError(absl::StrCat("cannot duplicate a socket: ", strerrordesc_np(errno)));
}

void unlink_listener_path(const Address& address) {
  if (address.family == Address::Family::kUnix && !address.path.empty() && address.path[0] != '@') {
    unlink(address.path.c_str());
  }
}

Descriptor accept_connection(int listener, Address* peer, int* error) {
  SystemAddress system;
  system.any.sa_family = AF_UNSPEC;
  system.size = sizeof(system.storage);
  int fd = accept4(listener, &system.any, &system.size, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) {
    *error = errno;
    return Descriptor();
  }
  *peer = from_system(system);
  return Descriptor(fd);
}

Descriptor start_connect(const Address& to, const SocketOptions& options, int* error) {
  SystemAddress system;
  if (!to_system(to, &system)) {
    *error = EAFNOSUPPORT;
    return Descriptor();
  }
  Descriptor fd(open_socket(to.family));
  bool ok = fd.open();
  if (ok && is_ip(to.family)) {
    set_option(fd.get(), IPPROTO_TCP, TCP_NODELAY, 1);
    if (options.keepalive.has_value()) ok &= set_keepalive(fd.get(), *options.keepalive);
    if (options.user_timeout_ms != 0) {
      ok &= set_option(fd.get(), IPPROTO_TCP, TCP_USER_TIMEOUT, static_cast<int>(options.user_timeout_ms));
    }
    if (options.mark != 0) ok &= set_option(fd.get(), SOL_SOCKET, SO_MARK, static_cast<int>(options.mark));
    if (options.transparent) ok &= set_transparent(fd.get(), to.family);
    if (options.freebind) ok &= set_freebind(fd.get(), to.family);
    if (ok && options.source.has_value() && options.source->family == to.family) {
      SystemAddress source;
      to_system(*options.source, &source);
      // The port is chosen when the peer is known, so that one source address serves more than 28,000 connections.
      if (options.source->port == 0) set_option(fd.get(), SOL_IP, IP_BIND_ADDRESS_NO_PORT, 1);
      ok = bind(fd.get(), &source.any, source.size) == 0;
    }
  }
  if (ok && (connect(fd.get(), &system.any, system.size) == 0 || errno == EINPROGRESS)) return fd;
  *error = errno;
  return Descriptor();
}

absl::StatusOr<Descriptor> bind_datagrams(const Address& address) {
  SystemAddress system;
  if (!is_ip(address.family) || !to_system(address, &system)) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot listen on '", address.to_string(), "' for datagrams: it is no IP address"));
  }
  Descriptor fd(open_socket(address.family, SOCK_DGRAM));
  if (!fd.open()) return listen_error(address, "socket");
  if (address.family == Address::Family::kIpv6 && !set_option(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, 1)) {
    return listen_error(address, "IPV6_V6ONLY");
  }
  if (bind(fd.get(), &system.any, system.size) != 0) return listen_error(address, "bind");
  return fd;
}

Descriptor connect_datagrams(const Address& to, int* error) {
  SystemAddress system;
  if (!is_ip(to.family) || !to_system(to, &system)) {
    *error = EAFNOSUPPORT;
    return Descriptor();
  }
  Descriptor fd(open_socket(to.family, SOCK_DGRAM));
  if (fd.open() && connect(fd.get(), &system.any, system.size) == 0) return fd;
  *error = errno;
  return Descriptor();
}

ssize_t receive_datagram(int fd, std::span<char> room, Address* from) {
  SystemAddress system;
  system.any.sa_family = AF_UNSPEC;
  system.size = sizeof(system.storage);
  ssize_t size = recvfrom(fd, room.data(), room.size(), MSG_TRUNC, &system.any, &system.size);
  if (size >= 0 && from != nullptr) *from = from_system(system);
  return size;
}

ssize_t send_datagram(int fd, std::string_view bytes, const Address& to) {
  SystemAddress system;
  if (!to_system(to, &system)) {
    errno = EAFNOSUPPORT;
    return -1;
  }
  return sendto(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL, &system.any, system.size);
}

Address local_address(int fd) {
  SystemAddress system;
  system.any.sa_family = AF_UNSPEC;
  system.size = sizeof(system.storage);
  if (getsockname(fd, &system.any, &system.size) != 0) return Address();
  return from_system(system);
}

absl::StatusOr<Address> local_address_towards(const std::string& host, uint16_t port) {
  addrinfo hints = {};
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* found = nullptr;
  if (int error = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found); error != 0) {
    return absl::NotFoundError(absl::StrCat(host, ": ", gai_strerror(error)));
  }
  std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owned(found, freeaddrinfo);
  int error = 0;
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
    Descriptor socket(::socket(each->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (socket.open() && ::connect(socket.get(), each->ai_addr, each->ai_addrlen) == 0) {
      Address address = local_address(socket.get());
      address.port = 0;
      return address;
    }
    error = errno;
  }
  return absl::UnavailableError(absl::StrCat(host, ": ", std::string(socket_error_text(error))));
}

Address peer_address(int fd) {
  SystemAddress system;
  system.any.sa_family = AF_UNSPEC;
  system.size = sizeof(system.storage);
  if (getpeername(fd, &system.any, &system.size) != 0) return Address();
  return from_system(system);
}

bool original_destination(int fd, Address::Family family, Address* destination) {
  SystemAddress system;
  system.size = sizeof(system.storage);
  int result = family == Address::Family::kIpv4
                   ? getsockopt(fd, SOL_IP, SO_ORIGINAL_DST, &system.storage, &system.size)
                   : getsockopt(fd, SOL_IPV6, kIp6OriginalDestination, &system.storage, &system.size);
  if (result != 0) return false;
  *destination = from_system(system);
  return destination->family != Address::Family::kNone;
}

int take_socket_error(int fd) {
  int error = 0;
  socklen_t size = sizeof(error);
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) return errno;
  return error;
}

ssize_t receive(int fd, struct iovec* pieces, int count) {
  if (count == 1) return recv(fd, pieces[0].iov_base, pieces[0].iov_len, 0);
  return readv(fd, pieces, count);
}

ssize_t transmit(int fd, struct iovec* pieces, int count) {
  if (count == 1) return send(fd, pieces[0].iov_base, pieces[0].iov_len, MSG_NOSIGNAL);
  struct msghdr message = {};
  message.msg_iov = pieces;
  message.msg_iovlen = static_cast<size_t>(count);
  return sendmsg(fd, &message, MSG_NOSIGNAL);
}

void shutdown_writing(int fd) { shutdown(fd, SHUT_WR); }

void reset_on_close(int fd) {
  struct linger linger = {1, 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

std::string_view socket_error_text(int error) {
  switch (error) {
    case ECONNREFUSED:
      return "connection refused";
    case ECONNRESET:
      return "connection reset by peer";
    case EPIPE:
      return "the peer had closed the connection";
    case ETIMEDOUT:
      return "connection timed out";
    case EHOSTUNREACH:
      return "no route to host";
    case ENETUNREACH:
      return "network unreachable";
    case EADDRNOTAVAIL:
      return "no free local port or address";
    case EMFILE:
    case ENFILE:
      return "out of file descriptors";
    case ENOENT:
      return "no such socket file";
    case EACCES:
    case EPERM:
      return "permission denied";
    default: {
      const char* text = strerrordesc_np(error);
      return text == nullptr ? "unknown socket error" : text;
    }
  }
}

ByteStream::ErrorKind socket_error_kind(int error) {
  switch (error) {
    case ECONNREFUSED:
    case ENOENT:
      return ByteStream::ErrorKind::kRefused;
    case ETIMEDOUT:
      return ByteStream::ErrorKind::kTimedOut;
    case ECONNRESET:
    case EPIPE:
      return ByteStream::ErrorKind::kReset;
    default:
      return ByteStream::ErrorKind::kOther;
  }
}

}  // namespace weft::transport
