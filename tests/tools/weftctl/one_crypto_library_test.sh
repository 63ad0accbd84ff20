#!/bin/bash
# weftctl links the proxy's route matcher beside gRPC, which stands on OpenSSL: BoringSSL must not come along. Two libraries
# with the same symbols in one process call into each other.
set -eu
weftctl=$1
proxy=$2
# That the test sees BoringSSL where it is.
ldd "$proxy" | grep -q 'android/lib\(crypto\|ssl\)'
if ldd "$weftctl" | grep 'android/lib\(crypto\|ssl\)'; then
  echo "weftctl is linked with BoringSSL" >&2
  exit 1
fi
# Of functions that only BoringSSL has.
if nm -C "$weftctl" | grep -E '\b(CRYPTO_BUFFER_new|SSL_CTX_set0_buffer_pool|EVP_AEAD_CTX_seal|bssl::)'; then
  echo "weftctl calls BoringSSL" >&2
  exit 1
fi
