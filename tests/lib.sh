# SPDX-License-Identifier: Apache-2.0
# Shell functions of tests/run and tests/container/run. Sourced by bash after docker/lib.sh, with `root` set to the
# repository's folder.
# shellcheck shell=bash disable=SC2154

python=/usr/bin/python3 # Debian's, which has the venv module that docker/packages names
[ -x $python ] || python=python3

# junit FILE: "passed failed skipped" of a JUnit report; junit FILE failures: the failed cases' names and messages.
junit() {
  "$python" - "$@" <<'PYTHON'
import sys
import xml.etree.ElementTree as xml

numbers = {"passed": 0, "failed": 0, "skipped": 0}
try:
    cases = list(xml.parse(sys.argv[1]).iter("testcase"))
except (OSError, xml.ParseError):
    cases = []
for case in cases:
    bad = case.findall("failure") + case.findall("error")
    state = "failed" if bad else "skipped" if case.findall("skipped") else "passed"
    numbers[state] += 1
    if len(sys.argv) > 2:
        for reason in bad or case.findall("skipped"):
            text = (reason.get("message") or "") + "\n" + (reason.text or "")
            lines = [line for line in text.strip().splitlines() if line.strip()]
            print(f"   {state.upper()}: {case.get('classname')}: {case.get('name')}", *lines[:25], sep="\n      ")
if len(sys.argv) == 2:
    print(*numbers.values())
PYTHON
}

# make_venv NAME: the virtual environment build/venv-NAME with what the requirements of tests/* list under NAME.
make_venv() {
  local name=$1 venv=$root/build/venv-$1 wanted line log=$root/build/venv-$1.log
  wanted=$(sed -n "s/^$name //p" "$root"/tests/*/requirements)
  if [ "$(cat "$venv/made-from" 2>/dev/null)" = "$wanted" ] && "$venv/bin/python" -c '' 2>/dev/null; then
    case $wanted in *==*) return 0 ;; esac # pinned: nothing to look for
    # Not pinned: the newest of today where PyPI answers, what is there where it does not.
    while read -ra line; do
      "$venv/bin/pip" --disable-pip-version-check --retries 1 install --quiet --upgrade "${line[@]}" >"$log" 2>&1
    done <<<"$wanted"
    return 0
  fi
  rm -rf "$venv"
  "$python" -m venv "$venv" >"$log" 2>&1 || return 1
  while read -ra line; do
    "$venv/bin/pip" --disable-pip-version-check --retries 2 install --quiet "${line[@]}" >>"$log" 2>&1 || return 1
  done <<<"$wanted"
  say "$wanted" >"$venv/made-from"
}
