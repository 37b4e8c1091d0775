# SPDX-License-Identifier: Apache-2.0
# The parts of tests/run --release. Sourced by bash after tests/parts.sh.
# shellcheck shell=bash disable=SC2154

# Where the black-box tests find the static program, and leave their reports.
release_directory() { say "$root/build/static-$1"; }

# release_builds: docker/release in the tree and in a copy of it, which gets nothing but the downloads. The copy has
# another path, umask, time zone and language. Every file must have the same bytes.
release_builds() {
  local copy=$root/build/release-copy/another/folder log=$root/build/release.log status=0 arch name

  part 'docker/release, twice'
  rm -rf "$root/build/release-copy"
  mkdir -p "$copy/build/static"
  (cd "$root" && git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents --target-directory="$copy")

  "$root/docker/release" --no-install >"$log" 2>&1 || status=$?
  say "   first build after $((SECONDS - part_started)) s"
  if [ $status = 0 ]; then
    cp -al "$root/build/static/downloads" "$copy/build/static/"
    (umask 077 && LANG=C.UTF-8 TZ=Asia/Tokyo "$copy/docker/release" --no-install) >>"$log" 2>&1 || status=$?
  fi
  if [ $status != 0 ]; then
    tail -n 20 "$log"
    count_failed "docker/release; all of its output is in $log"
    part_end
    return 1
  fi

  for arch in x86_64 aarch64; do
    for name in model-prep components.json licenses; do
      release_same "build/static/out-$arch/$name" "$copy"
    done
  done
  release_same dist "$copy"
  part_end
}

# release_same PATH COPY: counts whether a file or folder is the same in the copy of the tree.
release_same() {
  if diff --recursive --brief "$root/$1" "$2/$1"; then
    passed=$((passed + 1))
  else
    count_failed "two builds differ: $1"
  fi
}

# release_program ARCH: the black-box tests with the static program. Under emulation only those files of tests whose
# subject the architecture, its libraries or its system calls might change.
release_program() {
  local arch=$1 directory program=$root/build/static/out-$1/model-prep emulator name chosen_files=
  directory=$(release_directory "$arch")

  part "black-box tests, static program for $arch"
  mkdir -p "$directory/tests"
  rm -f "$directory/model-prep"
  if [ "$arch" = "$(uname -m)" ]; then
    ln -s "$program" "$directory/model-prep"
  elif emulator=$(command -v "qemu-$arch-static"); then
    chosen_files='download kill resume file_lock_contention many_processes tls proxy'
    for name in $chosen_files; do
      [ -e "$root/tests/black_box/${name}_test.cpp" ] || [ -e "$root/tests/black_box/stress/${name}_test.cpp" ] ||
        count_failed "there is no ${name}_test.cpp"
    done
    printf '#!/bin/sh\nexec "%s" "%s" "$@"\n' "$emulator" "$program" >"$directory/model-prep"
    chmod +x "$directory/model-prep"
  else
    part_skipped "TESTS OF THE PROGRAM FOR $arch SKIPPED: THEY NEED qemu-user-static."
    part_end
    return
  fi

  for name in "${black_box_tests[@]}"; do run_test_program "$directory" "$name" & done
  wait
  for name in "${black_box_tests[@]}"; do
    count_report "$directory/tests/$name.junit.xml" "$(cat "$directory/tests/$name.status")" "$name" \
      "$directory/tests/$name.log"
  done
  part_end
}

# release_image: the image as users get it, in a real engine.
release_image() {
  local log=$root/build/container-static.log options=(--libraries static)

  part 'the static image in a real engine'
  [ "$may_install" = yes ] || options+=(--no-install)
  timeout --kill-after=60 7200 "$root/tests/container/run" "${options[@]}" "$filter" >"$log" 2>&1

  count_container "$log"
  part_end
}
