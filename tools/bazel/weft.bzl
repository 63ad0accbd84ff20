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

def weft_proto(name, srcs, deps = [], visibility = None):
    """C++ from .proto files by the distribution's protoc. Import paths are relative to //api."""
    outs = []
    for src in srcs:
        outs += [src[:-len(".proto")] + ".pb.h", src[:-len(".proto")] + ".pb.cc"]
    native.filegroup(
        name = name + "_srcs",
        srcs = srcs + [dep + "_srcs" for dep in deps],
        visibility = visibility,
    )
    native.genrule(
        name = name + "_gen",
        srcs = [":" + name + "_srcs"],
        outs = outs,
        cmd = "/usr/bin/protoc -Iapi --cpp_out=$(GENDIR)/api " +
              " ".join(["$(location %s)" % src for src in srcs]),
        tools = srcs,
    )
    native.cc_library(
        name = name,
        srcs = [out for out in outs if out.endswith(".cc")],
        hdrs = [out for out in outs if out.endswith(".h")],
        copts = ["-w", "-O1"],
        includes = ["api"] if native.package_name() == "" else ["."],
        linkstatic = True,
        deps = deps + ["//third_party:protobuf"],
        visibility = visibility,
    )
