// The parsers of a connection's first bytes: they never read beyond what came, never ask for less than they have, and
// what they say of a whole message they also say of it with more behind.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "proxy/listener/client_hello.h"
#include "proxy/listener/http_detection.h"
#include "proxy/listener/proxy_protocol.h"

namespace {

void require(bool holds) {
  if (!holds) abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace weft::listener;
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  ClientHello hello, of_half;
  HelloResult result = parse_client_hello(bytes, &hello);
  if (result.state == HelloState::kNeedMore) {
    require(result.need_bytes > size && result.need_bytes <= kMaxClientHelloBytes + 5);
  }
  HelloResult half = parse_client_hello(bytes.substr(0, size / 2), &of_half);
  if (half.state == HelloState::kTls)
    require(result.state == HelloState::kTls && hello.server_name == of_half.server_name);
  if (half.state == HelloState::kNotTls) require(result.state == HelloState::kNotTls);

  ProxyHeader header, header_of_half;
  ProxyResult proxy = parse_proxy_header(bytes, &header);
  if (proxy.state == ProxyState::kDone) require(proxy.bytes <= size && proxy.bytes > 0);
  if (proxy.state == ProxyState::kNeedMore) require(size < kMaxProxyHeaderBytes);
  ProxyResult proxy_half = parse_proxy_header(bytes.substr(0, size / 2), &header_of_half);
  if (proxy_half.state != ProxyState::kNeedMore) {
    require(proxy.state == proxy_half.state && proxy.bytes == proxy_half.bytes);
  }

  std::string_view protocol;
  if (!detect_http_protocol(bytes, &protocol)) require(protocol.empty() && size < 8 * 1024);
  return 0;
}
