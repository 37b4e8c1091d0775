# SPDX-License-Identifier: Apache-2.0
# Shell functions of tests/run and tests/container/run. Sourced by bash after docker/lib.sh, with `root` set to the
# directory of the repository.
# shellcheck shell=bash disable=SC2154

python=/usr/bin/python3 # Debian's, whose venv module docker/packages lists
[ -x $python ] || python=python3

# ---- counting --------------------------------------------------------------------------------------------------------

passed=0 failed=0 skipped=0

# part TITLE ... part_end: a section of the output, with its numbers and its time.
part() {
  part_started=$SECONDS
  part_before=("$passed" "$failed" "$skipped")
  printf '\n== %s ==\n' "$1"
}

part_end() {
  local line="$((passed - part_before[0])) passed, $((failed - part_before[1])) failed"
  [ "$skipped" = "${part_before[2]}" ] || line="$line, $((skipped - part_before[2])) skipped"
  say "   $line, $((SECONDS - part_started)) s"
}

count_failed() {
  failed=$((failed + 1))
  say "   FAILED: $1"
}

# part_skipped REASON: in capitals, so that nobody takes the part for passed.
part_skipped() {
  skipped=$((skipped + 1))
  say "   $1"
}

# count_report FILE STATUS NAME LOG: adds the cases of a JUnit report, and prints those that failed or were skipped.
# A sanitizer's report counts as a failed case, and so does an exit code that no failed case explains.
count_report() {
  local numbers

  read -ra numbers <<<"$(junit numbers "$1" "$4")"
  passed=$((passed + numbers[0])) failed=$((failed + numbers[1])) skipped=$((skipped + numbers[2]))
  junit cases "$1" "$4"

  if grep -qE 'Sanitizer|runtime error:' "$4"; then
    sed -nE '/Sanitizer|runtime error:/,$p' "$4" | head -n 40
    count_failed "$3: a sanitizer's report; all of its output is in $4"
  elif [ "$2" != 0 ] && [ "${numbers[1]}" = 0 ]; then
    grep -vE '^[[:space:]]*$' "$4" | tail -n 60
    count_failed "$3 ended with exit code $2; all of its output is in $4"
  fi
}

# junit numbers REPORT LOG: "passed failed skipped"; junit cases REPORT LOG: those that failed or were skipped, and why. A
# case that skip_test of tests/support/catch.h names in the log has passed in the report, or is not there.
junit() {
  "$python" - "$@" <<'PYTHON'
import re
import sys
import xml.etree.ElementTree as xml

what, report, log = sys.argv[1:]
skips = dict(re.findall(r"^SKIPPED: (.*): (.*)$", open(log, errors="replace").read(), re.MULTILINE))
numbers = {"passed": 0, "failed": 0, "skipped": 0}
try:
    cases = list(xml.parse(report).iter("testcase"))
except (OSError, xml.ParseError):
    cases = []
for case in cases:
    bad = case.findall("failure") + case.findall("error")
    if not bad and case.get("name") in skips:
        continue
    state = "failed" if bad else "skipped" if case.findall("skipped") else "passed"
    numbers[state] += 1
    if what == "cases":
        for reason in bad or case.findall("skipped"):
            text = (reason.get("message") or "") + "\n" + (reason.text or "")
            lines = [line for line in text.strip().splitlines() if line.strip()]
            print(f"   {state.upper()}: {case.get('classname')}: {case.get('name')}", *lines[:25], sep="\n      ")
numbers["skipped"] += len(skips)
if what == "numbers":
    print(*numbers.values())
else:
    for name, reason in skips.items():
        print(f"   SKIPPED: {name}: {reason}")
PYTHON
}

# ---- virtual environments --------------------------------------------------------------------------------------------

# make_venv NAME: the virtual environment build/venv-NAME, with the packages that tests/*/requirements list under NAME.
make_venv() {
  local name=$1 venv=$root/build/venv-$1 wanted line log=$root/build/venv-$1.log
  wanted=$(sed -n "s/^$name //p" "$root"/tests/*/requirements)
  if [ "$(cat "$venv/made-from" 2>/dev/null)" = "$wanted" ] && "$venv/bin/python" -c '' 2>/dev/null; then
    case $wanted in *==*) return 0 ;; esac # pinned, so it cannot be out of date
    # Not pinned: today's newest if PyPI answers, else what is installed.
    make_installers >"$log" 2>&1 || return 0
    while read -ra line; do install_from_pypi "$venv" --upgrade "${line[@]}" >"$log" 2>&1; done <<<"$wanted"
    return 0
  fi

  make_installers >"$log" 2>&1 || return 1
  rm -rf "$venv"
  "$python" -m venv --without-pip "$venv" >"$log" 2>&1 || return 1
  while read -ra line; do
    install_from_pypi "$venv" "${line[@]}" >>"$log" 2>&1 || return 1
  done <<<"$wanted"
  say "$wanted" >"$venv/made-from"
}

# The environment with pip and uv, which install into all others.
make_installers() {
  local venv=$root/build/venv-installers
  [ -x "$venv/bin/uv" ] && return
  rm -rf "$venv"
  "$python" -m venv "$venv" && "$venv/bin/pip" --disable-pip-version-check --retries 2 install --quiet uv==0.13.9
}

# Whether the packages that could not be installed are to blame, or the way to PyPI.
pypi_answers() {
  make_installers >/dev/null 2>&1 &&
    "$root/build/venv-installers/bin/pip" --disable-pip-version-check --retries 2 index versions uv >/dev/null 2>&1
}

# install_from_pypi VENV ARGUMENTS OF PIP INSTALL...: by uv, which takes a third of pip's CPU time, or else by pip, which
# knows its own configuration: a company's index, say.
install_from_pypi() {
  local venv=$1 installers=$root/build/venv-installers/bin
  shift
  UV_CACHE_DIR=$root/build/uv-cache "$installers/uv" pip install --quiet --python "$venv" --compile-bytecode "$@" ||
    "$installers/pip" --disable-pip-version-check --retries 2 --python "$venv" install --quiet "$@"
}
