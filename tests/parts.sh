# SPDX-License-Identifier: Apache-2.0
# The parts of tests/run. Sourced by bash after docker/lib.sh and tests/lib.sh, with `root`, `filter` and
# `program_timeout` set. Each part prints its title, adds to the counters of tests/lib.sh, and ends with its numbers.
# shellcheck shell=bash disable=SC2154

# install_for MODE: the Debian packages of a mode of tests/run.
install_for() {
  local status=0

  part packages
  case $1 in
    fuzz)
      (install_packages build fuzz) && (install_packages "fuzz-$(clang -dumpversion | cut -d. -f1)") || status=$?
      ;;
    release) (install_packages build run test static package release) || status=$? ;;
    *)
      (install_packages build run test) || status=$?
      [ "$1" != long ] || (install_packages slurm kubernetes registry) || status=$?
      ;;
  esac

  [ $status = 0 ] || count_failed 'installing the packages'
  part_end
  return $status
}

# ---- builds ----------------------------------------------------------------------------------------------------------

# preset_directory PRESET: where CMakePresets.json puts a build.
preset_directory() {
  if [ "$1" = dev ]; then say "$root/build"; else say "$root/build-$1"; fi
}

# preset_options PRESET: options for cmake in addition to the preset. Unless there is time, the test hub is that of the
# optimized build, and for the thread sanitizer so are the layers that hand no work to another thread.
preset_options() {
  local plain=
  [ "$1" != dev ] || return 0
  [ $mode = long ] || plain=$root/build
  say "-DMODEL_PREP_PLAIN_BUILD=$plain"
}

# build_dev TARGETS
build_dev() {
  local status=0

  part 'build'
  build "$root/build" "$1" --preset dev || status=$?

  [ $status = 0 ] || count_failed 'the build'
  part_end
  return $status
}

# Builds ahead run one after the other, with low priority, while tests run in the foreground. Each leaves its exit code
# in build/ahead/NAME.
build_queue=()
builds_ahead_pid=

# build_ahead lint | build_ahead plain | build_ahead PRESET TARGETS: adds to the queue.
build_ahead() { build_queue+=("$1:${2:-}"); }

run_builds_ahead() {
  rm -rf "$root/build/ahead"
  mkdir -p "$root/build/ahead"

  # A process group of its own, so that stopping it also stops the compilers.
  set -m
  (
    renice -n 15 -p "$BASHPID" >/dev/null
    for entry in "${build_queue[@]}"; do
      name=${entry%%:*} status=0
      case $name in
        lint) build_lint || status=$? ;;
        plain) build_plain || status=$? ;;
        *)
          mapfile -t options < <(preset_options "$name")
          build "$(preset_directory "$name")" "${entry#*:}" --preset "$name" "${options[@]}" || status=$?
          ;;
      esac 2>"$root/build/ahead/$name.errors"
      say $status >"$root/build/ahead/$name.part" && mv "$root/build/ahead/$name.part" "$root/build/ahead/$name"
    done
  ) &
  builds_ahead_pid=$!
  disown # so that `wait` means the test programs
  set +m
}

# built_ahead NAME: waits for a build of the queue; fails as it did.
built_ahead() {
  while [ ! -e "$root/build/ahead/$1" ] && kill -0 "$builds_ahead_pid" 2>/dev/null; do sleep 0.5; done
  cat "$root/build/ahead/$1.errors" >&2
  [ "$(cat "$root/build/ahead/$1" 2>/dev/null)" = 0 ]
}

stop_background_jobs() {
  [ -z "$builds_ahead_pid" ] || kill -- "-$builds_ahead_pid" 2>/dev/null
  [ -z "$container_pid" ] || kill "$container_pid" 2>/dev/null

  local test_programs
  mapfile -t test_programs < <(jobs -p)
  [ ${#test_programs[@]} = 0 ] || kill "${test_programs[@]}" 2>/dev/null
}

# ---- C++ tests -------------------------------------------------------------------------------------------------------

# These run the program from outside, so they are compiled once, in build/, and given the program of each build.
black_box_tests=(black_box_stress_tests black_box_tests)

# All other test programs of build/.
dev_tests() {
  ctest --test-dir "$root/build" --show-only=json-v1 | "$python" -c 'import json, sys
print(*sorted({test["name"] for test in json.load(sys.stdin)["tests"]} - set(sys.argv)))' "${black_box_tests[@]}"
}

# check_nothing_is_left_out TESTS: that tests/run names every test program.
check_nothing_is_left_out() {
  local name
  for name in $(dev_tests); do
    case " $1 " in *" $name "*) ;; *) count_failed "tests/run does not run $name" ;; esac
  done
}

# cpp_tests TITLE PRESET:TESTS[:TARGETS]...: runs the test programs of these builds, those of the black box first. TARGETS
# of the preset dev are built once the first programs have started: they mostly wait.
cpp_tests() {
  local entry output outputs=() # the programs that were started, as the paths of what they leave

  part "$1"
  for entry in "${@:2}"; do start_cpp_tests "$entry"; done
  wait

  for output in "${outputs[@]}"; do
    count_report "$output.junit.xml" "$(cat "$output.status")" "${output##*/}" "$output.log"
  done
  part_end
}

# begin_test_program PRESET NAME: starts one that takes longer than all others as soon as it is built; `cpp_tests` then
# only waits for it.
begun=()
begin_test_program() {
  local directory
  directory=$(preset_directory "$1")
  begun+=("$directory/tests/$2")
  { built_ahead "$1" 2>/dev/null && run_test_program "$directory" "$2"; } &
}

# start_cpp_tests PRESET:TESTS[:TARGETS]: adds to `outputs`.
start_cpp_tests() {
  local preset tests targets directory name names prefix=()
  IFS=: read -r preset tests targets <<<"$1"
  directory=$(preset_directory "$preset")
  read -ra names <<<"$tests"

  if [ "$preset" != dev ] && ! built_ahead "$preset"; then
    count_failed "the build in $directory"
    return
  fi

  if [ "$preset" = tsan ]; then
    # Older compilers' ThreadSanitizer cannot place its memory under the address randomization of newer kernels.
    setarch --addr-no-randomize true 2>/dev/null && prefix=(setarch --addr-no-randomize)
    # Otherwise every process waits a second at its end for late reports.
    export TSAN_OPTIONS="atexit_sleep_ms=0 ${TSAN_OPTIONS:-}"
  fi

  # Most of a test's time is waiting, so one more than there are processors.
  for name in "${names[@]}"; do
    if [ -n "$targets" ] && [ "$name" = "${names[${#black_box_tests[@]}]}" ]; then
      build "$root/build" "$targets" --preset dev || count_failed 'the build'
    fi
    outputs+=("$directory/tests/$name")
    case " ${begun[*]} " in *" $directory/tests/$name "*) continue ;; esac

    while [ "$(jobs -rp | wc -l)" -gt "$(nproc)" ]; do wait -n; done
    run_test_program "$directory" "$name" "${prefix[@]}" &
  done
}

# run_test_program BUILD NAME [PREFIX...]: leaves report, log and exit code in the build's directory. Runs all tests, or
# those in $chosen_files (names of test sources, without _test.cpp), or those that match $filter. Runs in the
# background only: a SIGTERM to its shell ends the program too.
run_test_program() {
  local directory=$1 test_program=$1/tests/$2 output=$1/tests/$2 status=0 started=$SECONDS selection=()
  case " ${black_box_tests[*]} " in *" $2 "*) test_program=$root/build/tests/$2 ;; esac
  shift 2

  if [ -n "$filter" ]; then
    selection=("*$filter*")
  elif [ -n "${chosen_files:-}" ]; then
    # shellcheck disable=SC2086 # one tag for each word
    selection=(--filenames-as-tags "$(printf '[#%s_test],' $chosen_files)")
  fi

  rm -f "$output.junit.xml"
  (cd "$directory" && MODEL_PREP_PROGRAM=$directory/model-prep exec timeout --kill-after=10 "$program_timeout" "$@" \
    "$test_program" -r junit -o "$output.junit.xml" "${selection[@]}") >"$output.log" 2>&1 &
  program_pid=$!
  # timeout makes a process group of the program, and passes a signal on to all of it.
  trap 'kill "$program_pid" 2>/dev/null' TERM
  wait "$program_pid" || status=$?

  # Catch2 3 calls it a failure if a filter matches nothing.
  if [ "$status" != 0 ] && [ -n "$filter" ] && grep -qsF 'No test cases matched' "$output.log"; then status=0; fi
  say $status >"$output.status"
  say $((SECONDS - started)) >"$output.seconds"
}

# ---- lint ------------------------------------------------------------------------------------------------------------

# Exit code 3: the tools cannot be downloaded.
build_lint() {
  if ! cmake --build "$root/build" --target lint-tools >"$root/build/lint-tools.log" 2>&1; then
    cp "$root/build/lint-tools.log" "$root/build/lint.log"
    pypi_answers || return 3
    return 1
  fi
  cmake --build "$root/build" --target lint --parallel "$(nproc)" -- -k 0 >"$root/build/lint.log" 2>&1
}

lint() {
  local log=$root/build/lint.log

  part lint
  if built_ahead lint; then
    passed=$((passed + 1))
  elif [ "$(cat "$root/build/ahead/lint" 2>/dev/null)" = 3 ]; then
    part_skipped 'LINT SKIPPED: clang-format AND clang-tidy COME FROM PyPI, WHICH CANNOT BE REACHED FROM HERE.'
  else
    grep -E 'error|warning:' "$log" | sort -u | head -n 30
    count_failed "lint; all of its output is in $log"
  fi
  part_end
}

# As a user builds it, with the hub of docker/quickstart: source by source, without a precompiled header, and installed. Every other build compiles several
# sources together, and does not notice one that misses an include.
build_plain() { build "$root/build/plain" all -DCMAKE_BUILD_TYPE=Release -DCMAKE_UNITY_BUILD=OFF -DMODEL_PREP_HUB=ON; }

plain_build() {
  local folder=$root/build/plain log=$root/build/plain-install.log

  part 'a plain build'
  rm -rf "$folder/installed"
  if ! built_ahead plain; then
    count_failed 'the build'
  elif ! DESTDIR=$folder/installed cmake --install "$folder" >"$log" 2>&1 ||
    ! "$folder"/installed/usr/local/bin/model-prep --version >>"$log" 2>&1; then
    tail -n 20 "$log"
    count_failed 'the installation'
  else
    passed=$((passed + 1))
  fi
  part_end
}

# ---- instruction counts ----------------------------------------------------------------------------------------------

instruction_counts() {
  local numbers log=$root/build/instruction-counts.log

  part 'instruction counts'
  "$root/tests/bench/guard/run" --built >"$log" 2>&1
  grep '^   ' "$log"

  read -ra numbers <<<"$(sed -nE 's/^([0-9]+) passed, ([0-9]+) failed, ([0-9]+) skipped$/\1 \2 \3/p' "$log" | tail -n 1)"
  if [ ${#numbers[@]} = 3 ]; then
    passed=$((passed + numbers[0])) failed=$((failed + numbers[1])) skipped=$((skipped + numbers[2]))
  else
    tail -n 20 "$log"
    count_failed "counting instructions; all of its output is in $log"
  fi
  part_end
}

# ---- Python tests ----------------------------------------------------------------------------------------------------

# wanted_venvs REQUIREMENTS: the virtual environments that this run makes. long-* only with --long, and where there is room.
wanted_venvs() {
  local names room
  names=$(sed -n 's/^\([a-z][^ ]*\) .*/\1/p' "$1" | uniq)
  room=$(df --output=avail --block-size=1G "$root/build" | tail -n 1)
  if [ "$mode" != long ] || [ "$room" -lt 20 ]; then names=$(grep -v '^long-' <<<"$names"); fi
  say "$names" | tr '\n' ' '
}

# python_tests TITLE NAME: the tests in tests/NAME. pytest runs in the first virtual environment of their requirements.
python_tests() {
  local names name status=0 tests=$root/tests/$2 report=$root/build/$2.junit.xml log=$root/build/$2.log

  part "$1"
  read -ra names <<<"$(wanted_venvs "$tests/requirements")"
  if [ "$mode" = long ] && grep -q '^long-' "$tests/requirements" && [[ ${names[*]} != *long-* ]]; then
    part_skipped "TESTS WITH PyTorch SKIPPED: THEY NEED 20 GB IN $root/build."
  fi
  for name in "${names[@]}"; do
    make_venv "$name" && continue
    if [ "$name" = "${names[0]}" ] && ! pypi_answers; then
      grep -iE 'error' "$root/build/venv-$name.log" | tail -n 2
      part_skipped "${2^^} TESTS SKIPPED: THEY NEED PACKAGES FROM PyPI, WHICH CANNOT BE REACHED FROM HERE."
      part_end
      return
    fi
    tail -n 3 "$root/build/venv-$name.log"
    count_failed "the virtual environment $name could not be made; see build/venv-$name.log"
    [ "$name" != "${names[0]}" ] || { part_end && return; }
  done
  say "   virtual environments ready after $((SECONDS - part_started)) s"

  rm -f "$report"
  PYTHONDONTWRITEBYTECODE=1 "$root/build/venv-${names[0]}/bin/python" -m pytest "$tests" --quiet --tb=short --color=no \
    -p no:cacheprovider --basetemp="$root/build/$2" --junitxml="$report" --name="$filter" >"$log" 2>&1 || status=$?
  # pytest's exit code if no test is left, as after a filter that matches nothing.
  if [ $status = 5 ] && [ -n "$filter" ]; then status=0; fi

  grep -E '^NOTE: ' "$log"
  count_report "$report" "$status" "$2" "$log"
  part_end
}

# ---- the image -------------------------------------------------------------------------------------------------------

# The image is built while other parts run, and tested together with the last of them.
container_pid= container_go=
begin_container() {
  # Building takes minutes: only for a test that will run.
  grep -qi "def test_.*${filter// /_}" "$root"/tests/container/test_*.py || return 0

  container_log=$root/build/container.log
  container_go=$root/build/container.go
  rm -f "$container_go" "$root/build/container.junit.xml"

  local options=(--after "$container_go")
  [ "$may_install" = yes ] || options+=(--no-install)
  # timeout makes a process group of it, and passes a signal on to all of it.
  timeout --kill-after=60 3000 "$root/tests/container/run" "${options[@]}" "$filter" >"$container_log" 2>&1 &
  container_pid=$!
  disown # so that `wait` means the test programs
}

begin_container_tests() { [ -z "$container_go" ] || : >"$container_go"; }

# count_container LOG: the result of tests/container/run, whose output this is.
count_container() {
  local status=1

  grep '^   [^ ]' "$1"
  if grep -q 'CONTAINER TESTS SKIPPED' "$1"; then
    skipped=$((skipped + 1))
  else
    ! tail -n 1 "$1" | grep -q ' 0 failed,' || status=0
    count_report "$root/build/container.junit.xml" "$status" container "$1"
  fi
}

container() {
  [ -n "$container_pid" ] || return 0

  part 'the image in a real engine'
  while kill -0 "$container_pid" 2>/dev/null; do sleep 0.5; done
  container_pid=

  count_container "$container_log"
  part_end
}

# ---- fuzzing ---------------------------------------------------------------------------------------------------------

# fuzz_target NAME: one target for fuzz_seconds. The corpus is only read; new inputs stay in build-fuzz/interesting.
fuzz_target() {
  local name=$1 directory=$root/build-fuzz max_length=4096 dictionary=json
  case $name in
    signature) max_length=8192 dictionary=signature ;;
    resume | urls | headers | names | patterns | limits | endpoints) max_length=2048 dictionary=http ;;
    ranges) max_length=512 ;;
    safetensors | gguf | onnx | pickles) dictionary=$name ;;
  esac

  mkdir -p "$directory/interesting/$name" "$directory/findings"
  timeout --kill-after=10 $((fuzz_seconds + 240)) "$directory/tests/fuzz_$name" \
    -max_total_time="$fuzz_seconds" -max_len=$max_length -rss_limit_mb=512 -timeout=5 \
    -verbosity=0 -print_final_stats=1 -artifact_prefix="$directory/findings/$name-" \
    -dict="$root/tests/fuzz/dictionaries/$dictionary.dict" \
    "$directory/interesting/$name" "$root/tests/fuzz/corpus/$name" >"$directory/$name.log" 2>&1
}

fuzzing() {
  local names=() name executions sum=0 directory=$root/build-fuzz

  part 'fuzz targets'
  if ! build "$directory" fuzzers --preset fuzz; then
    count_failed 'the build with clang'
    part_end
    return
  fi
  say "   built in $((SECONDS - part_started)) s"

  for name in "$root"/tests/fuzz/corpus/*"$filter"*/; do [ -d "$name" ] && names+=("$(basename "$name")"); done
  for name in "${names[@]}"; do
    while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do wait -n; done
    rm -f "$directory/$name.good"
    { fuzz_target "$name" && touch "$directory/$name.good"; } &
  done
  wait

  for name in "${names[@]}"; do
    executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$directory/$name.log")
    sum=$((sum + ${executions:-0}))
    printf '   %-10s %10d executions\n' "$name" "${executions:-0}"
    if [ -f "$directory/$name.good" ]; then
      passed=$((passed + 1))
    else
      grep -E 'what\(\)|runtime error|ERROR|SUMMARY|Test unit written' "$directory/$name.log" | head -n 10
      count_failed "fuzz target $name; add its input to tests/fuzz/corpus/$name; see $directory/$name.log"
    fi
  done
  say "   $sum executions in all"
  part_end
}
