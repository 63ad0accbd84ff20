#include "proxy/stream/client_certificate.h"

#include <catch2/catch.hpp>

#include "tests/fake/streams.h"

namespace weft::stream {
namespace {

using snapshot::ForwardClientCert;

struct Fixture {
  Fixture() {
    http.forward_client_cert = ForwardClientCert::kSanitizeSet;
    tls.peer_certificate_presented = true;
    tls.peer_fingerprint_sha256 = "abcd";
    tls.peer_subject = "CN=a";
    tls.peer_uri_sans = {"spiffe://a/b", "spiffe://c/d"};
    tls.peer_dns_sans = {"a.example", "b.example"};
    tls.local_uri_sans = {"spiffe://me"};
    wire->info.tls = &tls;
  }
  std::string element() const { return client_certificate(http, fake::Stream(wire)); }

  snapshot::HttpConnectionManager http;
  transport::TlsInfo tls;
  fake::WirePtr wire = std::make_shared<fake::Wire>();
};

}  // namespace

TEST_CASE("who called, and by whom it was taken, is told as the configuration asks") {
  Fixture f;
  CHECK(f.element() == "By=spiffe://me;Hash=abcd");
  f.http.xfcc_subject = f.http.xfcc_uri = f.http.xfcc_dns = true;
  CHECK(f.element() ==
        "By=spiffe://me;Hash=abcd;Subject=\"CN=a\";URI=spiffe://a/b;URI=spiffe://c/d;DNS=a.example;DNS=b.example");
}

TEST_CASE("what is asked for and is not there is told as empty") {
  Fixture f;
  f.http.xfcc_subject = f.http.xfcc_uri = f.http.xfcc_dns = true;
  f.tls.peer_subject.clear();
  f.tls.peer_uri_sans.clear();
  f.tls.peer_dns_sans.clear();
  f.tls.local_uri_sans.clear();
  CHECK(f.element() == "Hash=abcd;Subject=\"\";URI=");
}

TEST_CASE("nothing is told of who showed no certificate, nor where nothing is to be added") {
  Fixture f;
  f.http.forward_client_cert = ForwardClientCert::kForwardOnly;
  CHECK(f.element().empty());
  f.http.forward_client_cert = ForwardClientCert::kAppendForward;
  CHECK_FALSE(f.element().empty());
  f.tls.peer_certificate_presented = false;
  CHECK(f.element().empty());
  f.wire->info.tls = nullptr;
  CHECK(f.element().empty());
}

}  // namespace weft::stream
