"""The rules that every folder uses: what a Weft library, test, fuzz target and proto library is."""

_NO_EXCEPTIONS = ["-fno-exceptions"]

def weft_library(name, deps = [], copts = [], exceptions = False, **kwargs):
    """A library of ours. Exceptions are off unless a third-party API leaves no choice."""
    native.cc_library(
        name = name,
        copts = copts + ([] if exceptions else _NO_EXCEPTIONS),
        linkstatic = True,
        deps = deps + ["//third_party:absl"],
        **kwargs
    )

def weft_binary(name, deps = [], copts = [], **kwargs):
    native.cc_binary(
        name = name,
        copts = copts + _NO_EXCEPTIONS,
        deps = deps + ["//third_party:absl"],
        **kwargs
    )

def weft_test(name, deps = [], size = "small", **kwargs):
    """A Catch2 test. Many cases in few targets: each target links once."""
    native.cc_test(
        name = name,
        size = size,
        linkstatic = True,
        deps = deps + ["//third_party:catch2", "//third_party:absl"],
        **kwargs
    )

def weft_fuzz(name, srcs, corpus, deps = [], **kwargs):
    """A libFuzzer target and the test that replays its saved corpus.

    `bazel build --config=fuzz :NAME` makes the fuzzer; `:NAME_replay` is an ordinary test that runs
    LLVMFuzzerTestOneInput on every file of the corpus.
    """
    native.cc_binary(
        name = name,
        srcs = srcs,
        linkopts = ["-fsanitize=fuzzer"],
        linkstatic = True,
        tags = ["manual"],
        testonly = True,
        deps = deps + ["//third_party:absl"],
        **kwargs
    )
    native.cc_test(
        name = name + "_replay",
        size = "small",
        srcs = srcs,
        args = ["$(locations %s)" % file for file in corpus],
        data = corpus,
        linkstatic = True,
        deps = deps + ["//tests/fuzz:replay_main", "//third_party:absl"],
        **kwargs
    )

def weft_proto(name, srcs, deps = []):
    """C++ from .proto files by the distribution's protoc; only for //api, whose folder is the import root.

    A message is also found by its name alone (an Any's type URL), so every file is linked, referred to or not.
    What protoc writes is compiled lightly optimised and without warnings: it is not ours, and not on the hot path.
    """
    if native.package_name() != "api":
        fail("weft_proto belongs in //api, the root of all import paths")
    stems = [src[:-len(".proto")] for src in srcs]
    native.filegroup(
        name = name + "_srcs",
        srcs = srcs + [dep + "_srcs" for dep in deps],
    )
    native.genrule(
        name = name + "_gen",
        srcs = srcs + [dep + "_srcs" for dep in deps],
        outs = [stem + ext for stem in stems for ext in [".pb.h", ".pb.cc"]],
        cmd = "/usr/bin/protoc -Iapi --cpp_out=$(GENDIR)/api " + " ".join(["api/" + src for src in srcs]),
    )
    native.genrule(
        name = name + "_descriptors",
        srcs = srcs + [dep + "_srcs" for dep in deps],
        outs = [name + ".descriptors.pb"],
        cmd = "/usr/bin/protoc -Iapi --include_imports --descriptor_set_out=$@ " +
              " ".join(["api/" + src for src in srcs]),
    )
    native.cc_library(
        name = name,
        srcs = [stem + ".pb.cc" for stem in stems],
        hdrs = [stem + ".pb.h" for stem in stems],
        alwayslink = True,
        copts = ["-w", "-O1"],
        includes = ["."],
        linkstatic = True,
        deps = deps + ["//third_party:protobuf"],
    )

def weft_grpc(name, srcs, deps, **kwargs):
    """The gRPC C++ services of these .proto files, whose messages are in deps; only for //api. For the control plane alone."""
    stems = [src[:-len(".proto")] for src in srcs]
    native.genrule(
        name = name + "_gen",
        srcs = srcs + [dep + "_srcs" for dep in deps],
        outs = [stem + ext for stem in stems for ext in [".grpc.pb.h", ".grpc.pb.cc"]],
        cmd = "/usr/bin/protoc -Iapi --plugin=protoc-gen-grpc=/usr/bin/grpc_cpp_plugin --grpc_out=$(GENDIR)/api " +
              " ".join(["api/" + src for src in srcs]),
    )
    native.cc_library(
        name = name,
        srcs = [stem + ".grpc.pb.cc" for stem in stems],
        hdrs = [stem + ".grpc.pb.h" for stem in stems],
        copts = ["-w", "-O1"],
        includes = ["."],
        linkstatic = True,
        deps = deps + ["//third_party:grpc"],
        **kwargs
    )
