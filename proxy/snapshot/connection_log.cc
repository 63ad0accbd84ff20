#include "proxy/snapshot/connection_log.h"

namespace weft::snapshot {
namespace {

std::string join(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text.append(text.empty() ? "" : ",").append(name);
  return text;
}

}  // namespace

void PeerStorage::render(const transport::ConnectionInfo& info, observe::PeerTexts* texts) {
  texts->remote_address = remote = info.remote.to_string();
  texts->remote_ip = remote_ip = info.remote.ip_text();
  texts->direct_remote_address = direct = info.direct_remote.to_string();
  texts->direct_remote_ip = direct_ip = info.direct_remote.ip_text();
  texts->local_address = local = info.local.to_string();
  texts->local_ip = local_ip = info.local.ip_text();
  texts->remote_port = info.remote.port;
  texts->direct_remote_port = info.direct_remote.port;
  texts->local_port = info.local.port;
  texts->sni = info.detected_server_name;
  if (info.tls == nullptr) return;
  const transport::TlsInfo& tls = *info.tls;
  texts->sni = tls.sni;
  texts->tls_version = tls.version;
  texts->tls_cipher = tls.cipher;
  texts->peer_uri_san = uri_sans = join(tls.peer_uri_sans);
  texts->peer_dns_san = dns_sans = join(tls.peer_dns_sans);
  texts->local_uri_san = local_sans = join(tls.local_uri_sans);
  texts->peer_subject = tls.peer_subject;
  texts->peer_issuer = tls.peer_issuer;
  texts->peer_serial = tls.peer_serial;
  texts->peer_fingerprint_256 = tls.peer_fingerprint_sha256;
}

void log_connection(const Listener& listener, const transport::ByteStream& stream, const ConnectionEnd& end,
                    const event::Loop& loop, uint32_t worker) {
  if (listener.access_logs.empty()) return;
  PeerStorage peer;
  observe::RequestRecord record;
  record.start_ns = end.accepted_ns;
  record.end_ns = loop.now_ns();
  record.start_wall_ns = loop.wall_ns() - (record.end_ns - record.start_ns);
  record.request_body_bytes = stream.received_bytes();
  record.response_body_bytes = stream.sent_bytes();
  record.cause = end.cause;
  if (end.chain != nullptr) record.filter_chain_name = end.chain->name;
  peer.render(stream.info(), &record.downstream);
  record.downstream.connection_id = end.connection_id;
  for (const auto& log : listener.access_logs) log->record(record, worker);
}

}  // namespace weft::snapshot
