#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/base/buffer.h"
#include "proxy/event/loop.h"

// A connected stream of bytes, plain or TLS: what codecs and the TCP proxy are fed from. Owned by the connection that
// uses it; lives on its worker's thread. Edge-triggered: after on_readable() the owner reads until a result is
// `drained`, or remembers that it stopped early (and reads later without waiting for an event).

namespace weft::transport {

// An address as the kernel knows it: IPv4, IPv6 or a Unix path.
struct Address {
  enum class Family : uint8_t { kNone, kIpv4, kIpv6, kUnix };
  Family family = Family::kNone;
  uint16_t port = 0;
  uint8_t ip[16] = {};  // Network order; IPv4 in the first four.
  uint32_t scope_id = 0;
  std::string path;  // Unix only; a leading '@' is the abstract namespace.

  static Address unix_path(std::string_view path);
  // "127.0.0.1", "::1"; no names. Family kNone when the text is no IP address.
  static Address parse_ip(std::string_view ip, uint16_t port);
  bool is_loopback() const;
  // Whether the first `bits` are those of `network`; false for another family.
  bool is_within(const Address& network, size_t bits) const;
  std::string ip_text() const;    // "10.0.0.1", "::1", or the path.
  std::string to_string() const;  // "10.0.0.1:80", "[::1]:80", or the path.
  bool operator==(const Address& other) const;
};

// What the TLS handshake proved about the peer. Texts live as long as the stream.
struct TlsInfo {
  std::string_view version;  // "TLSv1.3"
  std::string_view cipher;   // "TLS_AES_128_GCM_SHA256"
  std::string sni;
  std::string alpn;
  bool resumed = false;
  // Of the peer's certificate; empty when it showed none. `verified` says that it chained to a configured CA.
  bool peer_certificate_presented = false;
  bool peer_verified = false;
  std::vector<std::string> peer_uri_sans;
  std::vector<std::string> peer_dns_sans;
  std::string peer_subject;  // RFC 2253
  std::string peer_issuer;
  std::string peer_serial;              // hex
  std::string peer_fingerprint_sha256;  // hex
  std::vector<std::string> local_uri_sans;
};

// A loaded certificate, as operators want to see it.
struct CertificateInfo {
  std::string path;    // The file, or "inline".
  std::string serial;  // hex
  std::string subject;
  std::vector<std::string> dns_sans, uri_sans, ip_sans;
  int64_t not_before_s = 0;  // Seconds since 1970.
  int64_t not_after_s = 0;
  bool is_ca = false;  // A trusted CA rather than one of our own.
};

struct ConnectionInfo {
  Address local;   // Of the accepting or connecting socket; original destination once a listener filter restored it.
  Address remote;  // Direct peer, or what the PROXY protocol said.
  Address direct_remote;
  // `local` is where the connection was going before it was brought here, and not this socket's own address.
  bool local_restored = false;
  const TlsInfo* tls = nullptr;      // After the handshake; nullptr on plain connections.
  std::string detected_server_name;  // The SNI that tls_inspector read from the first bytes.
};

struct IoResult {
  enum class State : uint8_t {
    kOk,       // `bytes` moved; more may be possible unless `drained`.
    kBlocked,  // Nothing moved; wait for the event.
    kEnd,      // Reading: the peer sent its end (FIN, close_notify). `bytes` may be > 0.
    kError,    // The connection is gone; see error().
  };
  State state = State::kOk;
  size_t bytes = 0;
  bool drained = false;  // The kernel had no more (reading) or took no more (writing): the next edge will tell.
};

class ByteStream {
 public:
  class Events {
   public:
    // Connected, and the TLS handshake done: bytes may flow. Not called for a stream that was ready when attached.
    virtual void on_connected() = 0;
    virtual void on_readable() = 0;
    // Writing is possible again after a write() that was not complete.
    virtual void on_writable() = 0;
    // The connection or handshake could not be made; the stream can only be destroyed. Not called after on_connected().
    virtual void on_connect_failed() = 0;

   protected:
    ~Events() = default;
  };

  virtual ~ByteStream() = default;

  // The events go to `events` from now on, never from within this call. If bytes are already there, or the stream is
  // already connected, the event follows in a later turn or at once from the loop, never from within.
  virtual void attach(Events& events) = 0;

  virtual bool connected() const = 0;

  // Appends up to max_bytes to `into`. With TLS, plain text.
  virtual IoResult read(base::Buffer& into, size_t max_bytes) = 0;
  // Takes as many bytes as can go from the front of `from`. With TLS, bytes taken are encrypted and may still wait for
  // the socket; on_writable() tells when they went.
  virtual IoResult write(base::Buffer& from) = 0;
  // Bytes taken by write() that are not yet with the kernel.
  virtual size_t unsent_bytes() const = 0;

  // on_readable() comes in a later turn, whether or not new bytes do: for an owner that stopped reading early.
  virtual void read_later() {}

  // Half-close: FIN, or close_notify and FIN, after what was written.
  virtual void shutdown_write() = 0;
  // Ends the connection. kReset sends a TCP RST (so that the peer cannot take a cut-off answer for a whole one).
  enum class CloseKind : uint8_t { kGraceful, kReset };
  virtual void close(CloseKind kind) = 0;

  virtual const ConnectionInfo& info() const = 0;
  // The protocol that ALPN chose; empty if none.
  virtual std::string_view alpn() const = 0;
  // The certificate that the peer showed, or all that it showed, the leaf first; PEM. Empty if it showed none.
  virtual std::string peer_certificates_pem(bool /*all*/) const { return {}; }
  // After kError or on_connect_failed(): what went wrong, for logs and causes ("connection refused",
  // "TLS: certificate verify failed: ..."). `kind` lets callers choose a Cause.
  enum class ErrorKind : uint8_t { kNone, kRefused, kTimedOut, kReset, kTls, kNoSecret, kOther };
  virtual ErrorKind error_kind() const = 0;
  virtual std::string_view error() const = 0;
  // With ErrorKind::kTls: what was wrong with the peer's certificate, if that was it.
  enum class TlsFailure : uint8_t { kNone, kNoCertificate, kVerify, kSan };
  virtual TlsFailure tls_failure() const { return TlsFailure::kNone; }

  // Bytes on the wire, TLS included.
  uint64_t received_bytes() const { return received_bytes_; }
  uint64_t sent_bytes() const { return sent_bytes_; }

 protected:
  uint64_t received_bytes_ = 0;
  uint64_t sent_bytes_ = 0;
};

// By which name a server is called, where the configuration leaves that to each connection.
struct ServerName {
  std::string name;
  bool send = false;  // As SNI, in place of the configured one; an IP address is not (RFC 6066, 3).
  // The certificate must be for this name, whatever other names are asked for.
  bool verify = false;
};

class SecretUse;

// Makes client connections. A worker has one per (transport socket configuration); tests give their own.
class Connector {
 public:
  virtual ~Connector() = default;
  // Starts connecting. Always returns a stream; failure is told by on_connect_failed() in a later turn.
  virtual std::unique_ptr<ByteStream> connect(event::Loop& loop, const Address& to) = 0;
  // The same to a server with a name; those that know nothing of names leave it out of account.
  virtual std::unique_ptr<ByteStream> connect_to(event::Loop& loop, const Address& to, const ServerName&) {
    return connect(loop, to);
  }
  // The same for a connection that does not carry HTTP.
  virtual std::unique_ptr<ByteStream> connect_stream(event::Loop& loop, const Address& to) { return connect(loop, to); }
  // Of what it is made, if that comes and changes while it is used; nullptr otherwise.
  virtual SecretUse* secret_use() { return nullptr; }
  // Certificates and trusted CAs it uses, for /certs.
  virtual std::vector<CertificateInfo> certificates() const { return {}; }
};

}  // namespace weft::transport
