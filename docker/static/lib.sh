# SPDX-License-Identifier: Apache-2.0
# Shell functions of docker/static/libraries and docker/static/build. Sourced by bash, with `root` set to the directory of
# the repository. All of the work is in build/static:
#
#   downloads/                the files of docker/static/pins
#   toolchain-DIGEST/         zig, which has clang, musl and libc++
#   libraries-ARCH-DIGEST/    the libraries; DIGEST changes with whatever they are made from
#   program-ARCH/             CMake's folder of the program
# shellcheck shell=bash disable=SC2154

work=$root/build/static
here=$root/docker/static

# The time that OpenSSL writes into its library, and that archives give their files, in seconds since 1970.
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-0}
export LC_ALL=C TZ=UTC

# machine NAME: our name for an architecture, from ours or Debian's; without a name, this machine's.
machine() {
  case ${1:-$(uname -m)} in
    x86_64 | amd64) say x86_64 ;;
    aarch64 | arm64) say aarch64 ;;
    *) die "unknown architecture ${1:-$(uname -m)}; known are x86_64 and aarch64" ;;
  esac
}

# digest FILE...: twelve digits that change with any of the files.
digest() { cat "$@" | sha256sum | cut -c 1-12; }

# quietly LOG COMMAND...: the output goes to LOG, whose end is shown if the command fails.
quietly() {
  local log=$1
  shift
  "$@" >>"$log" 2>&1 </dev/null && return
  grep -aE '(^|[ :])([Ee]rror|FAILED)\b' "$log" | head -n 20 >&2
  tail -n 20 "$log" >&2
  die "${*:1:2} failed; all of its output is in $log"
}

# toolchain ARCH: unpacks the compiler, and puts static-cc, static-c++, static-ar and static-ranlib for ARCH on the PATH.
toolchain() {
  local arch=$1 wheel zig tools tool

  "$here/sources" fetch "$work/downloads" || exit 1
  wheel=$(sed -n "s/.* \(ziglang-.*_$(uname -m)\.whl\)$/\1/p" "$here/pins")
  zig=$work/toolchain-$(digest "$work/downloads/$wheel")
  if [ ! -d "$zig" ]; then
    rm -rf "$zig.part"
    python3 -m zipfile -e "$work/downloads/$wheel" "$zig.part" || exit 1
    chmod +x "$zig.part/ziglang/zig"
    mv "$zig.part" "$zig"
  fi

  # The program may not depend on where it was built: what the compiler learns about folders is relative, and is said
  # here, since OpenSSL writes its compiler's options into the library.
  tools=$work/tools-$arch
  mkdir -p "$tools"
  for tool in cc c++; do
    printf '#!/bin/sh\nexec "%s" %s -target %s -g0 -ffile-prefix-map="%s"=. -ffile-prefix-map="%s"=. "$@"\n' \
      "$zig/ziglang/zig" "$tool" "$arch-linux-musl" "$work" "$root" >"$tools/static-$tool"
  done
  for tool in ar ranlib; do
    printf '#!/bin/sh\nexec "%s" %s "$@"\n' "$zig/ziglang/zig" "$tool" >"$tools/static-$tool"
  done
  chmod +x "$tools"/static-*

  export PATH=$tools:$PATH
  export ZIG_GLOBAL_CACHE_DIR=$work/zig-cache ZIG_LOCAL_CACHE_DIR=$work/zig-cache
  export STATIC_ARCH=$arch STATIC_LIBRARIES=
  zig_folder=$zig/ziglang
}

# Position-independent, with canaries, and in sections that the linker can leave out. musl has no _FORTIFY_SOURCE.
compiler_flags='-O2 -fPIE -fstack-protector-strong -ffunction-sections -fdata-sections'

# cmake_build SOURCE FOLDER LOG [OPTION...]: configures for the static toolchain, and builds.
cmake_build() {
  local source=$1 folder=$2 log=$3
  shift 3
  quietly "$log" cmake -S "$source" -B "$folder" -G Ninja -Wno-dev -DCMAKE_TOOLCHAIN_FILE="$here/toolchain.cmake" \
    -DCMAKE_BUILD_TYPE=Release -DCMAKE_C_FLAGS="$compiler_flags" -DCMAKE_CXX_FLAGS="$compiler_flags" \
    -DCMAKE_C_FLAGS_RELEASE=-DNDEBUG -DCMAKE_CXX_FLAGS_RELEASE=-DNDEBUG "$@"
  quietly "$log" cmake --build "$folder" --parallel "$(nproc)"
}
