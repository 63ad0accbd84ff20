#include "proxy/stream/client_certificate.h"

#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace weft::stream {
namespace {

// PEM as a part of a URL has it.
std::string escaped(const std::string& pem) {
  return absl::StrReplaceAll(pem, {{"\n", "%0A"}, {" ", "%20"}, {"+", "%2B"}, {"/", "%2F"}, {"=", "%3D"}});
}

}  // namespace

std::string client_certificate(const snapshot::HttpConnectionManager& http, const transport::ByteStream& stream) {
  using Mode = snapshot::ForwardClientCert;
  if (http.forward_client_cert != Mode::kAppendForward && http.forward_client_cert != Mode::kSanitizeSet) return {};
  const transport::TlsInfo* tls = stream.info().tls;
  if (tls == nullptr || !tls->peer_certificate_presented) return {};
  std::string element;
  auto add = [&element](const char* key, const std::string& value, const char* quote = "") {
    absl::StrAppend(&element, element.empty() ? "" : ";", key, "=", quote, value, quote);
  };
  for (const std::string& name : tls->local_uri_sans) add("By", name);
  add("Hash", tls->peer_fingerprint_sha256);
  if (http.xfcc_cert) add("Cert", escaped(stream.peer_certificates_pem(false)), "\"");
  if (http.xfcc_chain) add("Chain", escaped(stream.peer_certificates_pem(true)), "\"");
  if (http.xfcc_subject) add("Subject", tls->peer_subject, "\"");
  // Its key is there also without a name.
  if (http.xfcc_uri && tls->peer_uri_sans.empty()) add("URI", "");
  if (http.xfcc_uri) {
    for (const std::string& name : tls->peer_uri_sans) add("URI", name);
  }
  if (http.xfcc_dns) {
    for (const std::string& name : tls->peer_dns_sans) add("DNS", name);
  }
  return element;
}

}  // namespace weft::stream
