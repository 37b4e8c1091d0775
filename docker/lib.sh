# SPDX-License-Identifier: Apache-2.0
# Shell functions of docker/quickstart and tests/run. Sourced by bash, with `root` set to the directory of the
# repository.
# shellcheck shell=bash disable=SC2154

# Prints each argument on its own line.
say() { printf '%s\n' "$@"; }
die() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

# packages SECTION...: the names that docker/packages lists under these sections.
packages() {
  local section name
  while read -r section name _; do
    case " $* " in *" $section "*) say "$name" ;; esac
  done <"$root/docker/packages"
}

# install_packages SECTION...: prints what is missing of these sections, and installs it by apt unless may_install is no.
may_install=yes
install_packages() {
  local missing=() sudo=() name log

  if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    say "This is not Debian: if something is missing below, docker/packages names what is needed."
    return 0
  fi
  for name in $(packages "$@"); do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || missing+=("$name")
  done
  [ ${#missing[@]} -gt 0 ] || return 0

  if [ "$may_install" = no ]; then
    say "Not installed, because of --no-install: ${missing[*]}"
    return 0
  fi

  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || die "no root and no sudo here; as root, run: apt-get install ${missing[*]}"
    sudo=(sudo)
  fi

  say "Installing ${#missing[@]} Debian packages: ${missing[*]}"
  log=$(mktemp)
  # Without a mirror the old package lists may still do; if not, the second command fails.
  "${sudo[@]}" apt-get update -qq >"$log" 2>&1 </dev/null || true
  if ! "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >>"$log" 2>&1 </dev/null; then
    tail -n 20 "$log" >&2
    rm -f "$log"
    die "apt could not install the packages above"
  fi
  rm -f "$log"
}

# build FOLDER TARGETS [CMAKE-OPTION...]: configures and builds; shows output only if it fails. A new folder gets a unity
# build, which takes half the time.
build() {
  local folder=$1 targets cache=$1/CMakeCache.txt log=$1/build.log new_folder=()
  read -ra targets <<<"$2"
  shift 2

  # cmake refuses a directory that was configured for another source directory, as in a copied clone.
  if [ -f "$cache" ] && ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$root" "$cache"; then
    rm -rf "$cache" "$folder/CMakeFiles"
  fi
  [ -f "$cache" ] || new_folder=(-G Ninja -DCMAKE_UNITY_BUILD=ON)
  mkdir -p "$folder" || return 1

  if ! cmake -S "$root" -B "$folder" "${new_folder[@]}" "$@" >"$log" 2>&1 </dev/null ||
    ! cmake --build "$folder" --target "${targets[@]}" --parallel "$(nproc)" >>"$log" 2>&1 </dev/null; then
    grep -nE 'error|Error|FAILED' "$log" | head -n 20 >&2
    tail -n 20 "$log" >&2
    printf 'The build failed; all of its output is in %s\n' "$log" >&2
    return 1
  fi
}
