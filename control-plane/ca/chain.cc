#include "control-plane/ca/chain.h"

#include <openssl/err.h>
#include <openssl/x509_vfy.h>

#include <memory>
#include <string>

#include "api/text/cat.h"

namespace weft::control::ca {

namespace {

using Store = std::unique_ptr<X509_STORE, Freed<X509_STORE_free>>;
using Context = std::unique_ptr<X509_STORE_CTX, Freed<X509_STORE_CTX_free>>;

constexpr int64_t kMsPerSecond = 1000;
// Certificates between a leaf and its root.
constexpr int kMaxDepth = 8;

struct FreeBorrowed {
  void operator()(STACK_OF(X509) * stack) const { sk_X509_free(stack); }
};
struct FreeOwned {
  void operator()(STACK_OF(X509) * stack) const { sk_X509_pop_free(stack, X509_free); }
};

}  // namespace

absl::StatusOr<std::vector<Certificate>> build_chain(X509& leaf, const Anchors& anchors, int purpose, int64_t now_ms) {
  const Store store(X509_STORE_new());
  const Context context(X509_STORE_CTX_new());
  const std::unique_ptr<STACK_OF(X509), FreeBorrowed> untrusted(sk_X509_new_null());
  if (store == nullptr || context == nullptr || untrusted == nullptr) return library_failure("verify a certificate");
  for (X509* root : anchors.roots) X509_STORE_add_cert(store.get(), root);
  for (X509* each : anchors.intermediates) sk_X509_push(untrusted.get(), each);
  if (X509_STORE_CTX_init(context.get(), store.get(), &leaf, untrusted.get()) != 1) {
    return library_failure("verify a certificate");
  }
  X509_VERIFY_PARAM* param = X509_STORE_CTX_get0_param(context.get());
  X509_VERIFY_PARAM_set_time(param, now_ms / kMsPerSecond);
  X509_VERIFY_PARAM_set_depth(param, kMaxDepth);
  X509_VERIFY_PARAM_set_purpose(param, purpose);
  if (X509_verify_cert(context.get()) != 1) {
    const int error = X509_STORE_CTX_get_error(context.get());
    ERR_clear_error();
    return absl::UnauthenticatedError(X509_verify_cert_error_string(error));
  }
  const std::unique_ptr<STACK_OF(X509), FreeOwned> path(X509_STORE_CTX_get1_chain(context.get()));
  std::vector<Certificate> out;
  while (sk_X509_num(path.get()) > 0) out.emplace_back(sk_X509_shift(path.get()));
  return out;
}

}  // namespace weft::control::ca
