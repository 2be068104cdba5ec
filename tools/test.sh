#!/usr/bin/env bash
# All tests with branch coverage and its floors, then the drivers' tests under three locales, then those that want the
# machine for themselves. With arguments: only pytest with them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export LOCPATH=$PWD/.venv/locale PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
python=.venv/bin/python

if (($#)); then exec "$python" -m pytest "$@"; fi
# Without coverage, which takes most of their time: what the tests in a driver's own folder cover as well, and simulators.
plain=(tests/contract tests/pairs tests/simulators tests/laboratory tests/fuzz)
"$python" -m pytest -n auto --dist worksteal --cov --cov-report= "${plain[@]/#/--ignore=}"
"$python" -m pytest -n auto --dist worksteal "${plain[@]}"
mkdir -p build
"$python" -m coverage json --quiet -o build/coverage.json
"$python" -m tools.coverage_floor build/coverage.json drivers=95 gateway=90
for locale in C fr_FR.UTF-8 ar_MA.UTF-8; do
    printf 'drivers under %s: ' "$locale"
    JISR_TEST_LOCALE=$locale LC_ALL=$locale HYPOTHESIS_PROFILE=short \
        "$python" -m pytest -n auto -p no:cacheprovider tests/drivers tests/contract/test_testdata.py tests/gates/test_locale.py
done
printf 'whole processes under faults, one at a time: '
"$python" -m pytest -p no:xdist --alone -m alone
