#!/bin/sh
# The xDS client against go-control-plane's server.
WEFT_XDS_CLIENT=$PWD/tests/conformance/xds/xds_client exec python3 -B -m unittest tests.conformance.xds.xds_client_case
